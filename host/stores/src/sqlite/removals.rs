//! [`Removals`] in SQLite.
//!
//! `shreds.leased_until_ms` is 0 as long as nobody has ever claimed a record: only then an upload may take
//! it back.

use async_trait::async_trait;
use atropos::domain::{Claim, Owner, Removal, Shred};
use atropos::ports::{Removals, Result};
use atropos::step::{self, Step};
use atropos::target::BlobKey;
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::error::Sql;
use super::rows::{execute, first, key, keys, optional, readable, signed, unsigned};

/// Whether a shred record is of what was erased or tried in vain, and of no upload under way.
macro_rules! erased {
    () => {
        "(event IS NOT NULL OR attempts > 0)"
    };
}

/// Whether a shred record lies after the first time, or of an upload, after the second.
macro_rules! late {
    () => {
        concat!(
            "not_before_ms > ?1 AND (",
            erased!(),
            " OR not_before_ms > ?2)"
        )
    };
}

/// Whether somebody has a lease of a shred record beyond the first time.
macro_rules! held {
    () => {
        "leased_until_ms > 1 AND leased_until_ms > ?1"
    };
}

#[async_trait]
impl Removals for Sqlite {
    async fn claim(&self, wanted: &Claim) -> Result<Vec<Shred>> {
        step::pass(Step::ShredLook).await?;
        let wanted = *wanted;
        // Looking is cheap and mostly finds nothing; only what is there needs the writer.
        let some = wanted.limit.min(1);
        let first = self.readers.read(|rows| free(rows, wanted.by_ms, some))?;
        if first.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.write(move |rows| claim(rows, &wanted)).await
    }

    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()> {
        step::pass(Step::ShredHasten).await?;
        let (erased, reserved) = (signed(erased_ms), signed(reserved_ms));
        let late = concat!("SELECT 1 FROM shreds WHERE ", late!(), " LIMIT 1");
        let held = concat!("SELECT 1 FROM shreds WHERE ", held!(), " LIMIT 1");
        let any = self.readers.read(|rows| {
            let late = first(rows, late, [erased, reserved], |_| Ok(()))?;
            Ok(late.or(first(rows, held, [erased], |_| Ok(()))?))
        })?;
        if any.is_none() {
            return Ok(());
        }
        let hasten = concat!(
            "UPDATE shreds SET not_before_ms = CASE WHEN ",
            erased!(),
            " THEN ?1 ELSE ?2 END WHERE ",
            late!()
        );
        let end = concat!("UPDATE shreds SET leased_until_ms = ?1 WHERE ", held!());
        self.writer
            .write(move |rows| {
                execute(rows, hasten, [erased, reserved])?;
                execute(rows, end, [erased])?;
                Ok(())
            })
            .await
    }

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        self.writer
            .write_each(removed.to_vec(), |rows, (key, removal)| {
                step::pass_blocking(Step::ShredStrike)?;
                strike_off(rows, *key, *removal)
            })
            .await
    }

    async fn postpone(
        &self,
        owner: Owner,
        key: BlobKey,
        not_before_ms: u64,
        error: &str,
    ) -> Result<()> {
        step::pass(Step::ShredPostpone).await?;
        let (key, until, error) = (key.to_string(), signed(not_before_ms), error.to_owned());
        // A lease that ended at the epoch: it was claimed, and is no more.
        let postpone = "
            UPDATE shreds SET not_before_ms = ?, attempts = attempts + 1, last_error = ?,
                leased_until_ms = min(leased_until_ms, 1), owner = NULL
            WHERE key = ? AND (owner = ? OR owner IS NULL)";
        self.writer
            .write(move |rows| {
                execute(rows, postpone, params![until, error, key, owner.as_bytes()])?;
                Ok(())
            })
            .await
    }
}

/// What is due and nobody has a lease of, soonest first.
fn free(rows: &Connection, by_ms: u64, limit: usize) -> Sql<Vec<Shred>> {
    let free = "
        SELECT key, not_before_ms, attempts FROM shreds
        WHERE not_before_ms <= ?1 AND leased_until_ms <= ?1 ORDER BY not_before_ms";
    readable(rows, "shreds", free, [signed(by_ms)], limit, shred)
}

/// A shred record.
pub(super) fn shred(row: &Row<'_>) -> Sql<Shred> {
    Ok(Shred {
        key: key(row)?,
        not_before_ms: unsigned(row, "not_before_ms")?,
        attempts: row.get("attempts")?,
    })
}

/// Leases what is free, so that no upload takes it back once its bytes may be removed, and nobody else works
/// on it.
fn claim(rows: &Connection, wanted: &Claim) -> Sql<Vec<Shred>> {
    step::pass_blocking(Step::ShredClaim)?;
    let free = free(rows, wanted.by_ms, wanted.limit)?;
    let lease = "
        UPDATE shreds SET owner = ?, leased_until_ms = max(?, 1)
        WHERE key IN (SELECT value FROM json_each(?))";
    let keys = keys(free.iter().map(|shred| &shred.key))?;
    let values = params![wanted.owner.as_bytes(), signed(wanted.until_ms), keys];
    execute(rows, lease, values)?;
    Ok(free)
}

fn strike_off(rows: &Connection, key: BlobKey, removal: Removal) -> Sql<()> {
    let strike = "DELETE FROM shreds WHERE key = ? RETURNING event";
    let event = first(rows, strike, [key.to_string()], |row| {
        optional(row, "event")
    })?;
    if let (Some(Some(event)), Removal::Absent) = (event, removal) {
        let note = "UPDATE events SET bytes_absent = bytes_absent + 1 WHERE id = ?";
        execute(rows, note, [signed(event)])?;
    }
    Ok(())
}
