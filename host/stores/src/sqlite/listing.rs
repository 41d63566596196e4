//! [`Listing`] in SQLite.
//!
//! **Invariant:** a page that begins after a position is a range of an index, and is not sorted. A page
//! that begins at an offset skips entries of that index, and no row behind them.

use async_trait::async_trait;
use atropos::domain::Stored;
use atropos::domain::keyset::{ObjectPage, Start};
use atropos::ports::{Listing, Result};
use atropos::step::{self, Step};
use atropos::target::{BlobKey, Kind, Target, TenantId};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::error::Sql;
use super::objects::name;
use super::rows::{all, first, signed};
use super::stored::{self, stored};

// SQLite cannot know how many rows an owner has, so the index is named.
const OF_OWNER: &str = stored!(
    "INDEXED BY objects_by_owner WHERE tenant = ? AND kind = ? AND owner = ?
    ORDER BY created_at_ms, public_id LIMIT ? OFFSET ?"
);
const OF_OWNER_AFTER: &str = stored!(
    "INDEXED BY objects_by_owner WHERE tenant = ? AND kind = ? AND owner = ?
        AND (created_at_ms, public_id) > (?, ?)
    ORDER BY created_at_ms, public_id LIMIT ?"
);
const OF_ALL: &str = stored!(
    "INDEXED BY objects_by_owner WHERE tenant = ? AND kind = ?
    ORDER BY owner, created_at_ms, public_id LIMIT ? OFFSET ?"
);
const OF_ALL_AFTER: &str = stored!(
    "INDEXED BY objects_by_owner WHERE tenant = ? AND kind = ?
        AND (owner, created_at_ms, public_id) > (?, ?, ?)
    ORDER BY owner, created_at_ms, public_id LIMIT ?"
);

#[async_trait]
impl Listing for Sqlite {
    async fn show(&self, target: &Target) -> Result<Option<Stored>> {
        let one = stored!("WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ?");
        self.readers
            .snapshot(|rows| first(rows, one, name!(target), |row| stored::read(rows, row)))
    }

    async fn by_blob(&self, key: BlobKey) -> Result<Option<Stored>> {
        let one = stored!("WHERE id = (SELECT object FROM blobs WHERE key = ?)");
        self.readers
            .snapshot(|rows| first(rows, one, [key.to_string()], |row| stored::read(rows, row)))
    }

    async fn is_named(&self, key: BlobKey) -> Result<bool> {
        let named = "SELECT 1 FROM blobs WHERE key = ?";
        let named = |rows: &Connection| first(rows, named, [key.to_string()], |_| Ok(()));
        Ok(self.readers.read(named)?.is_some())
    }

    async fn list(
        &self,
        tenant: TenantId,
        kind: Kind,
        owner: Option<&str>,
        page: ObjectPage,
    ) -> Result<Vec<Stored>> {
        if page.is_short() {
            let readers = &self.readers;
            return readers.snapshot(|rows| objects(rows, tenant, kind, owner, &page));
        }
        let owner = owner.map(str::to_owned);
        self.readers
            .snapshot_long(move |rows| {
                step::pass_blocking(Step::RowsList)?;
                objects(rows, tenant, kind, owner.as_deref(), &page)
            })
            .await
    }
}

/// The objects of one owner, or of all of them.
fn objects(
    rows: &Connection,
    tenant: TenantId,
    kind: Kind,
    owner: Option<&str>,
    page: &ObjectPage,
) -> Sql<Vec<Stored>> {
    let (tenant, kind, limit) = (tenant.0, kind.as_str(), page.limit);
    let read = |row: &Row<'_>| stored::read(rows, row);
    match (&page.start, owner) {
        (Start::Offset(offset), Some(owner)) => {
            let values = params![tenant, kind, owner, limit, signed(*offset)];
            all(rows, OF_OWNER, values, read)
        }
        (Start::Offset(offset), None) => {
            let values = params![tenant, kind, limit, signed(*offset)];
            all(rows, OF_ALL, values, read)
        }
        (Start::After(after), Some(owner)) => {
            let created = signed(after.created_at_ms);
            let values = params![tenant, kind, owner, created, after.id, limit];
            all(rows, OF_OWNER_AFTER, values, read)
        }
        (Start::After(after), None) => {
            let created = signed(after.created_at_ms);
            let values = params![tenant, kind, after.owner, created, after.id, limit];
            all(rows, OF_ALL_AFTER, values, read)
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::params_from_iter;

    use super::*;
    use crate::sqlite::Sqlite;

    #[test]
    fn a_page_is_a_range_of_an_index_and_is_not_sorted() {
        let table = [
            (OF_OWNER, 5, "(tenant=? AND kind=? AND owner=?)"),
            (
                OF_OWNER_AFTER,
                6,
                "(tenant=? AND kind=? AND owner=? AND (created_at_ms,public_id)>(?,?))",
            ),
            (OF_ALL, 4, "(tenant=? AND kind=?)"),
            (
                OF_ALL_AFTER,
                6,
                "(tenant=? AND kind=? AND (owner,created_at_ms,public_id)>(?,?,?))",
            ),
        ];
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        for (sql, values, range) in table {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let plan = sqlite.readers.read(|rows| {
                let values = params_from_iter((0..values).map(|_| 1));
                all(rows, &explain, values, |row| {
                    Ok(row.get::<_, String>("detail")?)
                })
            });
            let plan = plan.unwrap().join("\n");
            let search = format!("SEARCH objects USING INDEX objects_by_owner {range}");
            assert!(plan.contains(&search), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
