//! What replays found.

use atropos::store::Report;
use atropos::target::TenantId;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::Sql;
use super::rows::{execute, first, json, to_json};

pub(super) fn add(rows: &Connection, report: &Report) -> Sql<()> {
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
