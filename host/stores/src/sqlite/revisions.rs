//! The history of chains. The latest revision of a tenant is the one in force.

use atropos::store::policies::{Revision, Unrevised};
use atropos::store::{Chain, NewRevision, Page, Result, StoreError};
use atropos::target::TenantId;
use rusqlite::{Connection, Row, params};

use super::chains::{latest, must_be_kept};
use super::error::Sql;
use super::reports;
use super::rows::{all, first, json, maybe, signed, to_json, unsigned};

/// Appends a revision unless what is in force, or what the tenant wants of a change, stands against it.
pub(super) fn revise(
    rows: &Connection,
    tenant: TenantId,
    new: &NewRevision,
) -> Sql<Result<u64, Unrevised>> {
    let active = latest(rows, tenant)?.unwrap_or_default();
    let current = active.revision;
    if new.base.is_some_and(|base| base != current) {
        return Ok(Err(Unrevised::Outdated { current }));
    }
    let chain = Chain {
        entries: new.entries.clone(),
        limits: new.limits,
        ..Chain::default()
    };
    let wanted = replay_required(rows, tenant)? && !chain.allows_no_more_than(&active);
    if let Some(report) = new.report {
        let found = reports::find(rows, tenant, report)?;
        let found = found.ok_or(StoreError::Missing { what: "report" })?;
        if (found.base_revision, found.candidate) != (current, chain.digest()) {
            return Ok(Err(Unrevised::OtherReport { report, current }));
        }
        if wanted && !found.is_whole() {
            return Ok(Err(Unrevised::PartialReport { report }));
        }
    } else if wanted {
        return Ok(Err(Unrevised::ReplayWanted { current }));
    }
    append(rows, tenant, new).map(Ok)
}

/// Appends a revision and returns its number.
pub(super) fn append(rows: &Connection, tenant: TenantId, new: &NewRevision) -> Sql<u64> {
    for entry in &new.entries {
        must_be_kept(rows, entry.digest)?;
    }
    let next = "
        INSERT INTO chains (tenant, revision, at_ms, entries, limits, origin, author, why, report)
        SELECT ?1, 1 + coalesce(max(revision), 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8
        FROM chains WHERE tenant = ?1
        RETURNING revision";
    let values = params![
        tenant.0,
        signed(new.at_ms),
        to_json(&new.entries)?,
        to_json(&new.limits)?,
        to_json(&new.origin)?,
        new.by,
        new.why,
        new.report.map(|id| id.to_string()),
    ];
    let revision = first(rows, next, values, |row| unsigned(row, "revision"))?;
    Ok(revision.ok_or(StoreError::Missing { what: "tenant" })?)
}

/// The revisions of a tenant, latest first.
pub(super) fn list(rows: &Connection, tenant: TenantId, page: Page) -> Sql<Vec<Revision>> {
    let latest = "
        SELECT revision, at_ms, entries, limits, origin, author, why, report FROM chains
        WHERE tenant = ? ORDER BY revision DESC LIMIT ? OFFSET ?";
    let values = params![tenant.0, page.limit, signed(page.offset)];
    all(rows, latest, values, revision)
}

/// One revision of a tenant.
pub(super) fn find(rows: &Connection, tenant: TenantId, number: u64) -> Sql<Option<Revision>> {
    let one = "
        SELECT revision, at_ms, entries, limits, origin, author, why, report FROM chains
        WHERE tenant = ? AND revision = ?";
    first(rows, one, params![tenant.0, signed(number)], revision)
}

fn revision(row: &Row<'_>) -> Sql<Revision> {
    Ok(Revision {
        revision: unsigned(row, "revision")?,
        at_ms: unsigned(row, "at_ms")?,
        origin: json(row, "origin")?,
        by: row.get("author")?,
        why: row.get("why")?,
        chain: json(row, "entries")?,
        limits: json(row, "limits")?,
        report: maybe(row, "report")?,
    })
}

/// Whether the tenant wants a replay before a change that may allow more.
pub(super) fn replay_required(rows: &Connection, tenant: TenantId) -> Sql<bool> {
    let wanted = "SELECT replay_required FROM tenants WHERE id = ?";
    let wanted = first(rows, wanted, [tenant.0], |row| {
        Ok(row.get::<_, bool>("replay_required")?)
    })?;
    Ok(wanted.ok_or(StoreError::Missing { what: "tenant" })?)
}
