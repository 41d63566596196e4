//! Pages of the list of objects, by number or by keyset.
//!
//! The list is ordered by (created, id), the list over all owners by (owner, created, id), each
//! ascending and by bytes. A page that begins after a [`Position`] is read from there on, which costs
//! the same anywhere in the list, and neither skips nor repeats an object when others are deleted
//! between two pages.

use super::page::Page;
use crate::naming;
use crate::target::{Kind, Malformed, Object};

/// A page that looks at no more rows than this costs less than to wake another thread for it.
const SHORT_ROWS: u64 = 100;

/// Which objects of a longer list.
#[derive(Clone, Debug)]
pub struct ObjectPage {
    /// Where it begins.
    pub start: Start,
    /// How many objects at most.
    pub limit: u32,
}

/// Where a page of the list of objects begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// So many objects are skipped. Each of them is looked at.
    Offset(u64),
    /// With the first object behind this position.
    After(Position),
}

/// The position of an object in the list, which stays where it is when the object is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose object it is. The list of one owner does not look at it.
    pub owner: String,
    /// When the object was uploaded, in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// The object's id.
    pub id: String,
}

impl ObjectPage {
    /// Whether at most 100 rows are looked at to read it.
    pub fn is_short(&self) -> bool {
        let skipped = match self.start {
            Start::Offset(offset) => offset,
            Start::After(_) => 0,
        };
        skipped.saturating_add(self.limit.into()) <= SHORT_ROWS
    }
}

impl From<Page> for ObjectPage {
    fn from(page: Page) -> Self {
        Self {
            start: Start::Offset(page.offset),
            limit: page.limit,
        }
    }
}

impl Position {
    /// Where this object is.
    pub fn of(object: &Object) -> Self {
        Self {
            owner: object.target.owner.clone(),
            created_at_ms: object.created_at_ms,
            id: object.target.id.clone(),
        }
    }

    /// The position in the list of its owner as text: the time and the id with a hyphen between, such
    /// as `1700000000000-p1`.
    pub fn cursor(&self) -> String {
        format!("{}-{}", self.created_at_ms, self.id)
    }

    /// What [`Position::cursor`] wrote, in the list of this owner.
    ///
    /// # Errors
    /// Not of this form.
    pub fn parse(kind: Kind, owner: String, cursor: &str) -> Result<Self, Malformed> {
        let malformed =
            || Malformed::new("position in a list", "a time in milliseconds, `-`, an id");
        let (time, id) = cursor.split_once('-').ok_or_else(malformed)?;
        let created_at_ms: i64 = time.parse().map_err(|_| malformed())?;
        // One form for each time: no sign, no leading zero.
        if created_at_ms.to_string() != time {
            return Err(malformed());
        }
        Ok(Self {
            owner,
            created_at_ms: u64::try_from(created_at_ms).map_err(|_| malformed())?,
            id: naming::id(kind, id)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, cursor: &str) -> Option<(u64, String)> {
        let position = Position::parse(kind, "6".to_owned(), cursor).ok()?;
        assert_eq!(position.cursor(), cursor);
        Some((position.created_at_ms, position.id))
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let some = |ms, id: &str| Some((ms, id.to_owned()));
        assert_eq!(parse(Kind::Photo, "0-a-b=&%"), some(0, "a-b=&%"));
        let guid = "fcc588f3-d1e8-47cd-8b08-e878daecb214";
        let cursor = format!("9223372036854775807-{guid}");
        assert_eq!(
            parse(Kind::Document, &cursor),
            some(9_223_372_036_854_775_807, guid)
        );
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let long = format!("1-{}", "x".repeat(65));
        let table = [
            "",
            "-",
            "1",
            "1-",
            "-1-a",
            "+1-a",
            "01-a",
            "1 -a",
            "x-a",
            "1-a b",
            "1-é",
            "9223372036854775808-a",
            &long,
        ];
        for cursor in table {
            assert_eq!(parse(Kind::Photo, cursor), None, "{cursor}");
        }
        assert_eq!(parse(Kind::Document, "1-p1"), None);
    }

    #[test]
    fn a_page_is_short_by_what_is_looked_at() {
        let short = |offset, limit| ObjectPage::from(Page { offset, limit }).is_short();
        assert!(short(0, 100) && short(75, 25));
        assert!(!short(0, 101) && !short(100, 1) && !short(u64::MAX, 1));
        let after = Position::parse(Kind::Photo, String::new(), "1-a").unwrap();
        let start = Start::After(after);
        assert!(ObjectPage { start, limit: 100 }.is_short());
    }
}
