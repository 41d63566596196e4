//! Which part of a list is asked for, and how points in time are told.

use atropos::domain::{ObjectPage, Page, Position, Start, Stored};
use atropos::target::Kind;
use axum::http::header::{HeaderName, LINK};
use axum::response::AppendHeaders;

use super::wire;

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

/// The part of a list of objects that a query asks for.
#[derive(Clone, Debug)]
pub(super) struct ListQuery {
    pub(super) page: ObjectPage,
    /// Whether the page is asked for by its number.
    by_index: bool,
}

/// Why a query names no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidPage {
    /// This parameter is no whole number greater than 0.
    Number(&'static str),
    /// `after` is no position.
    Position,
    /// Both `after` and `pageIndex` are there.
    Both,
}

impl ListQuery {
    /// Reads `after` or `pageIndex`, and `pageSize`; see [`from_query`].
    pub(super) fn read(
        query: &str,
        default_rows: u32,
        kind: Kind,
        owner: &str,
    ) -> Result<Self, InvalidPage> {
        let numbered = from_query(query, default_rows).map_err(InvalidPage::Number)?;
        let index = wire::parameter(query, "pageIndex").ok().flatten();
        let by_index = index.is_some_and(|index| !index.is_empty());
        let after = wire::parameter(query, "after").map_err(|_| InvalidPage::Position)?;
        let mut page = ObjectPage::from(numbered);
        if let Some(cursor) = after.filter(|cursor| !cursor.is_empty()) {
            if by_index {
                return Err(InvalidPage::Both);
            }
            let position = Position::parse(kind, owner.to_owned(), &cursor);
            page.start = Start::After(position.map_err(|_| InvalidPage::Position)?);
        }
        Ok(Self { page, by_index })
    }

    /// Points to the next page in the way in which this one was asked for, by `after` unless
    /// `pageIndex` was given. `rest` is what else the query must hold.
    pub(super) fn next(&self, rest: &str, listed: &[Stored]) -> NextPage {
        match (&self.page.start, listed.last()) {
            (Start::Offset(offset), _) if self.by_index => {
                let (offset, limit) = (*offset, self.page.limit);
                next(Page { offset, limit }, rest, listed.len())
            }
            (_, Some(last)) if listed.len() >= self.page.limit as usize => {
                let cursor = wire::encode(&Position::of(&last.object).cursor());
                let size = self.page.limit;
                link(format!("{rest}after={cursor}&pageSize={size}"))
            }
            _ => AppendHeaders(None),
        }
    }
}

/// A header that points to the next page, if there may be one.
pub(super) type NextPage = AppendHeaders<Option<(HeaderName, String)>>;

/// Points to the next page by its number, if this one is full. `rest` is what else the query must hold.
pub(super) fn next(page: Page, rest: &str, rows: usize) -> NextPage {
    if rows < page.limit as usize {
        return AppendHeaders(None);
    }
    let index = page.offset / u64::from(page.limit.max(1)) + 2;
    link(format!("{rest}pageIndex={index}&pageSize={}", page.limit))
}

/// By RFC 8288.
fn link(query: String) -> NextPage {
    AppendHeaders(Some((LINK, format!("<?{query}>; rel=\"next\""))))
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
        let AppendHeaders(link) = next(page, "userId=u-1&", 10);
        let expected = "<?userId=u-1&pageIndex=3&pageSize=10>; rel=\"next\"";
        assert_eq!(link.unwrap().1, expected);
        assert!(next(page, "", 9).0.is_none());
    }

    #[test]
    fn a_list_begins_at_a_number_or_after_a_position_and_not_at_both() {
        let read = |query: &str| {
            ListQuery::read(query, 25, Kind::Photo, "u-1")
                .map(|read| (read.by_index, read.page.start, read.page.limit))
        };
        let at = |query: &str| match read(query) {
            Ok((by_index, Start::Offset(offset), limit)) => format!("{by_index} {offset} {limit}"),
            Ok((by_index, Start::After(after), limit)) => {
                assert_eq!(after.owner, "u-1");
                format!("{by_index} {} {limit}", after.cursor())
            }
            Err(invalid) => format!("{invalid:?}"),
        };
        let table = [
            ("", "false 0 25"),
            ("after=&pageIndex=", "false 0 25"),
            ("pageIndex=1", "true 0 25"),
            ("pageIndex=3&after=&pageSize=10", "true 20 10"),
            ("after=7-a%26b&pageSize=9999", "false 7-a&b 1000"),
            ("after=7-a&pageIndex=1", "Both"),
            ("after=7-a&pageIndex=0", "Number(\"pageIndex\")"),
            ("after=7-a&after=7-a", "Position"),
            ("after=7", "Position"),
            ("after=-7-a", "Position"),
        ];
        for (query, expected) in table {
            assert_eq!(at(query), expected, "{query}");
        }
    }

    #[test]
    fn a_time_is_told_in_utc() {
        assert_eq!(time(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert!(time(u64::MAX).starts_with("9999-"));
    }
}
