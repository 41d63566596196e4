//! [`Shadows`] and [`ShadowChains`] in SQLite.

use async_trait::async_trait;
use atropos::domain::Page;
use atropos::domain::policies::NewShadow;
use atropos::domain::shadow::{Difference, Flip, Observed, ShadowCounts, Tally};
use atropos::ports::{Result, ShadowChains, Shadows};
use atropos::target::TenantId;
use rusqlite::{Connection, Row, named_params, params};
use uuid::Uuid;

use super::Sqlite;
use super::chains::must_be_kept;
use super::error::Sql;
use super::rows::{all, execute, first, json, known, signed, to_json, unsigned, word};

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

#[async_trait]
impl ShadowChains for Sqlite {
    async fn set_shadow(&self, tenant: TenantId, new: NewShadow) -> Result<Uuid> {
        let id = Uuid::new_v4();
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                set(rows, tenant, id, &new)
            })
            .await?;
        Ok(id)
    }

    async fn drop_shadow(&self, tenant: TenantId) -> Result<bool> {
        self.writer.write(move |rows| discard(rows, tenant)).await
    }

    async fn tally(&self, tenant: TenantId) -> Result<Option<Tally>> {
        self.readers.read(|rows| tally(rows, tenant))
    }

    async fn differences(&self, tenant: TenantId, page: Page) -> Result<Vec<Difference>> {
        self.readers
            .read_long(move |rows| differences(rows, tenant, page))
            .await
    }
}

/// Sets a shadow up, in place of any other.
fn set(rows: &Connection, tenant: TenantId, id: Uuid, new: &NewShadow) -> Sql<()> {
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

/// Keeps what a shadow said, unless another has taken its place.
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
    let keep = "
        INSERT INTO differences (tenant, flip, decision, at_ms, was, would, policy, why)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    for one in counts.observe(seen, passed_over) {
        let values = params![
            tenant.0,
            one.flip.as_str(),
            one.decision.to_string(),
            signed(one.at_ms),
            one.was,
            one.would,
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
fn tally(rows: &Connection, tenant: TenantId) -> Sql<Option<Tally>> {
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

/// Where the shadow of a tenant differs, in the order of [`Flip::ALL`], and then latest first.
fn differences(rows: &Connection, tenant: TenantId, page: Page) -> Sql<Vec<Difference>> {
    let listed = "
        SELECT differences.flip, decision, at_ms, was, would, policy, why
        FROM differences JOIN json_each(?) AS sort ON sort.value = differences.flip
        WHERE tenant = ? ORDER BY sort.key, seq DESC LIMIT ? OFFSET ?";
    let sorts = to_json(&Flip::ALL)?;
    let values = params![sorts, tenant.0, page.limit, signed(page.offset)];
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
