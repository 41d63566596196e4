//! What replays found.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::rows::{execute, first, json, to_json};
use crate::store::{Report, Result};
use crate::target::TenantId;

pub(super) fn add(rows: &Connection, report: &Report) -> Result<()> {
    let insert = "INSERT INTO reports (id, tenant, report) VALUES (?, ?, ?)";
    let values = params![report.id.to_string(), report.tenant.0, to_json(report)?];
    execute(rows, insert, values)?;
    Ok(())
}

pub(super) fn find(rows: &Connection, tenant: TenantId, id: Uuid) -> Result<Option<Report>> {
    let one = "SELECT report FROM reports WHERE id = ? AND tenant = ?";
    let report = first(rows, one, params![id.to_string(), tenant.0], |row| {
        json::<Report>(row, "report")
    })?;
    Ok(report.map(|report| Report { tenant, ..report }))
}
