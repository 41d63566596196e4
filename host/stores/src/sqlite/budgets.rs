//! [`Budgets`] in SQLite, and the counts that erasures write.

use async_trait::async_trait;
use atropos::domain::Erasure;
use atropos::domain::budget::{Account, Count, Limit, Noted, Spent};
use atropos::ports::{Budgets, Result};
use atropos::target::{Scope, TenantId, Window};
use rusqlite::{Connection, params};

use super::Sqlite;
use super::error::Sql;
use super::rows::{all, execute, first, known, signed, unsigned, word};

/// In place of a caller's id, where all of a tenant are counted together.
const EVERYONE: &str = "";

/// How many old counts a new one takes away.
const TIDIED_AT_ONCE: u32 = 8;

#[async_trait]
impl Budgets for Sqlite {
    async fn limits(&self, tenant: TenantId) -> Result<Vec<Limit>> {
        self.readers.read(|rows| limits(rows, tenant))
    }

    async fn set_limits(&self, tenant: TenantId, limits: &[Limit]) -> Result<()> {
        let limits = limits.to_vec();
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                let mut limits = limits.iter();
                limits.try_for_each(|limit| set(rows, tenant, limit))
            })
            .await
    }

    async fn spent(&self, tenant: TenantId, at_ms: u64) -> Result<Vec<Spent>> {
        self.readers
            .read_long(move |rows| spent(rows, tenant, at_ms))
            .await
    }
}

/// Reads the account that an erasure counts against.
pub(super) fn account(rows: &Connection, erasure: &Erasure) -> Sql<Account> {
    let tenant = erasure.decision.target().tenant;
    let limits = limits(rows, tenant)?;
    let of = |scope, window| latest(rows, tenant, name(erasure, scope), window);
    Account::at(erasure.at_ms, &erasure.budget, &limits, of)
}

/// Writes counts.
pub(super) fn note(rows: &Connection, erasure: &Erasure, counts: &[Noted]) -> Sql<()> {
    let note = "
        INSERT OR REPLACE INTO spending (tenant, caller, span, start_ms, deletes)
        VALUES (?, ?, ?, ?, ?)";
    for (scope, window, count) in counts {
        let values = params![
            erasure.decision.target().tenant.0,
            name(erasure, *scope),
            window.as_str(),
            signed(count.start_ms),
            signed(count.deletes),
        ];
        execute(rows, note, values)?;
    }
    Ok(())
}

/// Under which name the deletes of a scope are counted.
fn name(erasure: &Erasure, scope: Scope) -> &str {
    match scope {
        Scope::Tenant => EVERYONE,
        Scope::Caller => &erasure.decision.caller.id,
    }
}

fn latest(rows: &Connection, tenant: TenantId, caller: &str, window: Window) -> Sql<Option<Count>> {
    let latest = "
        SELECT start_ms, deletes FROM spending WHERE tenant = ? AND caller = ? AND span = ?";
    let values = params![tenant.0, caller, window.as_str()];
    first(rows, latest, values, |row| {
        Ok(Count {
            start_ms: unsigned(row, "start_ms")?,
            deletes: unsigned(row, "deletes")?,
        })
    })
}

/// Forgets some of the counts that began by then, if it is time.
pub(super) fn tidy(rows: &Connection, forgotten_ms: Option<u64>) -> Sql<()> {
    let Some(forgotten_ms) = forgotten_ms else {
        return Ok(());
    };
    let forget = "
        DELETE FROM spending WHERE (tenant, caller, span) IN (
            SELECT tenant, caller, span FROM spending
            WHERE start_ms <= ? ORDER BY start_ms LIMIT ?)";
    execute(rows, forget, params![signed(forgotten_ms), TIDIED_AT_ONCE])?;
    Ok(())
}

/// The limits that were set for a tenant.
fn limits(rows: &Connection, tenant: TenantId) -> Sql<Vec<Limit>> {
    let set = "SELECT scope, span, deletes FROM budgets WHERE tenant = ?";
    all(rows, set, [tenant.0], |row| {
        Ok(Limit {
            scope: word(row, "scope")?,
            window: word(row, "span")?,
            deletes: Some(unsigned(row, "deletes")?),
        })
    })
}

/// Sets one limit for a tenant, or returns to what is configured.
fn set(rows: &Connection, tenant: TenantId, limit: &Limit) -> Sql<()> {
    let (scope, span) = (limit.scope.as_str(), limit.window.as_str());
    match limit.deletes {
        Some(deletes) => {
            let put = "INSERT OR REPLACE INTO budgets (tenant, scope, span, deletes)
                VALUES (?, ?, ?, ?)";
            execute(rows, put, params![tenant.0, scope, span, signed(deletes)])?;
        }
        None => {
            let drop = "DELETE FROM budgets WHERE tenant = ? AND scope = ? AND span = ?";
            execute(rows, drop, params![tenant.0, scope, span])?;
        }
    }
    Ok(())
}

/// What a tenant and its callers have spent of the windows that go on at `at_ms`.
fn spent(rows: &Connection, tenant: TenantId, at_ms: u64) -> Sql<Vec<Spent>> {
    let every = "
        SELECT caller, span, start_ms, deletes FROM spending WHERE tenant = ? ORDER BY caller";
    let counts = all(rows, every, [tenant.0], |row| {
        let caller: String = row.get("caller")?;
        let latest = Count {
            start_ms: unsigned(row, "start_ms")?,
            deletes: unsigned(row, "deletes")?,
        };
        let caller = (caller != EVERYONE).then_some(caller);
        Ok(Spent::at(at_ms, caller, word(row, "span")?, latest))
    })?;
    Ok(counts.into_iter().flatten().collect())
}
