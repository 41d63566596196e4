//! What has been spent of the budgets, counted in the transaction that erases.
//!
//! **Invariant:** only a committed erasure is counted, and none is committed beyond a limit.

use atropos::config::Budget;
use atropos::store::budget::{Count, Exhausted, Limit, Spent};
use atropos::store::{Erasure, Result};
use atropos::target::{Scope, TenantId, Window};
use rusqlite::{Connection, params};

use super::error::Sql;
use super::rows::{all, execute, first, signed, unsigned, word};

/// In place of a caller's id, where all of a tenant are counted together.
const EVERYONE: &str = "";

/// How long a count is kept from the beginning of its window, so that a clock set back by some days
/// still finds it.
const KEPT_MS: u64 = 14 * 24 * 3600 * 1000;

/// How many old counts a new one takes away.
const TIDIED_AT_ONCE: u32 = 8;

/// The limited budgets that an erasure counts against.
pub(super) struct Account<'erasure> {
    tenant: TenantId,
    caller: &'erasure str,
    at_ms: u64,
    budgets: Vec<Counted>,
}

struct Counted {
    scope: Scope,
    window: Window,
    limit: u64,
    count: Count,
}

impl<'erasure> Account<'erasure> {
    /// Reads what is limited, and how much of that is spent.
    pub(super) fn of(rows: &Connection, erasure: &'erasure Erasure) -> Result<Self> {
        let decision = &erasure.decision;
        let mut account = Self {
            tenant: decision.target().tenant,
            caller: &decision.caller.id,
            at_ms: erasure.at_ms,
            budgets: Vec::new(),
        };
        let limits = limits(rows, account.tenant)?;
        for (scope, window, limit) in limited(&erasure.budget, &limits) {
            let latest = latest(rows, account.tenant, account.name(scope), window)?;
            let count = Count::at(window, erasure.at_ms, latest);
            if latest.is_some_and(|latest| latest.start_ms > count.start_ms) {
                // Noted even if nothing is erased, or the count would be taken over again and again.
                account.note(rows, scope, window, count)?;
            }
            account.budgets.push(Counted {
                scope,
                window,
                limit,
                count,
            });
        }
        Ok(account)
    }

    /// The budget that leaves nothing; of several, the one that lasts longest.
    pub(super) fn exhausted(&self) -> Option<Exhausted> {
        let used_up = |one: &&Counted| one.count.deletes >= one.limit;
        let exhausted = self.budgets.iter().filter(used_up).map(|one| Exhausted {
            scope: one.scope,
            window: one.window,
            until_ms: one.count.until_ms(one.window),
        });
        exhausted.max_by_key(|one| one.until_ms)
    }

    /// Counts the erasure.
    pub(super) fn spend(&self, rows: &Connection) -> Result<()> {
        let mut anew = false;
        for one in &self.budgets {
            let deletes = one.count.deletes.saturating_add(1);
            let count = Count {
                deletes,
                ..one.count
            };
            self.note(rows, one.scope, one.window, count)?;
            anew |= deletes == 1;
        }
        if anew {
            tidy(rows, self.at_ms)?;
        }
        Ok(())
    }

    fn note(&self, rows: &Connection, scope: Scope, window: Window, count: Count) -> Sql<()> {
        let note = "
            INSERT OR REPLACE INTO spending (tenant, caller, span, start_ms, deletes)
            VALUES (?, ?, ?, ?, ?)";
        let values = params![
            self.tenant.0,
            self.name(scope),
            window.as_str(),
            signed(count.start_ms),
            signed(count.deletes),
        ];
        execute(rows, note, values)?;
        Ok(())
    }

    fn name(&self, scope: Scope) -> &'erasure str {
        match scope {
            Scope::Tenant => EVERYONE,
            Scope::Caller => self.caller,
        }
    }
}

/// What is limited: by what was set for the tenant, else by what is configured for all.
fn limited(configured: &Budget, limits: &[Limit]) -> impl Iterator<Item = (Scope, Window, u64)> {
    let budgets = Scope::ALL
        .into_iter()
        .flat_map(|scope| Window::ALL.map(|window| (scope, window)));
    budgets.filter_map(move |(scope, window)| {
        let set = limits
            .iter()
            .find(|limit| (limit.scope, limit.window) == (scope, window));
        let limit = set.and_then(|limit| limit.deletes);
        let limit = limit.unwrap_or_else(|| configured.deletes(scope, window));
        (limit > 0).then_some((scope, window, limit))
    })
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

/// Forgets some of the counts that are too old to matter.
fn tidy(rows: &Connection, at_ms: u64) -> Sql<()> {
    let forget = "
        DELETE FROM spending WHERE (tenant, caller, span) IN (
            SELECT tenant, caller, span FROM spending
            WHERE start_ms <= ? ORDER BY start_ms LIMIT ?)";
    let old = signed(at_ms.saturating_sub(KEPT_MS));
    execute(rows, forget, params![old, TIDIED_AT_ONCE])?;
    Ok(())
}

/// The limits that were set for a tenant.
pub(super) fn limits(rows: &Connection, tenant: TenantId) -> Sql<Vec<Limit>> {
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
pub(super) fn set(rows: &Connection, tenant: TenantId, limit: &Limit) -> Sql<()> {
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
pub(super) fn spent(rows: &Connection, tenant: TenantId, at_ms: u64) -> Sql<Vec<Spent>> {
    let every = "
        SELECT caller, span, start_ms, deletes FROM spending WHERE tenant = ? ORDER BY caller";
    let counts = all(rows, every, [tenant.0], |row| {
        let caller: String = row.get("caller")?;
        let window: Window = word(row, "span")?;
        let latest = Count {
            start_ms: unsigned(row, "start_ms")?,
            deletes: unsigned(row, "deletes")?,
        };
        let count = Count::at(window, at_ms, Some(latest));
        Ok(Spent {
            caller: (caller != EVERYONE).then_some(caller),
            window,
            deletes: count.deletes,
            until_ms: count.until_ms(window),
        })
    })?;
    Ok(counts.into_iter().filter(|one| one.deletes > 0).collect())
}
