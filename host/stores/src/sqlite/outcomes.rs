//! What became of requests that have a key, kept for their repeats.
//!
//! **Invariant:** an outcome is written in the transaction that has the effect, and never replaced
//! while it is kept.
//! **Invariant:** `outcome_counts` has the number of a caller's rows in `outcomes`, forgotten ones
//! included: it is changed in the transaction that adds or removes one. Only a caller who has a forgotten
//! one, which makes room, is given one beyond the bound.

use async_trait::async_trait;
use atropos::domain::repeat::{Kept, Outcome, StoredOutcome};
use atropos::domain::{First, Once};
use atropos::error::Refused;
use atropos::ports::{Outcomes, Result};
use atropos::step::{self, Step};
use atropos::target::BlobKey;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, params};
use uuid::Uuid;

use super::Sqlite;
use super::error::Sql;
use super::rows::{
    all, digest, execute, first as first_row, json, maybe, signed, to_json, unsigned,
};

/// How many forgotten outcomes a new one takes away.
const TIDIED_AT_ONCE: u32 = 8;

#[async_trait]
impl Outcomes for Sqlite {
    async fn first(&self, once: &Once) -> Result<Option<First>> {
        step::pass(Step::RowsFirst).await?;
        self.readers.snapshot(|rows| first(rows, once))
    }

    async fn keep(&self, once: &Once, refused: &Refused, decision: Option<Uuid>) -> Result<First> {
        step::pass(Step::RowsKeep).await?;
        let (once, refused) = (once.clone(), refused.clone());
        self.writer
            .write(move |rows| match first(rows, &once)? {
                Some(first) => Ok(first),
                None => {
                    self::refused(rows, &once, &refused, decision)?;
                    Ok(First::Kept(StoredOutcome {
                        outcome: Outcome::Refused(refused),
                        decision,
                    }))
                }
            })
            .await
    }
}

/// What became of the first request of this key, if it is kept, or that no more can be kept.
pub(super) fn first(rows: &Connection, once: &Once) -> Sql<Option<First>> {
    let count = "SELECT kept FROM outcome_counts WHERE caller = ?";
    let oldest = "SELECT at_ms FROM outcomes WHERE caller = ? ORDER BY at_ms LIMIT 1";
    let caller = [once.caller.0];
    once.first(
        kept(rows, once)?,
        || {
            let count = first_row(rows, count, caller, |row| unsigned(row, "kept"))?;
            Ok(count.unwrap_or_default())
        },
        || first_row(rows, oldest, caller, |row| unsigned(row, "at_ms")),
    )
}

fn kept(rows: &Connection, once: &Once) -> Sql<Option<Kept>> {
    let kept = "
        SELECT meaning, at_ms, doomed, refused, decision FROM outcomes WHERE id = ?";
    first_row(rows, kept, [once.id.0], |row| {
        let outcome = match row.get_ref("refused")? {
            ValueRef::Null => Outcome::Erased(left(rows, json(row, "doomed")?)?),
            _ => Outcome::Refused(json(row, "refused")?),
        };
        Ok(Kept {
            meaning: digest(row, "meaning")?,
            at_ms: unsigned(row, "at_ms")?,
            stored: StoredOutcome {
                outcome,
                decision: maybe(row, "decision")?,
            },
        })
    })
}

/// Those that have a shred record still.
fn left(rows: &Connection, doomed: Vec<BlobKey>) -> Sql<Vec<BlobKey>> {
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
pub(super) fn erased(
    rows: &Connection,
    once: &Once,
    doomed: &[BlobKey],
    decision: Uuid,
) -> Sql<()> {
    keep(rows, once, Some(to_json(doomed)?), None, Some(decision))
}

/// Keeps what a request was refused with.
pub(super) fn refused(
    rows: &Connection,
    once: &Once,
    refused: &Refused,
    decision: Option<Uuid>,
) -> Sql<()> {
    keep(rows, once, None, Some(to_json(refused)?), decision)
}

fn keep(
    rows: &Connection,
    once: &Once,
    doomed: Option<String>,
    refused: Option<String>,
    decision: Option<Uuid>,
) -> Sql<()> {
    let old = "
        DELETE FROM outcomes WHERE id IN (
            SELECT id FROM outcomes WHERE at_ms <= ? ORDER BY at_ms LIMIT ?)
        RETURNING caller";
    let forgotten = signed(once.forgotten_ms);
    forget(rows, old, params![forgotten, TIDIED_AT_ONCE])?;
    // What it replaces is forgotten already.
    let replaced = "DELETE FROM outcomes WHERE id = ? RETURNING caller";
    forget(rows, replaced, [once.id.0])?;
    let count = "
        INSERT INTO outcome_counts (caller, kept) VALUES (?, 1)
        ON CONFLICT (caller) DO UPDATE SET kept = kept + 1 RETURNING kept";
    let count = first_row(rows, count, [once.caller.0], |row| unsigned(row, "kept"))?;
    if count.is_some_and(|count| count > once.most) {
        let own = "
            DELETE FROM outcomes WHERE id IN (
                SELECT id FROM outcomes WHERE caller = ? AND at_ms <= ? ORDER BY at_ms LIMIT ?)
            RETURNING caller";
        let own_values = params![once.caller.0, forgotten, TIDIED_AT_ONCE];
        forget(rows, own, own_values)?;
    }
    let put = "
        INSERT INTO outcomes (id, meaning, at_ms, doomed, refused, caller, decision)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        once.id.0,
        once.meaning.0,
        signed(once.at_ms),
        doomed,
        refused,
        once.caller.0,
        decision.map(|id| id.to_string()),
    ];
    execute(rows, put, values)?;
    Ok(())
}

/// Takes outcomes away by a statement that returns their callers, and counts them off.
fn forget(rows: &Connection, sql: &str, params: impl Params) -> Sql<()> {
    let callers: Vec<Option<[u8; 32]>> = all(rows, sql, params, |row| Ok(row.get("caller")?))?;
    for caller in callers.into_iter().flatten() {
        let count = "UPDATE outcome_counts SET kept = kept - 1 WHERE caller = ? RETURNING kept";
        let count = first_row(rows, count, [caller], |row| Ok(row.get::<_, i64>("kept")?))?;
        if count.is_some_and(|count| count <= 0) {
            execute(
                rows,
                "DELETE FROM outcome_counts WHERE caller = ?",
                [caller],
            )?;
        }
    }
    Ok(())
}
