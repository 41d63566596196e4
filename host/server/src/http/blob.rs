//! Bytes of objects as responses.
//!
//! **Invariant:** nothing sent from here runs as a page of this origin, and no cache keeps it.
//! **Invariant:** what is erased meanwhile is sent no further: the connection ends before the length
//! that was told has come.

use atropos::domain::Rendition;
use atropos::ports::content::WHOLE;
use atropos_service::service::Service;
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio_util::io::ReaderStream;

use super::connections::Source;
use super::failure::Failure;
use super::range::{Part, content_range};

const CHUNK_BYTES: usize = 64 << 10;

/// What a browser does with the bytes.
pub(super) enum Disposition<'a> {
    /// Shows them where they are embedded.
    Inline,
    /// Saves them under a name.
    Attachment(&'a str),
}

/// Streams one rendition, or as much of it as `Range` asks for; `None` if its bytes are on their way out.
pub(super) async fn send(
    service: &Service,
    rendition: &Rendition,
    disposition: Disposition<'_>,
    request: &HeaderMap,
) -> Result<Option<Response>, Failure> {
    let descriptor = service.descriptors.take_for_file().await?;
    let part = Part::asked_for(request, rendition.size_bytes);
    let range = match &part {
        Part::Whole => WHOLE,
        Part::Of(range) => range.clone(),
        Part::Nothing => return Ok(Some(Part::unsatisfiable(rendition.size_bytes))),
    };
    let Some(blob) = service.bytes.open(rendition.key, range).await? else {
        return Ok(None);
    };
    let (source, owned) = Source::new(&service.catalogue, rendition.key);
    let chunks = ReaderStream::with_capacity(blob.content, CHUNK_BYTES);
    // Dropped with the body: that is how the source knows that nothing more is read.
    let owned = (owned, descriptor);
    let chunks = chunks.inspect(move |_| _ = &owned);
    let body = Body::from_stream(chunks);
    let mut response = Response::new(body);
    response.extensions_mut().insert(source);
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let length = match part {
        Part::Of(range) => {
            headers.insert(CONTENT_RANGE, content_range(&range, blob.size));
            range.end - range.start
        }
        _ => blob.size,
    };
    headers.insert(CONTENT_LENGTH, length.into());
    let media_type = HeaderValue::try_from(&rendition.media_type);
    let opaque = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, media_type.unwrap_or(opaque));
    let bare = HeaderValue::from_static("attachment");
    let disposition = HeaderValue::try_from(disposition.to_string());
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(bare));
    if response.headers().contains_key(CONTENT_RANGE) {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(Some(response))
}

impl std::fmt::Display for Disposition<'_> {
    /// By RFC 6266: a name of plain characters, and beside it the true one, encoded by RFC 8187.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Attachment(name) = self else {
            return f.write_str("inline");
        };
        let plain = |char: char| match char {
            ' ' | '.' | '-' | '_' => char,
            char if char.is_ascii_alphanumeric() => char,
            _ => '_',
        };
        let ascii: String = name.chars().map(plain).collect();
        write!(f, "attachment; filename=\"{ascii}\"; filename*=UTF-8''")?;
        name.bytes().try_for_each(|byte| match byte {
            b'.' | b'-' | b'_' => write!(f, "{}", char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => write!(f, "{}", char::from(byte)),
            byte => write!(f, "%{byte:02X}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        assert_eq!(Disposition::Inline.to_string(), "inline");
        assert_eq!(
            Disposition::Attachment("a\"\r\nX: é.pdf").to_string(),
            "attachment; filename=\"a___X_ _.pdf\"; filename*=UTF-8''a%22%0D%0AX%3A%20%C3%A9.pdf"
        );
    }
}
