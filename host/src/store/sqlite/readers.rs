//! Reads in place: a few connections that cannot write, each with its prepared statements.
//!
//! **Invariant:** no connection in the pool is inside a transaction, so an idle reader is never in
//! the way of a checkpoint.

use std::path::PathBuf;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::connect;
use crate::store::Result;

/// More than this many reads at once open connections that are not kept.
const KEPT: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Runs one statement, which sees one state of the database.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let outcome = work(&connection);
        let mut idle = self.idle.lock();
        if idle.len() < KEPT && connection.is_autocommit() {
            idle.push(connection);
        }
        outcome
    }

    /// Runs several statements, which all see the same state of the database.
    pub(super) fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let outcome = work(&transaction)?;
            transaction.finish()?;
            Ok(outcome)
        })
    }

    fn connect(&self) -> Result<Connection> {
        let connection = connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}
