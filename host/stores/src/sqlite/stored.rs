//! Live objects with all that their owners may see, as one statement begins to read them.

use atropos::domain::{Rendition, Stored};
use rusqlite::{Connection, Row};

use super::error::Sql;
use super::rows::{all, object, unsigned, word};

/// Reads live objects with all that their owners may see; the condition follows.
macro_rules! stored {
    ($condition:literal) => {
        concat!(
            "SELECT id, tenant, kind, owner, public_id AS object_id, version, size_bytes,
                media_type, created_at_ms, labels, retain_until_ms, name, width, height,
                EXISTS (SELECT 1 FROM holds WHERE holds.object = objects.id) AS held
            FROM objects ",
            $condition
        )
    };
}

pub(super) use stored;

/// A row of a statement that [`stored!`] began.
pub(super) fn read(rows: &Connection, row: &Row<'_>) -> Sql<Stored> {
    let renditions = "
        SELECT name, key, size_bytes, media_type FROM blobs WHERE object = ? ORDER BY ordinal";
    let id: i64 = row.get("id")?;
    let (width, height): (Option<u32>, Option<u32>) = (row.get("width")?, row.get("height")?);
    Ok(Stored {
        object: object(row)?,
        name: row.get("name")?,
        dimensions: width.zip(height),
        renditions: all(rows, renditions, [id], |row| {
            Ok(Rendition {
                name: row.get("name")?,
                key: word(row, "key")?,
                size_bytes: unsigned(row, "size_bytes")?,
                media_type: row.get("media_type")?,
            })
        })?,
    })
}
