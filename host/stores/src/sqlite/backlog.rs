//! [`PendingRemovals`] in SQLite.
//!
//! **Invariant:** whether much or little waits, the due and the tried are each a range of an index, and of
//! no range more is looked at than is counted or listed.

use async_trait::async_trait;
use atropos::domain::removals::{Backlog, Overdue};
use atropos::ports::{PendingRemovals, Result};
use rusqlite::{Connection, Row, params};

use super::Sqlite;
use super::error::Sql;
use super::rows::{execute, first, key, optional, readable, signed, unsigned};

// Of what was tried, that which is due is counted with the due. If more was tried than is looked at,
// then what is looked at is due, and counted there, or counted here: in all, as much as is counted. A
// record whose attempts make no sense does not hide how many wait.
const COUNT: &str = "
    SELECT
        (SELECT count(*) FROM (
            SELECT 1 FROM shreds WHERE not_before_ms <= ?1 LIMIT ?2)) AS due,
        (SELECT count(*) FROM (
            SELECT not_before_ms FROM shreds WHERE attempts > 0 LIMIT ?2)
            WHERE not_before_ms > ?1) AS tried,
        (SELECT coalesce(max(attempts), 0) FROM shreds
            WHERE attempts > 0 AND attempts <= 4294967295) AS most_attempts";

/// Reads shred records with what they are of; the condition follows.
macro_rules! records {
    ($condition:literal) => {
        concat!(
            "SELECT key, events.at_ms AS erased_at_ms, not_before_ms, attempts, last_error
            FROM shreds LEFT JOIN events ON events.id = shreds.event ",
            $condition
        )
    };
}

/// Every record.
pub(super) const ALL: &str = records!("");

const TRIED: &str = records!("WHERE attempts > 0 ORDER BY attempts DESC, not_before_ms");

const UNTRIED: &str = records!("WHERE not_before_ms <= ? AND attempts = 0 ORDER BY not_before_ms");

#[async_trait]
impl PendingRemovals for Sqlite {
    async fn backlog(&self, now_ms: u64, at_most: u32) -> Result<Backlog> {
        self.readers
            .read_long(move |rows| count(rows, now_ms, at_most))
            .await
    }

    async fn overdue(&self, by_ms: u64, limit: u32) -> Result<Vec<Overdue>> {
        self.readers
            .snapshot_long(move |rows| list(rows, by_ms, limit as usize))
            .await
    }

    async fn retry(&self, at_ms: u64) -> Result<()> {
        let retry =
            "UPDATE shreds SET not_before_ms = ?1 WHERE attempts > 0 AND not_before_ms > ?1";
        self.writer
            .write(move |rows| {
                execute(rows, retry, [signed(at_ms)])?;
                Ok(())
            })
            .await
    }
}

/// How much is due by then or was tried in vain, counted up to `at_most`.
fn count(rows: &Connection, by_ms: u64, at_most: u32) -> Sql<Backlog> {
    let counted = first(rows, COUNT, params![signed(by_ms), at_most], |row| {
        let waiting = unsigned(row, "due")? + unsigned(row, "tried")?;
        Ok(Backlog {
            due: waiting.min(at_most.into()),
            most_attempts: row.get("most_attempts")?,
        })
    })?;
    Ok(counted.unwrap_or_default())
}

/// The first of them, those with the most attempts at the front.
fn list(rows: &Connection, by_ms: u64, limit: usize) -> Sql<Vec<Overdue>> {
    let mut listed = readable(rows, "shreds", TRIED, [], limit, overdue)?;
    let left = limit.saturating_sub(listed.len());
    if left > 0 {
        // Fewer than `limit` were tried, so that few of the due are passed over here.
        let due = [signed(by_ms)];
        listed.extend(readable(rows, "shreds", UNTRIED, due, left, overdue)?);
    }
    Ok(listed)
}

pub(super) fn overdue(row: &Row<'_>) -> Sql<Overdue> {
    Ok(Overdue {
        key: key(row)?,
        erased_at_ms: optional(row, "erased_at_ms")?,
        next_try_at_ms: unsigned(row, "not_before_ms")?,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Sqlite;
    use crate::sqlite::rows::all;

    #[test]
    fn the_due_and_the_tried_are_ranges_of_indexes() {
        let due = "USING COVERING INDEX shreds_by_time (not_before_ms<?)";
        let tried = "SEARCH shreds USING COVERING INDEX shreds_by_attempts (attempts>?)\nSCAN";
        let most = "USING COVERING INDEX shreds_by_attempts (attempts>? AND attempts<?)";
        let table = [
            (COUNT, 2, vec![due, tried, most]),
            (TRIED, 0, vec!["shreds USING INDEX shreds_by_attempts"]),
            (UNTRIED, 1, vec!["INDEX shreds_by_time (not_before_ms<?)"]),
        ];
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        for (sql, values, ranges) in table {
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let plan = sqlite.readers.read(|rows| {
                let values = rusqlite::params_from_iter((0..values).map(|_| 1));
                all(rows, &explain, values, |row| {
                    Ok(row.get::<_, String>("detail")?)
                })
            });
            let plan = plan.unwrap().join("\n");
            for range in ranges {
                assert!(plan.contains(range), "{range}:\n{plan}");
            }
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
