//! The bare loop: the rows of a delete in one durable transaction for a group, then an unlink for each.
//! Nobody asks and nobody answers; no disk lets anybody do more in this way.
//!
//! It works on a data directory that is furnished as for a server, and leaves out what a server does
//! besides: it records no decision, and strikes off no record of bytes that are gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::load::Seen;
use crate::stage::{self, Stage};

/// The loop, and the directory it works on.
pub(crate) struct Bare {
    data_dir: PathBuf,
    rows: Connection,
}

impl Bare {
    /// Opens a data directory that no server has open.
    ///
    /// # Errors
    /// The database does not open.
    pub(crate) fn open(data_dir: &Path) -> Result<Self> {
        let rows = Connection::open(data_dir.join("atropos.db"))?;
        rows.pragma_update(None, "synchronous", "FULL")?;
        rows.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
        rows.set_prepared_statement_cache_capacity(16);
        Ok(Self {
            data_dir: data_dir.to_owned(),
            rows,
        })
    }

    /// Deletes the photos of these numbers.
    ///
    /// # Errors
    /// One is not there, or the disk fails.
    pub(crate) fn delete(
        &mut self,
        stage: Stage,
        numbers: std::ops::Range<u64>,
        group: u64,
    ) -> Result<Seen> {
        let started = Instant::now();
        let mut latencies = Vec::new();
        let mut from = numbers.start;
        while from < numbers.end {
            let to = (from + group).min(numbers.end);
            let begun = Instant::now();
            for key in self.commit(stage, from..to)? {
                fs::remove_file(stage::blob(&self.data_dir, &key))?;
            }
            let took = begun.elapsed();
            latencies.extend((from..to).map(|_| took));
            from = to;
        }
        Ok(Seen {
            took: started.elapsed(),
            latencies,
        })
    }

    fn commit(&mut self, stage: Stage, numbers: std::ops::Range<u64>) -> Result<Vec<String>> {
        let transaction = self
            .rows
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut keys = Vec::new();
        for nth in numbers {
            let photo = stage.photo(nth);
            let object: i64 = transaction
                .prepare_cached(
                    "DELETE FROM objects WHERE tenant = (SELECT id FROM tenants WHERE website_id = ?)
                        AND kind = 'photo' AND owner = ? AND public_id = ? RETURNING id",
                )?
                .query_row(params![photo.website.cast_signed(), photo.user, photo.id], |row| row.get(0))?;
            let key: String = transaction
                .prepare_cached("DELETE FROM blobs WHERE object = ? RETURNING key")?
                .query_row([object], |row| row.get(0))?;
            let event = transaction
                .prepare_cached(
                    "INSERT INTO events (tenant, owner, activity, kind, object_id, at_ms, caller)
                    VALUES (1, ?, 'User Photo Delete', 'photo', ?, 0, '')",
                )?
                .insert(params![photo.user, photo.id])?;
            transaction
                .prepare_cached("INSERT INTO shreds (key, not_before_ms, event) VALUES (?, 0, ?)")?
                .execute(params![key, event])?;
            keys.push(key);
        }
        transaction.commit()?;
        Ok(keys)
    }
}
