//! Chains that are tried beside the ones in force, and what they said.

use async_trait::async_trait;
use atropos::store::policies::NewShadow;
use atropos::store::shadow::{Difference, Flip, Observed, ShadowCounts, Tally};
use atropos::store::{Page, Result, Shadows};
use atropos::target::TenantId;
use rusqlite::{Connection, Row, named_params, params};
use uuid::Uuid;

use super::Sqlite;
use super::chains::must_be_kept;
use super::error::Sql;
use super::rows::{all, execute, first, json, signed, to_json, unsigned, word};

/// How many differences of one sort are kept. More would not be read, and the counts go on.
const KEPT: u64 = 1000;

#[async_trait]
impl Shadows for Sqlite {
    async fn observe(
        &self,
        tenant: TenantId,
        shadow: Uuid,
        seen: &[Observed],
        passed_over: u64,
    ) -> Result<()> {
        let seen = seen.to_vec();
        self.writer
            .write(move |rows| observe(rows, tenant, shadow, &seen, passed_over))
            .await
    }
}

/// Sets a shadow up, in place of any other.
pub(super) fn set(rows: &Connection, tenant: TenantId, id: Uuid, new: &NewShadow) -> Sql<()> {
    for entry in &new.entries {
        must_be_kept(rows, entry.digest)?;
    }
    discard(rows, tenant)?;
    let insert = "
        INSERT INTO shadows (tenant, id, at_ms, entries, limits, author, why)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        tenant.0,
        id.to_string(),
        signed(new.at_ms),
        to_json(&new.entries)?,
        to_json(&new.limits)?,
        new.by,
        new.why,
    ];
    execute(rows, insert, values)?;
    let counts = "INSERT INTO shadow_counts (tenant) VALUES (?)";
    execute(rows, counts, [tenant.0])?;
    Ok(())
}

/// Takes the shadow of a tenant away with all that it said.
pub(super) fn discard(rows: &Connection, tenant: TenantId) -> Sql<bool> {
    execute(rows, "DELETE FROM differences WHERE tenant = ?", [tenant.0])?;
    let counts = "DELETE FROM shadow_counts WHERE tenant = ?";
    execute(rows, counts, [tenant.0])?;
    let gone = execute(rows, "DELETE FROM shadows WHERE tenant = ?", [tenant.0])?;
    Ok(gone > 0)
}

/// Counts what a shadow said, unless another has taken its place.
fn observe(
    rows: &Connection,
    tenant: TenantId,
    shadow: Uuid,
    seen: &[Observed],
    passed_over: u64,
) -> Sql<()> {
    let counts = "
        SELECT compared, passed_over, deny_to_allow, allow_to_deny, to_fault, from_fault
        FROM shadows JOIN shadow_counts USING (tenant) WHERE tenant = ? AND id = ?";
    let Some(mut counts) = first(rows, counts, params![tenant.0, shadow.to_string()], counted)?
    else {
        return Ok(());
    };
    counts.passed_over = counts.passed_over.saturating_add(passed_over);
    let keep = "
        INSERT INTO differences (tenant, flip, decision, at_ms, was, would, policy, why)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    for one in seen {
        counts.compared += 1;
        let Some(flip) = Flip::between(&one.was, &one.would) else {
            continue;
        };
        let count = match flip {
            Flip::DenyToAllow => &mut counts.deny_to_allow,
            Flip::AllowToDeny => &mut counts.allow_to_deny,
            Flip::ToFault => &mut counts.to_fault,
            Flip::FromFault => &mut counts.from_fault,
        };
        *count += 1;
        if *count > KEPT {
            continue;
        }
        let values = params![
            tenant.0,
            flip.as_str(),
            one.decision.to_string(),
            signed(one.at_ms),
            one.was.as_str(),
            one.would.as_str(),
            one.policy,
            to_json(&one.why)?,
        ];
        execute(rows, keep, values)?;
    }
    let count = "
        UPDATE shadow_counts SET compared = :compared, passed_over = :passed_over,
            deny_to_allow = :deny_to_allow, allow_to_deny = :allow_to_deny, to_fault = :to_fault,
            from_fault = :from_fault
        WHERE tenant = :tenant";
    let values = named_params! {
        ":tenant": tenant.0,
        ":compared": signed(counts.compared),
        ":passed_over": signed(counts.passed_over),
        ":deny_to_allow": signed(counts.deny_to_allow),
        ":allow_to_deny": signed(counts.allow_to_deny),
        ":to_fault": signed(counts.to_fault),
        ":from_fault": signed(counts.from_fault),
    };
    execute(rows, count, values)?;
    Ok(())
}

fn counted(row: &Row<'_>) -> Sql<ShadowCounts> {
    Ok(ShadowCounts {
        compared: unsigned(row, "compared")?,
        passed_over: unsigned(row, "passed_over")?,
        deny_to_allow: unsigned(row, "deny_to_allow")?,
        allow_to_deny: unsigned(row, "allow_to_deny")?,
        to_fault: unsigned(row, "to_fault")?,
        from_fault: unsigned(row, "from_fault")?,
    })
}

/// How the shadow of a tenant has fared.
pub(super) fn tally(rows: &Connection, tenant: TenantId) -> Sql<Option<Tally>> {
    let one = "
        SELECT id, at_ms, entries, limits, author, why, compared, passed_over, deny_to_allow,
            allow_to_deny, to_fault, from_fault
        FROM shadows JOIN shadow_counts USING (tenant) WHERE tenant = ?";
    first(rows, one, [tenant.0], |row| {
        Ok(Tally {
            id: word(row, "id")?,
            since_ms: unsigned(row, "at_ms")?,
            by: row.get("author")?,
            why: row.get("why")?,
            chain: json(row, "entries")?,
            limits: json(row, "limits")?,
            counts: counted(row)?,
        })
    })
}

/// Where the shadow of a tenant differs, the sort to look at first at the front.
pub(super) fn differences(rows: &Connection, tenant: TenantId, page: Page) -> Sql<Vec<Difference>> {
    let listed = "
        SELECT flip, decision, at_ms, was, would, policy, why FROM differences WHERE tenant = ?
        ORDER BY CASE flip
            WHEN 'deny-to-allow' THEN 0 WHEN 'allow-to-deny' THEN 1 WHEN 'to-fault' THEN 2 ELSE 3
        END, seq DESC
        LIMIT ? OFFSET ?";
    let values = params![tenant.0, page.limit, signed(page.offset)];
    all(rows, listed, values, difference)
}

fn difference(row: &Row<'_>) -> Sql<Difference> {
    Ok(Difference {
        flip: word(row, "flip")?,
        decision: word(row, "decision")?,
        at_ms: unsigned(row, "at_ms")?,
        was: row.get("was")?,
        would: row.get("would")?,
        policy: row.get("policy")?,
        why: json(row, "why")?,
    })
}
