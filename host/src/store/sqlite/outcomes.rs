//! What became of requests that have a key, kept for their repeats.
//!
//! **Invariant:** an outcome is written in the transaction that has the effect, and never replaced
//! while it is kept.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::rows::{digest, execute, first as first_row, json, signed, to_json};
use crate::error::Refused;
use crate::store::{First, Once, Result};
use crate::target::BlobKey;

/// How many forgotten outcomes a new one takes away.
const TIDIED_AT_ONCE: u32 = 8;

/// What became of the first request of this key, if it is kept.
pub(super) fn first(rows: &Connection, once: &Once) -> Result<Option<First>> {
    let kept = "
        SELECT meaning, doomed, refused FROM outcomes WHERE id = ? AND at_ms > ?";
    let values = params![once.id.0, signed(once.forgotten_ms)];
    let kept = first_row(rows, kept, values, |row| {
        if digest(row, "meaning")? != once.meaning {
            return Ok(First::Another);
        }
        match row.get_ref("refused")? {
            ValueRef::Null => Ok(First::Erased(json(row, "doomed")?)),
            _ => Ok(First::Refused(json(row, "refused")?)),
        }
    })?;
    match kept {
        Some(First::Erased(doomed)) => Ok(Some(First::Erased(left(rows, doomed)?))),
        other => Ok(other),
    }
}

/// Those that have a shred record still.
fn left(rows: &Connection, doomed: Vec<BlobKey>) -> Result<Vec<BlobKey>> {
    let recorded = "SELECT 1 FROM shreds WHERE key = ?";
    let mut left = Vec::new();
    for key in doomed {
        if first_row(rows, recorded, [key.to_string()], |_| Ok(()))?.is_some() {
            left.push(key);
        }
    }
    Ok(left)
}

/// Keeps that a request has erased.
pub(super) fn erased(rows: &Connection, once: &Once, doomed: &[BlobKey]) -> Result<()> {
    keep(rows, once, Some(to_json(doomed)?), None)
}

/// Keeps what a request was refused with.
pub(super) fn refused(rows: &Connection, once: &Once, refused: &Refused) -> Result<()> {
    keep(rows, once, None, Some(to_json(refused)?))
}

fn keep(
    rows: &Connection,
    once: &Once,
    doomed: Option<String>,
    refused: Option<String>,
) -> Result<()> {
    let forget = "
        DELETE FROM outcomes WHERE id IN (
            SELECT id FROM outcomes WHERE at_ms <= ? ORDER BY at_ms LIMIT ?)";
    let forgotten = signed(once.forgotten_ms);
    execute(rows, forget, params![forgotten, TIDIED_AT_ONCE])?;
    // What it replaces is forgotten already.
    let put = "
        INSERT OR REPLACE INTO outcomes (id, meaning, at_ms, doomed, refused)
        VALUES (?, ?, ?, ?, ?)";
    let values = params![
        once.id.0,
        once.meaning.0,
        signed(once.at_ms),
        doomed,
        refused
    ];
    execute(rows, put, values)?;
    Ok(())
}
