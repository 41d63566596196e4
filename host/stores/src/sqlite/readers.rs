//! Reads: a few connections that cannot write, each with its prepared statements.
//!
//! A point read costs less than to wake another thread, so it runs in place, on a thread that serves.
//! What can be long (a list, a count, bytes of megabytes) runs on a thread that serves nothing.
//!
//! **Invariant:** no connection in the pool is inside a transaction, so an idle reader is never in
//! the way of a checkpoint.
//! **Invariant:** every connection is to the files that the writer writes.

use std::sync::Arc;

use atropos::ports::{Result, StoreError};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::task::spawn_blocking;

use super::error::{Sql, told};
use super::files::Files;
use super::open::connect;

/// More than this many reads at once open connections that are not kept.
const KEPT: usize = 8;

pub(super) struct Readers(Arc<Pool>);

struct Pool {
    files: Arc<Files>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(files: Arc<Files>) -> Self {
        Self(Arc::new(Pool {
            files,
            idle: Mutex::new(Vec::new()),
        }))
    }

    /// Runs one statement in place, which sees one state of the database.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        self.0.read(work)
    }

    /// Runs several statements in place, which all see the same state of the database.
    pub(super) fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        self.0.snapshot(work)
    }

    /// Like [`Readers::read`], on a thread that serves nothing. It runs to its end even if the caller
    /// does not wait.
    pub(super) async fn read_long<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Sql<T> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let outcome = spawn_blocking(move || pool.read(work)).await;
        outcome.unwrap_or_else(|error| Err(StoreError::Unavailable(error.into())))
    }

    /// Like [`Readers::snapshot`], on a thread that serves nothing. It runs to its end even if the
    /// caller does not wait.
    pub(super) async fn snapshot_long<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Sql<T> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let outcome = spawn_blocking(move || pool.snapshot(work)).await;
        outcome.unwrap_or_else(|error| Err(StoreError::Unavailable(error.into())))
    }
}

impl Pool {
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        self.files.unchanged_lately()?;
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let outcome = told(|| work(&connection));
        let mut idle = self.idle.lock();
        if idle.len() < KEPT && connection.is_autocommit() {
            idle.push(connection);
        }
        outcome
    }

    fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let outcome = work(&transaction)?;
            transaction.finish()?;
            Ok(outcome)
        })
    }

    fn connect(&self) -> Result<Connection> {
        let connection = connect(self.files.path());
        // What was opened, or was not there, may be another file than the writer's.
        self.files.unchanged()?;
        told(|| {
            let connection = connection?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(connection)
        })
    }
}
