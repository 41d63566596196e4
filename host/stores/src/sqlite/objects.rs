//! [`Objects`] in SQLite: find a row, erase a group, keep account of doomed bytes.

use async_trait::async_trait;
use atropos::error::Refused;
use atropos::step::{self, Step};
use atropos::store::decision::Decision;
use atropos::store::{
    Conflict, Doomed, EraseError, Erasure, First, Objects, Once, Removal, Result, Shred,
};
use atropos::target::{BlobKey, Object, Target};
use rusqlite::{Connection, Row, params};

use super::budgets::Account;
use super::error::Sql;
use super::rows::{
    all, execute, first, key, keys, object, optional, readable, signed, unsigned, word,
};
use super::{Sqlite, decisions, outcomes};

/// Reads one object as policies see it.
const FIND: &str = "
    SELECT tenant, kind, owner, public_id AS object_id, version, size_bytes, media_type,
        created_at_ms, labels, retain_until_ms,
        EXISTS (SELECT 1 FROM holds WHERE holds.object = objects.id) AS held
    FROM objects
    WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ?";

/// All that stands against an erasure is checked by the statement that erases. Versions begin anew
/// with each object, so the time of the upload tells an object from a predecessor of its name.
pub(super) const ERASE: &str = "
    DELETE FROM objects
    WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ?
        AND version = ? AND created_at_ms = ?
        AND (retain_until_ms IS NULL OR retain_until_ms <= ?)
        AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.object = objects.id)
    RETURNING id";

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

#[async_trait]
impl Objects for Sqlite {
    async fn find(&self, target: &Target) -> Result<Option<Object>> {
        step::pass(Step::RowsFind).await?;
        self.readers.read(|rows| find(rows, target))
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        step::pass(Step::RowsErase).await?;
        let outcomes = self.writer.write_each(group.to_vec(), erase_once).await?;
        let told = |outcome: Result<Result<Doomed, Conflict>>| Ok(outcome??);
        Ok(outcomes.into_iter().map(told).collect())
    }

    async fn first(&self, once: &Once) -> Result<Option<First>> {
        step::pass(Step::RowsFirst).await?;
        self.readers.snapshot(|rows| outcomes::first(rows, once))
    }

