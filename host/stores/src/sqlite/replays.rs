//! [`Replays`] in SQLite.

use async_trait::async_trait;
use atropos::domain::Report;
use atropos::ports::{Replays, Result, StoreError};
use atropos::target::TenantId;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::Sqlite;
use super::error::Sql;
use super::rows::{execute, first, json, known, to_json};

#[async_trait]
impl Replays for Sqlite {
    async fn replay_required(&self, tenant: TenantId) -> Result<bool> {
        self.readers.read(|rows| required(rows, tenant))
    }

    async fn require_replay(&self, tenant: TenantId, required: bool) -> Result<()> {
        let set = "UPDATE tenants SET replay_required = ? WHERE id = ?";
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                execute(rows, set, params![required, tenant.0])?;
                Ok(())
            })
            .await
    }

    async fn add_report(&self, report: &Report) -> Result<()> {
        let report = report.clone();
        self.writer
            .write(move |rows| {
                known(rows, report.tenant)?;
                add(rows, &report)
            })
            .await
    }

    async fn report(&self, tenant: TenantId, id: Uuid) -> Result<Option<Report>> {
        self.readers
            .read_long(move |rows| find(rows, tenant, id))
            .await
    }
}

/// Whether the tenant wants a replay before a change that may allow more.
pub(super) fn required(rows: &Connection, tenant: TenantId) -> Sql<bool> {
    let wanted = "SELECT replay_required FROM tenants WHERE id = ?";
    let wanted = first(rows, wanted, [tenant.0], |row| {
        Ok(row.get::<_, bool>("replay_required")?)
    })?;
    Ok(wanted.ok_or(StoreError::Missing { what: "tenant" })?)
}

fn add(rows: &Connection, report: &Report) -> Sql<()> {
    let insert = "INSERT INTO reports (id, tenant, report) VALUES (?, ?, ?)";
    let values = params![report.id.to_string(), report.tenant.0, to_json(report)?];
    execute(rows, insert, values)?;
    Ok(())
}

pub(super) fn find(rows: &Connection, tenant: TenantId, id: Uuid) -> Sql<Option<Report>> {
    let one = "SELECT report FROM reports WHERE id = ? AND tenant = ?";
    let report = first(rows, one, params![id.to_string(), tenant.0], |row| {
        json::<Report>(row, "report")
    })?;
    Ok(report.map(|report| Report { tenant, ..report }))
}
