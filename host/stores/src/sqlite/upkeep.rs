//! [`Upkeep`] in SQLite.
//!
//! **Invariant:** a probe costs the same however many rows there are.

use std::sync::Arc;

use async_trait::async_trait;
use atropos::parts::Watched;
use atropos::ports::{Result, StoreError, Upkeep};
use atropos::target::now_ms;
use rusqlite::{Connection, params};
use rustix::fs::statvfs;

use super::error::Sql;
use super::rows::execute;
use super::{Sqlite, run};

/// The row of `instance` that is written.
const PROBED: &str = "probed-at-ms";

const PUT: &str = "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)";

/// A delete takes some pages in the log. With less room than this, one that writes more than the probe
/// finds none.
const LEAST_ROOM: u64 = 256 << 10;

#[async_trait]
impl Upkeep for Sqlite {
    async fn prove(&self) -> Result<()> {
        self.files.unchanged()
    }

    /// Writes one row, as a delete would, and waits until that is durable. Hardly any room counts as none.
    async fn probe(&self) -> Result<()> {
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

    /// Marks the database as that of a new run. If that fails, the marks that there were stay good.
    fn begin_run(&self) -> Result<()> {
        Ok(run::begin(self.files.path())?)
    }

    /// Empties the log. If a reader of another process is in the way, it is tried again in the background.
    async fn purge(&self) -> Result<()> {
        self.writer.checkpoint().await
    }

    fn part(&self) -> Option<Arc<Watched>> {
        Some(Arc::clone(self.writer.part()))
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
