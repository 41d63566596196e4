//! What SQLite makes durable, and when. Its fsyncs are its own; these say which of them it makes.

use atropos::step::Barrier;
use rusqlite::Connection;

use super::error::Sql;

/// A write is durable when its transaction has committed; a checkpoint, when it has returned.
const ALL: &str = "FULL";

/// Only checkpoints are durable.
const CHECKPOINTS: &str = "NORMAL";

/// Nothing is.
const NONE: &str = "OFF";

/// Sets what a connection makes durable.
pub(super) fn at_commit(connection: &Connection) -> Sql<()> {
    let commits = Barrier::Commit.is_kept();
    set(connection, if commits { ALL } else { CHECKPOINTS })
}

/// Moves all that is in the log to the database and empties the log. True if a reader is in the way.
pub(super) fn checkpoint(connection: &Connection) -> Sql<bool> {
    if Barrier::Checkpoint.is_kept() {
        return truncate(connection);
    }
    set(connection, NONE)?;
    let busy = truncate(connection);
    at_commit(connection)?;
    busy
}

fn truncate(connection: &Connection) -> Sql<bool> {
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection.query_row(checkpoint, [], |row| row.get::<_, i64>(0));
    Ok(busy? != 0)
}

fn set(connection: &Connection, level: &str) -> Sql<()> {
    Ok(connection.pragma_update(None, "synchronous", level)?)
}
