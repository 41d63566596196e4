//! [`Revisions`] in SQLite. The latest revision of a tenant is the chain in force.

use async_trait::async_trait;
use atropos::domain::policies::{Revision, Standing, Unrevised};
use atropos::domain::{NewRevision, Page};
use atropos::ports::{Result, Revisions, StoreError};
use atropos::target::TenantId;
use rusqlite::{Connection, Row, params};

use super::chains::{latest, must_be_kept};
use super::error::Sql;
use super::rows::{all, first, json, known, maybe, signed, to_json, unsigned};
use super::{Sqlite, replays, shadows};

#[async_trait]
impl Revisions for Sqlite {
    async fn revise(&self, tenant: TenantId, new: NewRevision) -> Result<Result<u64, Unrevised>> {
        self.writer
            .write(move |rows| revise(rows, tenant, &new))
            .await
    }

    async fn revisions(&self, tenant: TenantId, page: Page) -> Result<Vec<Revision>> {
        self.readers
            .read_long(move |rows| list(rows, tenant, page))
            .await
    }

    async fn revision(&self, tenant: TenantId, number: u64) -> Result<Option<Revision>> {
        self.readers.read(|rows| find(rows, tenant, number))
    }
}

/// Appends a revision unless something stands against it.
fn revise(rows: &Connection, tenant: TenantId, new: &NewRevision) -> Sql<Result<u64, Unrevised>> {
    known(rows, tenant)?;
    let active = latest(rows, tenant)?.unwrap_or_default();
    let found = |id| -> Sql<_> {
        let found = replays::find(rows, tenant, id)?;
        Ok(found.ok_or(StoreError::Missing { what: "report" })?)
    };
    let report = new.report.map(found).transpose()?;
    let may = new.may_follow(Standing {
        active: &active,
        replay_required: replays::required(rows, tenant)?,
        report: report.as_ref(),
    });
    if let Err(unrevised) = may {
        return Ok(Err(unrevised));
    }
    let revision = append(rows, tenant, new)?;
    if active.shadow.is_some_and(|shadow| new.ends(&shadow)) {
        shadows::discard(rows, tenant)?;
    }
    Ok(Ok(revision))
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
fn list(rows: &Connection, tenant: TenantId, page: Page) -> Sql<Vec<Revision>> {
    let latest = "
        SELECT revision, at_ms, entries, limits, origin, author, why, report FROM chains
        WHERE tenant = ? ORDER BY revision DESC LIMIT ? OFFSET ?";
    let values = params![tenant.0, page.limit, signed(page.offset)];
    all(rows, latest, values, revision)
}

/// One revision of a tenant.
fn find(rows: &Connection, tenant: TenantId, number: u64) -> Sql<Option<Revision>> {
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
