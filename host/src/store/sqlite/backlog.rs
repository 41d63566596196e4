//! What is to be removed and should be gone by now.
//!
//! **Invariant:** whether much or little waits, the due and the tried are each a range of an index, and of
//! no range more is looked at than is counted or listed.

use rusqlite::{Connection, Row, params};

use super::rows::{all, first, optional, signed, unsigned, word};
use crate::store::Result;
use crate::store::catalogue::Backlog;
use crate::store::ledger::Overdue;

// Of what was tried, that which is due is counted with the due. If more was tried than is looked at,
// then what is looked at is due, and counted there, or counted here: in all, as much as is counted.
const COUNT: &str = "
    SELECT
        (SELECT count(*) FROM (
            SELECT 1 FROM shreds WHERE not_before_ms <= ?1 LIMIT ?2)) AS due,
        (SELECT count(*) FROM (
            SELECT not_before_ms FROM shreds WHERE attempts > 0 LIMIT ?2)
            WHERE not_before_ms > ?1) AS tried,
        (SELECT coalesce(max(attempts), 0) FROM shreds WHERE attempts > 0) AS most_attempts";

const TRIED: &str = "
    SELECT key, events.at_ms AS erased_at_ms, not_before_ms, attempts, last_error
    FROM shreds LEFT JOIN events ON events.id = shreds.event
    WHERE attempts > 0 ORDER BY attempts DESC, not_before_ms LIMIT ?";

const UNTRIED: &str = "
    SELECT key, events.at_ms AS erased_at_ms, not_before_ms, attempts, last_error
    FROM shreds LEFT JOIN events ON events.id = shreds.event
    WHERE not_before_ms <= ? AND attempts = 0 ORDER BY not_before_ms LIMIT ?";

/// How much is due by then or was tried in vain, counted up to `at_most`.
pub(super) fn count(rows: &Connection, by_ms: u64, at_most: u32) -> Result<Backlog> {
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
pub(super) fn list(rows: &Connection, by_ms: u64, limit: u32) -> Result<Vec<Overdue>> {
    let mut listed = all(rows, TRIED, [limit], overdue)?;
    let left = limit.saturating_sub(u32::try_from(listed.len()).unwrap_or(u32::MAX));
    if left > 0 {
        // Fewer than `limit` were tried, so that few of the due are passed over here.
        listed.extend(all(rows, UNTRIED, params![signed(by_ms), left], overdue)?);
    }
    Ok(listed)
}

fn overdue(row: &Row<'_>) -> Result<Overdue> {
    Ok(Overdue {
        key: word(row, "key")?,
        erased_at_ms: optional(row, "erased_at_ms")?,
        next_try_at_ms: unsigned(row, "not_before_ms")?,
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Sqlite;

    #[test]
    fn the_due_and_the_tried_are_ranges_of_indexes() {
        let due = "USING COVERING INDEX shreds_by_time (not_before_ms<?)";
        let tried = "SEARCH shreds USING COVERING INDEX shreds_by_attempts (attempts>?)\nSCAN";
        let most = "SEARCH shreds USING COVERING INDEX shreds_by_attempts (attempts>?)";
        let table = [
            (COUNT, 2, vec![due, tried, most]),
            (TRIED, 1, vec!["shreds USING INDEX shreds_by_attempts"]),
            (UNTRIED, 2, vec!["INDEX shreds_by_time (not_before_ms<?)"]),
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
