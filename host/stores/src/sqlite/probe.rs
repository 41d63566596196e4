//! Whether a write would be taken now: one is made.
//!
//! **Invariant:** that costs the same however many rows there are.

use std::sync::Arc;

use atropos::parts::Watched;
use atropos::store::{Result, StoreError};
use atropos::target::now_ms;
use rusqlite::{Connection, params};
use rustix::fs::statvfs;

use super::Sqlite;
use super::error::Sql;
use super::rows::execute;

/// The row of `instance` that is written.
const PROBED: &str = "probed-at-ms";

const PUT: &str = "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)";

/// A delete takes some pages in the log. With less room than this, one that writes more than the probe
/// finds none.
const LEAST_ROOM: u64 = 256 << 10;

impl Sqlite {
    /// The thread that writes.
    pub fn part(&self) -> &Arc<Watched> {
        self.writer.part()
    }

    /// Writes one row, as a delete would, and waits until that is durable.
    ///
    /// # Errors
    /// A delete would not be written either; [`StoreError::Full`] also if there is hardly any room.
    pub async fn probe(&self) -> Result<()> {
        let path = self.files.path().to_owned();
        let write = move |rows: &Connection| -> Sql<()> {
            let volume = statvfs(&path).map_err(|error| StoreError::Unavailable(error.into()))?;
            if volume.f_bavail.saturating_mul(volume.f_frsize) < LEAST_ROOM {
                return Err(StoreError::Full("there is hardly any room left".into()).into());
            }
            execute(rows, PUT, params![PROBED, now_ms().to_string()])?;
            Ok(())
        };
        self.writer.write(write).await
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::sqlite::{FILE, connect};

    #[tokio::test]
    async fn a_probe_costs_the_same_however_many_rows_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).unwrap();
        sqlite.probe().await.unwrap();
        let rows = connect(&folder.path().join(FILE)).unwrap();
        let steps = || {
            let mut put = rows.prepare(PUT).unwrap();
            put.execute(params![PROBED, "1"]).unwrap();
            put.get_status(StatementStatus::VmStep)
        };
        let few = steps();
        let many = "
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO instance (name, value) SELECT 'name-' || i, '' FROM n";
        rows.execute_batch(many).unwrap();
        assert_eq!(steps(), few);
        sqlite.probe().await.unwrap();
    }
}
