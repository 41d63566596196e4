//! [`Changes`] in SQLite.

use async_trait::async_trait;
use atropos::domain::catalogue::Change;
use atropos::ports::{Changes, Result, StoreError};
use atropos::target::Target;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::Sqlite;
use super::error::Sql;
use super::objects::name;
use super::rows::{execute, first, signed, to_json};

#[async_trait]
impl Changes for Sqlite {
    async fn change(&self, target: &Target, change: Change) -> Result<()> {
        let target = target.clone();
        self.writer
            .write(move |rows| {
                let id = next_version(rows, &target)?;
                if let Some(labels) = &change.labels {
                    let put = "UPDATE objects SET labels = ? WHERE id = ?";
                    execute(rows, put, params![to_json(labels)?, id])?;
                }
                if let Some(until) = change.retain_until_ms {
                    let put = "UPDATE objects SET retain_until_ms = ? WHERE id = ?";
                    execute(rows, put, params![until.map(signed), id])?;
                }
                Ok(())
            })
            .await
    }

    async fn place_hold(&self, target: &Target, reason: &str, at_ms: u64) -> Result<Uuid> {
        let (target, reason, hold) = (target.clone(), reason.to_owned(), Uuid::new_v4());
        let place = "INSERT INTO holds (id, object, reason, placed_at_ms) VALUES (?, ?, ?, ?)";
        self.writer
            .write(move |rows| {
                let id = next_version(rows, &target)?;
                let values = params![hold.to_string(), id, reason, signed(at_ms)];
                execute(rows, place, values)?;
                Ok(hold)
            })
            .await
    }

    async fn release_holds(&self, target: &Target) -> Result<u64> {
        let target = target.clone();
        self.writer
            .write(move |rows| {
                let id = next_version(rows, &target)?;
                let released = execute(rows, "DELETE FROM holds WHERE object = ?", [id])?;
                Ok(released as u64)
            })
            .await
    }
}

/// Counts a change of an object and returns its row. Holds count too: what was judged before one
/// came or went is not what there is now.
fn next_version(rows: &Connection, target: &Target) -> Sql<i64> {
    let count = "
        UPDATE objects SET version = version + 1
        WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ? RETURNING id";
    let id = first(rows, count, name!(target), |row| Ok(row.get("id")?))?;
    Ok(id.ok_or(StoreError::Missing { what: "object" })?)
}
