//! The part of a download that a request asks for, by RFC 9110, section 14.
//!
//! One range is answered by 206. What is no range, several at once, and a range that depends on a
//! validator (`If-Range`; none is handed out) are answered by the whole, as that section allows.

use std::ops::Range;

use axum::body::Body;
use axum::http::header::{CONTENT_RANGE, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// These bytes, of which there is one at least.
    Of(Range<u64>),
    /// Bytes that lie beyond its end.
    Nothing,
}

impl Part {
    /// What is asked for of something of this size in bytes.
    pub(super) fn asked_for(request: &HeaderMap, size: u64) -> Self {
        let (range, conditional) = (request.get(RANGE), request.contains_key(IF_RANGE));
        let range = range.filter(|_| !conditional && size > 0);
        let Some(range) = range.and_then(|range| range.to_str().ok()) else {
            return Self::Whole;
        };
        match parse_range_header(range).and_then(|ranges| ranges.validate(size)) {
            Ok(ranges) => match ranges.as_slice() {
                [one] => Self::Of(*one.start()..one.end().saturating_add(1)),
                _ => Self::Whole,
            },
            Err(RangeUnsatisfiableError::Unsatisfiable) => Self::Nothing,
            Err(_) => Self::Whole,
        }
    }

    /// The answer to a request for [`Part::Nothing`].
    pub(super) fn unsatisfiable(size: u64) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
        let headers = response.headers_mut();
        headers.insert(CONTENT_RANGE, value(format!("bytes */{size}")));
        response
    }
}

/// Which bytes of how many are sent.
pub(super) fn content_range(range: &Range<u64>, size: u64) -> HeaderValue {
    let last = range.end.saturating_sub(1);
    value(format!("bytes {}-{last}/{size}", range.start))
}

fn value(text: String) -> HeaderValue {
    // Digits and signs, which every header takes.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes */*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_and_whatever_else_is_the_whole() {
        use Part::{Nothing, Of, Whole};
        let table = [
            (None, Whole),
            (Some("bytes=0-0"), Of(0..1)),
            (Some("bytes=2-4"), Of(2..5)),
            (Some("bytes=7-"), Of(7..10)),
            (Some("bytes=7-99"), Of(7..10)),
            (Some("bytes=-3"), Of(7..10)),
            (Some("bytes=-99"), Of(0..10)),
            (Some("bytes=10-"), Nothing),
            (Some("bytes=-0"), Nothing),
            (Some("bytes=4-2"), Whole),
            (Some("bytes=0-0,2-2"), Whole),
            (Some("lines=0-1"), Whole),
            (Some("nonsense"), Whole),
            (Some(""), Whole),
        ];
        for (range, part) in table {
            let mut request = HeaderMap::new();
            if let Some(range) = range {
                request.insert(RANGE, HeaderValue::from_static(range));
            }
            assert_eq!(Part::asked_for(&request, 10), part, "{range:?}");
            assert_eq!(Part::asked_for(&request, 0), Whole, "{range:?} of nothing");
            request.insert(IF_RANGE, HeaderValue::from_static("\"1\""));
            assert_eq!(Part::asked_for(&request, 10), Whole, "{range:?} if");
        }
    }
}
