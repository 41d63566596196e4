//! Rows in SQLite: point reads in place, long reads on threads that serve nothing, one writer.
//!
//! Writes go through one thread, which commits what has queued up together.
//!
//! **Invariant:** a write that was answered survives a crash, in the file that has the database's name.
//! **Invariant:** what was deleted is in none of the files once a checkpoint has followed, which is
//! tried within `writer::CHECKPOINT_AFTER` of every write and again until no reader is in its way.

mod backlog;
pub mod backup;
mod budgets;
mod chains;
mod changes;
mod components;
mod credentials;
mod decisions;
mod durability;
mod error;
mod files;
mod history;
mod ledger;
mod listing;
mod objects;
mod open;
mod outcomes;
mod readers;
mod removals;
mod replays;
mod revisions;
mod rows;
mod run;
mod schema;
mod shadows;
mod stored;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;
mod unreadable;
mod upkeep;
mod uploads;
mod volume;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;

use atropos::ports::{Result, StoreError};
use files::Files;
use readers::Readers;
#[cfg(test)]
pub(super) use tests::damage;
use writer::Writer;

use self::open::{connect, create};

/// What all of it may take: each connection has a page cache of 2 MiB, SQLite's own default, and there
/// are the writer, the readers that are kept, and those of long reads.
pub const MEMORY_BYTES: u64 = 64 << 20;

/// The file in the data directory; SQLite keeps `-wal` and `-shm` beside it.
pub const FILE: &str = "atropos.db";

/// The embedded [`atropos::ports::Database`].
///
/// Several processes may have the same data directory open. Dropping it finishes the writes that
/// are queued and waits for them.
pub struct Sqlite {
    // Dropped first, so that no idle reader of this process is in the way of the last checkpoint.
    readers: Readers,
    writer: Writer,
    files: Arc<Files>,
}

impl Sqlite {
    /// Opens or creates `atropos.db` in the data directory.
    ///
    /// # Errors
    /// Unwritable, damaged, of a newer version, or beside a write-ahead log that is not its own.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE);
        run::refuse_stray_log(&path)?;
        let before = files::identity(&path)?;
        let mut connection = match before {
            Some(_) => connect(&path)?,
            None => create(&path)?,
        };
        schema::prepare(&mut connection)?;
        let files = Arc::new(Files::opened(&path)?);
        if before.is_some() && !files.are_of(before) {
            return Err(StoreError::WrongDatabase);
        }
        Ok(Self {
            readers: Readers::new(Arc::clone(&files)),
            writer: Writer::start(connection, Arc::clone(&files))?,
            files,
        })
    }

    /// Whether a data directory has a database. A file without a byte is what an attempt to look into
    /// a missing one leaves.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn exists(data_dir: &Path) -> Result<bool> {
        match std::fs::metadata(data_dir.join(FILE)) {
            Ok(found) => Ok(found.len() > 0),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::Unavailable(error.into())),
        }
    }
}
