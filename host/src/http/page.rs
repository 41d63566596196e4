//! Which part of a list is asked for, and how points in time are told.

use axum::http::header::{HeaderName, LINK};
use axum::response::AppendHeaders;

use super::wire;
use crate::store::Page;

/// The most rows that an answer holds.
pub(super) const MAX_ROWS: u32 = 1000;

/// Reads `pageIndex`, from 1, and `pageSize`; what is absent or empty is 1 and `default_rows`.
/// Fails with the name of a parameter that is no such number.
pub(super) fn from_query(query: &str, default_rows: u32) -> Result<Page, &'static str> {
    let number = |name: &'static str, default: u32| {
        let value = wire::parameter(query, name).map_err(|_| name)?;
        match value.as_deref() {
            None | Some("") => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(name),
            },
        }
    };
    let index = number("pageIndex", 1)?;
    let limit = number("pageSize", default_rows)?.min(MAX_ROWS);
    Ok(Page {
        offset: u64::from(index - 1) * u64::from(limit),
        limit,
    })
}

/// Points to the next page, by RFC 8288, if this one is full.
pub(super) fn next(page: Page, rows: usize) -> AppendHeaders<Option<(HeaderName, String)>> {
    let full = rows >= page.limit as usize;
    let index = page.offset / u64::from(page.limit.max(1)) + 2;
    let link = format!("<?pageIndex={index}&pageSize={}>; rel=\"next\"", page.limit);
    AppendHeaders(full.then_some((LINK, link)))
}

/// RFC 3339 in UTC.
pub(super) fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(at)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_counted_from_one_and_its_size_is_bounded() {
        let read = |query| from_query(query, 25).map(|page| (page.offset, page.limit));
        assert_eq!(read(""), Ok((0, 25)));
        assert_eq!(read("pageIndex=3&pageSize=10"), Ok((20, 10)));
        assert_eq!(read("pageSize=9999"), Ok((0, MAX_ROWS)));
        assert_eq!(read("pageIndex=0"), Err("pageIndex"));
        assert_eq!(read("pageSize=-1"), Err("pageSize"));
        assert_eq!(read("pageSize=1&pageSize=2"), Err("pageSize"));
    }

    #[test]
    fn only_a_full_page_points_to_the_next() {
        let page = from_query("pageIndex=2&pageSize=10", 25).unwrap();
        let AppendHeaders(link) = next(page, 10);
        assert_eq!(link.unwrap().1, "<?pageIndex=3&pageSize=10>; rel=\"next\"");
        assert!(next(page, 9).0.is_none());
    }

    #[test]
    fn a_time_is_told_in_utc() {
        assert_eq!(time(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert!(time(u64::MAX).starts_with("9999-"));
    }
}
