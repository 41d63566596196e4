//! [`Objects`] in SQLite: find a row, erase a group.

use async_trait::async_trait;
use atropos::domain::budget::{Account, Noted};
use atropos::domain::decide::{Decided, Held, decide};
use atropos::domain::{Conflict, Doomed, Erasure};
use atropos::ports::{EraseError, Objects, Result, StoreError};
use atropos::step::{self, Step};
use atropos::target::{BlobKey, Object, Target};
use rusqlite::{Connection, params};

use super::error::Sql;
use super::rows::{all, execute, first, object, signed, word};
use super::{Sqlite, budgets, decisions, outcomes};

/// Reads one object as policies see it.
const FIND: &str = "
    SELECT tenant, kind, owner, public_id AS object_id, version, size_bytes, media_type,
        created_at_ms, labels, retain_until_ms,
        EXISTS (SELECT 1 FROM holds WHERE holds.object = objects.id) AS held
    FROM objects
    WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ?";

/// Erases what was decided about, and nothing else: what must hold of it is asserted here once more.
/// Versions begin anew with each object, so the time of the upload tells an object from a predecessor of
/// its name.
const ERASE: &str = "
    DELETE FROM objects
    WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ?
        AND version = ? AND created_at_ms = ?
        AND (retain_until_ms IS NULL OR retain_until_ms <= ?)
        AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.object = objects.id)
    RETURNING id";

#[async_trait]
impl Objects for Sqlite {
    async fn find(&self, target: &Target) -> Result<Option<Object>> {
        step::pass(Step::RowsFind).await?;
        self.readers.read(|rows| find(rows, target))
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        step::pass(Step::RowsErase).await?;
        let outcomes = self.writer.write_each(group.to_vec(), commit).await?;
        let told = |outcome: Result<Result<Doomed, Conflict>>| Ok(outcome??);
        Ok(outcomes.into_iter().map(told).collect())
    }
}

/// The columns that name an object, in the order of its unique index.
macro_rules! name {
    ($target:expr $(, $more:expr)*) => {
        params![$target.tenant.0, $target.kind.as_str(), $target.owner, $target.id $(, $more)*]
    };
}
pub(super) use name;

pub(super) fn find(rows: &Connection, target: &Target) -> Sql<Option<Object>> {
    first(rows, FIND, name!(target), object)
}

/// Loads what an erasure depends on, has it decided, and writes what was decided.
fn commit(rows: &Connection, erasure: &Erasure) -> Sql<Result<Doomed, Conflict>> {
    let once = erasure.once.as_ref();
    let first = once.map(|once| outcomes::first(rows, once)).transpose()?;
    let held = Held {
        first: first.flatten(),
        object: find(rows, erasure.decision.target())?,
        account: budgets::account(rows, erasure)?,
    };
    match decide(erasure, &held) {
        Decided::Erase { counts } => {
            let doomed = erase(rows, erasure, &held.account, &counts)?;
            if let Some(once) = once {
                step::pass_blocking(Step::EraseOutcome)?;
                outcomes::erased(rows, once, &doomed.blobs, erasure.decision.id)?;
            }
            Ok(Ok(doomed))
        }
        Decided::Refuse {
            conflict,
            kept,
            counts,
        } => {
            budgets::note(rows, erasure, &counts)?;
            if let (Some(once), Some(refused)) = (once, kept) {
                step::pass_blocking(Step::EraseOutcome)?;
                // What conflicts leaves no decision on record.
                outcomes::refused(rows, once, &refused, None)?;
            }
            Ok(Err(conflict))
        }
    }
}

fn erase(rows: &Connection, erasure: &Erasure, account: &Account, counts: &[Noted]) -> Sql<Doomed> {
    step::pass_blocking(Step::EraseRow)?;
    let decision = &erasure.decision;
    let id = take(rows, &decision.object, erasure.at_ms)?;
    step::pass_blocking(Step::EraseBudget)?;
    budgets::note(rows, erasure, counts)?;
    budgets::tidy(rows, account.forgotten_ms(erasure.at_ms))?;
    step::pass_blocking(Step::EraseBlobs)?;
    let take = "DELETE FROM blobs WHERE object = ? RETURNING key";
    let blobs: Vec<BlobKey> = all(rows, take, [id], |row| word(row, "key"))?;
    step::pass_blocking(Step::EraseEvent)?;
    let event = witness(rows, erasure)?;
    let doom = "INSERT INTO shreds (key, not_before_ms, event, owner) VALUES (?, ?, ?, ?)";
    let (lease, owner) = (signed(erasure.lease_until_ms), erasure.owner.as_bytes());
    for key in &blobs {
        step::pass_blocking(Step::EraseShred)?;
        execute(rows, doom, params![key.to_string(), lease, event, owner])?;
    }
    step::pass_blocking(Step::EraseDecision)?;
    decisions::record(rows, decision, true)?;
    Ok(Doomed { blobs })
}

/// Takes the row of an object away that was judged so, and returns which it was.
pub(super) fn take(rows: &Connection, judged: &Object, at_ms: u64) -> Sql<i64> {
    let (version, created_at_ms) = (signed(judged.version), signed(judged.created_at_ms));
    let values = name!(judged.target, version, created_at_ms, signed(at_ms));
    let id = first(rows, ERASE, values, |row| Ok(row.get("id")?))?;
    Ok(id.ok_or_else(|| StoreError::Corrupt {
        what: "an object was not as it was read under the same lock".to_owned(),
    })?)
}

/// Writes the event that the owner's activity shows, and returns its row.
fn witness(rows: &Connection, erasure: &Erasure) -> Sql<i64> {
    let insert = "
        INSERT INTO events (tenant, owner, activity, kind, object_id, at_ms, caller, decision)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let (decision, target) = (&erasure.decision, erasure.decision.target());
    let values = params![
        target.tenant.0,
        target.owner,
        target.kind.erasure_event(),
        target.kind.as_str(),
        target.id,
        signed(erasure.at_ms),
        decision.caller.id,
        decision.id.to_string(),
    ];
    Ok(rows.prepare_cached(insert)?.insert(values)?)
}
