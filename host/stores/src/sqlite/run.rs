//! Tells a write-ahead log that belongs to the database beside it from one that does not.
//!
//! SQLite cannot: it applies whatever `-wal` lies beside a database, and a database that was put back by
//! hand beside the log of a killed server is damaged by it. So each server marks its run: the mark is
//! in the database file itself before the server writes anything else, and in `atropos.db-run` beside
//! it. A log that is not empty was written in that run; a database file without its mark is another one.
//!
//! ```text
//! start: file says old and new ─► row says new ─► checkpoint ─► file says new
//! ```
//!
//! Not told apart is a copy that was made by hand during the very run whose log it is put beside.
//!
//! **Invariant:** whatever step of a start is cut short, the file names the mark of the database.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use atropos::ports::StoreError;
use atropos::step::Barrier;
use rusqlite::Connection;
use uuid::Uuid;

use super::error::Sql;
use super::open::{connect, immutable};
use super::rows::{execute, first};
use crate::private;

/// The row of `instance` that names the run.
const RUN: &str = "run";

/// How long a start waits for verbs that read or write beside it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Marks the database at this path as that of a new run.
pub(super) fn begin(path: &Path) -> Sql<()> {
    let connection = connect(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // What the log says of the run is in the file from here on.
    checkpoint(&connection)?;
    let new = Uuid::new_v4().to_string();
    let old = mark(&connection)?.unwrap_or_default();
    name(path, &[&old, &new])?;
    let put = "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)";
    execute(&connection, put, [RUN, &new])?;
    checkpoint(&connection)?;
    name(path, &[&new])
}

/// Takes the mark out of a copy, which is of no run.
pub(super) fn forget(rows: &Connection) -> Sql<()> {
    execute(rows, "DELETE FROM instance WHERE name = ?", [RUN])?;
    Ok(())
}

/// Refuses a database beside a log that was not written to it.
pub(super) fn refuse_stray_log(path: &Path) -> Sql<()> {
    let log = std::fs::metadata(beside(path, "-wal"));
    if !log.is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    // Of earlier versions, or never served.
    let Ok(named) = std::fs::read_to_string(beside(path, "-run")) else {
        return Ok(());
    };
    // A file that was cut off amid a checkpoint may not be readable without its log.
    let Ok(mark) = immutable(path).and_then(|database| mark(&database)) else {
        return Ok(());
    };
    match named
        .lines()
        .any(|named| named == mark.as_deref().unwrap_or_default())
    {
        true => Ok(()),
        false => Err(StoreError::StrayLog.into()),
    }
}

fn mark(rows: &Connection) -> Sql<Option<String>> {
    let run = "SELECT value FROM instance WHERE name = ?";
    first(rows, run, [RUN], |row| Ok(row.get("value")?))
}

/// Takes all that is in the log into the file.
fn checkpoint(connection: &Connection) -> Sql<()> {
    let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
    match connection.query_row(truncate, [], |row| row.get::<_, i64>(0))? {
        0 => Ok(()),
        _ => Err(StoreError::Unavailable("a reader is in the way".into()).into()),
    }
}

/// Writes the marks that are good, whole or not at all.
fn name(path: &Path, marks: &[&str]) -> Sql<()> {
    Ok(write(path, marks).map_err(|error| StoreError::Unavailable(error.into()))?)
}

fn write(path: &Path, marks: &[&str]) -> io::Result<()> {
    let (file, new) = (beside(path, "-run"), beside(path, "-run.new"));
    let mut written = private::file().truncate(true).open(&new)?;
    for mark in marks {
        writeln!(written, "{mark}")?;
    }
    Barrier::Run.sync(&written)?;
    std::fs::rename(new, &file)?;
    match file.parent() {
        Some(folder) => Barrier::RunEntry.sync(&File::open(folder)?),
        None => Ok(()),
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
