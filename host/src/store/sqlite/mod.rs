//! Rows in SQLite: point reads in place, long reads on threads that serve nothing, one writer.
//!
//! Writes go through one thread, which commits what has queued up together.
//!
//! **Invariant:** a write that was answered survives a crash.
//! **Invariant:** what was deleted is in none of the files once a checkpoint has followed, which is
//! tried within `CHECKPOINT_AFTER` of every write and again until no reader is in its way.

mod backlog;
pub mod backup;
mod budgets;
mod catalogue;
mod chains;
mod decisions;
mod error;
mod ledger;
mod lists;
mod objects;
mod outcomes;
mod policies;
mod readers;
mod reports;
mod revisions;
mod rows;
mod run;
mod schema;
mod shadows;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;
mod unreadable;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::Result;
use readers::Readers;
use writer::Writer;

#[cfg(test)]
pub(super) use tests::damage;

/// How soon after a write the files are freed of what it deleted.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(250);

/// How long a write waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The file in the data directory; SQLite keeps `-wal` and `-shm` beside it.
pub const FILE: &str = "atropos.db";

/// The embedded backend of [`super::Objects`], [`super::Chains`], [`super::Catalogue`],
/// [`super::Tenants`], [`super::Policies`] and [`super::Ledger`].
///
/// Several processes may have the same data directory open. Dropping it finishes the writes that
/// are queued and waits for them.
pub struct Sqlite {
    // Dropped first, so that no idle reader of this process is in the way of the last checkpoint.
    readers: Readers,
    writer: Writer,
}

impl Sqlite {
    /// Opens or creates `atropos.db` in the data directory.
    ///
    /// # Errors
    /// Unwritable, damaged, of a newer version, or beside a write-ahead log that is not its own.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE);
        run::refuse_stray_log(&path)?;
        let mut connection = connect(&path)?;
        schema::prepare(&mut connection)?;
        Ok(Self {
            readers: Readers::new(path),
            writer: Writer::start(connection)?,
        })
    }

    /// Frees the files of all that has been deleted so far.
    ///
    /// # Errors
    /// [`super::StoreError::Unavailable`] if a reader of another process is in the way; it is then
    /// tried again in the background.
    pub async fn checkpoint(&self) -> Result<()> {
        self.writer.checkpoint().await
    }
}

fn connect(path: &PathBuf) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans do not go by the values that are bound: else some statements would be compiled anew each
    // time, which took a sixth of what the server computes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Temporary tables and sorters would otherwise spill rows to files that nobody overwrites.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}