    async fn keep(&self, once: &Once, refused: &Refused) -> Result<First> {
        step::pass(Step::RowsKeep).await?;
        let (once, refused) = (once.clone(), refused.clone());
        self.writer
            .write(move |rows| match outcomes::first(rows, &once)? {
                Some(first) => Ok(first),
                None => {
                    outcomes::refused(rows, &once, &refused)?;
                    Ok(First::Refused(refused))
                }
            })
            .await
    }

    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        step::pass(Step::RowsRecord).await?;
        self.writer
            .write_each(decisions.to_vec(), |rows, decision| {
                decisions::record(rows, decision, false)
            })
            .await
    }

    async fn shreds(&self, by_ms: u64, limit: usize) -> Result<Vec<Shred>> {
        step::pass(Step::ShredLook).await?;
        let by_ms = signed(by_ms);
        // Looking is cheap and mostly finds nothing; only what is there needs the writer.
        let first = self.readers.read(|rows| due(rows, by_ms, limit.min(1)))?;
        if first.is_empty() {
            return Ok(Vec::new());
        }
        self.writer
            .write(move |rows| claim(rows, by_ms, limit))
            .await
    }

    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()> {
        step::pass(Step::ShredHasten).await?;
        let (erased, reserved) = (signed(erased_ms), signed(reserved_ms));
        let any = concat!("SELECT 1 FROM shreds WHERE ", late!(), " LIMIT 1");
        let late = self
            .readers
            .read(|rows| first(rows, any, [erased, reserved], |_| Ok(())))?;
        if late.is_none() {
            return Ok(());
        }
        let hasten = concat!(
            "UPDATE shreds SET not_before_ms = CASE WHEN ",
            erased!(),
            " THEN ?1 ELSE ?2 END WHERE ",
            late!()
        );
        self.writer
            .write(move |rows| {
                execute(rows, hasten, [erased, reserved])?;
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

    async fn postpone(&self, key: BlobKey, not_before_ms: u64, error: &str) -> Result<()> {
        step::pass(Step::ShredPostpone).await?;
        let (key, until, error) = (key.to_string(), signed(not_before_ms), error.to_owned());
        let postpone = "
            UPDATE shreds SET not_before_ms = ?, attempts = attempts + 1, last_error = ?
            WHERE key = ?";
        self.writer
            .write(move |rows| {
                execute(rows, postpone, params![until, error, key])?;
                Ok(())
            })
            .await
    }
}

/// The columns that name an object, in the order of its unique index.
macro_rules! name {
    ($target:expr $(, $more:expr)*) => {
        params![$target.tenant.0, $target.kind.as_str(), $target.owner, $target.id $(, $more)*]
    };
}
pub(super) use name;

fn find(rows: &Connection, target: &Target) -> Sql<Option<Object>> {
    first(rows, FIND, name!(target), object)
}

/// Erases unless this is a repeat, and keeps for repeats what came of it.
fn erase_once(rows: &Connection, erasure: &Erasure) -> Sql<Result<Doomed, Conflict>> {
    let Some(once) = &erasure.once else {
        return erase(rows, erasure);
    };
    if outcomes::first(rows, once)?.is_some() {
        return Ok(Err(Conflict::Repeated));
    }
    let outcome = erase(rows, erasure)?;
    step::pass_blocking(Step::EraseOutcome)?;
    match &outcome {
        Ok(doomed) => outcomes::erased(rows, once, &doomed.blobs)?,
        Err(conflict) => {
            let refused = Refused::from(conflict.clone());
            if refused.is_final() {
                outcomes::refused(rows, once, &refused)?;
            }
        }
    }
    Ok(outcome)
}

fn erase(rows: &Connection, erasure: &Erasure) -> Sql<Result<Doomed, Conflict>> {
    step::pass_blocking(Step::EraseRow)?;
    let (decision, target) = (&erasure.decision, erasure.decision.target());
    let judged = &decision.object;
    let account = Account::of(rows, erasure)?;
    if let Some(exhausted) = account.exhausted() {
        let conflict = conflict(rows, judged, erasure.at_ms)?;
        return Ok(Err(conflict.unwrap_or(Conflict::OverBudget(exhausted))));
    }
    let (version, created_at_ms) = (signed(judged.version), signed(judged.created_at_ms));
    let judged_now = name!(target, version, created_at_ms, signed(erasure.at_ms));
    let deleted = first(rows, ERASE, judged_now, |row| Ok(row.get::<_, i64>("id")?))?;
    let Some(id) = deleted else {
        let conflict = conflict(rows, judged, erasure.at_ms)?;
        return Ok(Err(conflict.unwrap_or(Conflict::Changed)));
    };
    step::pass_blocking(Step::EraseBudget)?;
    account.spend(rows)?;
    step::pass_blocking(Step::EraseBlobs)?;
    let take = "DELETE FROM blobs WHERE object = ? RETURNING key";
    let blobs: Vec<BlobKey> = all(rows, take, [id], |row| word(row, "key"))?;
    step::pass_blocking(Step::EraseEvent)?;
    let event = witness(rows, erasure)?;
    let doom = "INSERT INTO shreds (key, not_before_ms, event) VALUES (?, ?, ?)";
    let lease = signed(erasure.lease_until_ms);
    for key in &blobs {
        step::pass_blocking(Step::EraseShred)?;
        execute(rows, doom, params![key.to_string(), lease, event])?;
    }
    step::pass_blocking(Step::EraseDecision)?;
    decisions::record(rows, decision, true)?;
    Ok(Ok(Doomed { blobs }))
}

/// What stands against the erasure of an object as it was judged.
pub(super) fn conflict(rows: &Connection, judged: &Object, at_ms: u64) -> Sql<Option<Conflict>> {
    let now = find(rows, &judged.target)?;
    Ok(Conflict::between(judged, now.as_ref(), at_ms))
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

/// What is due, soonest first.
fn due(rows: &Connection, by_ms: i64, limit: usize) -> Sql<Vec<Shred>> {
    let due = "
        SELECT key, not_before_ms, attempts FROM shreds
        WHERE not_before_ms <= ? ORDER BY not_before_ms";
    readable(rows, "shreds", due, [by_ms], limit, shred)
}

/// A shred record.
pub(super) fn shred(row: &Row<'_>) -> Sql<Shred> {
    Ok(Shred {
        key: key(row)?,
        not_before_ms: unsigned(row, "not_before_ms")?,
        attempts: row.get("attempts")?,
    })
}

/// Marks what is due, so that no upload takes it back once its bytes may be removed.
fn claim(rows: &Connection, by_ms: i64, limit: usize) -> Sql<Vec<Shred>> {
    step::pass_blocking(Step::ShredClaim)?;
    let due = due(rows, by_ms, limit)?;
    let claim = "
        UPDATE shreds SET claimed = 1
        WHERE key IN (SELECT value FROM json_each(?)) AND claimed = 0";
    execute(rows, claim, [keys(due.iter().map(|shred| &shred.key))?])?;
    Ok(due)
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
