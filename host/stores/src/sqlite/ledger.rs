//! [`Ledger`] in SQLite: whole tables looked over, a batch at a time.

use async_trait::async_trait;
use atropos::domain::Conflict;
use atropos::domain::ledger::{Named, Soundness, Totals};
use atropos::ports::Ledger;
use atropos::ports::{Result, StoreError};
use atropos::target::{BlobKey, Object, Subdomain, Target, TenantId};
use rusqlite::{Connection, Row, params};

use super::chains::{chosen, kept, latest};
use super::error::{Sql, told};
use super::objects::{find, take};
use super::removals::shred;
use super::rows::{
    all, execute, first, key, kind, object, readable, sift, signed, tenant, unsigned, word,
};
use super::volume::made_at_ms;
use super::{Sqlite, backlog};

/// Who shows in the activity as the one who forgot.
const DOCTOR: &str = "atropos doctor";

/// Reads blobs of live objects; the condition follows.
macro_rules! named {
    () => {
        "SELECT key, blobs.size_bytes, tenant, subdomain, kind, owner, public_id
        FROM blobs
            JOIN objects ON objects.id = blobs.object
            JOIN tenants ON tenants.id = objects.tenant"
    };
}

#[async_trait]
impl Ledger for Sqlite {
    async fn verify(&self) -> Result<Soundness> {
        self.readers.snapshot_long(verify).await
    }

    async fn totals(&self) -> Result<Totals> {
        self.readers.read_long(totals).await
    }

    async fn unnamed(&self, keys: &[BlobKey]) -> Result<Vec<BlobKey>> {
        let unnamed = "
            SELECT value AS key FROM json_each(?)
            WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.key = value)
                AND NOT EXISTS (SELECT 1 FROM shreds WHERE shreds.key = value)";
        let keys = super::rows::keys(keys)?;
        self.readers
            .read_long(move |rows| all(rows, unnamed, [keys], key))
            .await
    }

    async fn named(&self, after: Option<BlobKey>, limit: u32) -> Result<Vec<Named>> {
        let page = concat!(named!(), " WHERE key > ? ORDER BY key");
        let after = after.map_or_else(String::new, |key| key.to_string());
        let named =
            move |rows: &Connection| readable(rows, "blobs", page, [after], limit as usize, named);
        self.readers.read_long(named).await
    }

    async fn made_at_ms(&self) -> Result<u64> {
        self.readers.read(made_at_ms)
    }

    async fn forget(&self, object: &Object, at_ms: u64) -> Result<Result<(), Conflict>> {
        let object = object.clone();
        self.writer
            .write(move |rows| forget(rows, &object, at_ms))
            .await
    }
}

pub(super) fn totals(rows: &Connection) -> Sql<Totals> {
    let count = "
        SELECT (SELECT count(*) FROM tenants) AS tenants,
            (SELECT count(*) FROM objects) AS objects";
    let totals = first(rows, count, [], |row| {
        Ok(Totals {
            tenants: unsigned(row, "tenants")?,
            objects: unsigned(row, "objects")?,
        })
    })?;
    Ok(totals.unwrap_or_default())
}

fn named(row: &Row<'_>) -> Sql<Named> {
    Ok(Named {
        key: key(row)?,
        size_bytes: unsigned(row, "size_bytes")?,
        target: Target {
            tenant: TenantId(row.get("tenant")?),
            kind: kind(row)?,
            owner: row.get("owner")?,
            id: row.get("public_id")?,
        },
        tenant: word(row, "subdomain")?,
    })
}

pub(super) fn verify(rows: &Connection) -> Sql<Soundness> {
    let checked = told(|| {
        all(rows, "PRAGMA integrity_check(20)", [], |row| {
            Ok(row.get::<_, String>(0)?)
        })
    });
    let damage = match checked {
        Ok(said) => said.into_iter().filter(|line| line != "ok").collect(),
        // So damaged that it cannot even be checked.
        Err(error @ StoreError::Corrupt { .. }) => vec![error.to_string()],
        Err(error) => return Err(error.into()),
    };
    if !damage.is_empty() {
        return Ok(Soundness {
            damage,
            ..Soundness::default()
        });
    }
    let mut dangling = references(rows)?;
    dangling.extend(contradictions(rows)?);
    dangling.extend(unreadable(rows)?);
    dangling.extend(components(rows)?);
    let keys = "SELECT key FROM blobs";
    Ok(Soundness {
        damage,
        dangling,
        unreadable_keys: damaged_rows(rows, keys, |row| key(row).map(drop))?,
    })
}

/// Rows that those who need them pass over, or fail on.
fn unreadable(rows: &Connection) -> Sql<Vec<String>> {
    let objects = "
        SELECT tenant, kind, owner, public_id AS object_id, version, size_bytes, media_type,
            created_at_ms, labels, retain_until_ms, 0 AS held
        FROM objects";
    let tenants = "SELECT id, subdomain, website_id FROM tenants";
    let counts = [
        (
            "tenants",
            damaged_rows(rows, tenants, |row| tenant(row).map(drop))?,
        ),
        (
            "objects",
            damaged_rows(rows, objects, |row| object(row).map(drop))?,
        ),
        (
            "blobs",
            damaged_rows(rows, named!(), |row| named(row).map(drop))?,
        ),
        (
            "shreds",
            damaged_rows(rows, backlog::ALL, |row| {
                shred(row)?;
                backlog::overdue(row).map(drop)
            })?,
        ),
    ];
    let damaged = counts.into_iter().filter(|(_, count)| *count > 0);
    let told = damaged.map(|(table, count)| format!("{count} of `{table}` cannot be read"));
    Ok(told.collect())
}

/// How many rows of a query cannot be read.
fn damaged_rows(
    rows: &Connection,
    sql: &str,
    mut read: impl FnMut(&Row<'_>) -> Sql<()>,
) -> Sql<u64> {
    let mut damaged = 0;
    all(rows, sql, [], |row| match told(|| read(row)) {
        Err(StoreError::Corrupt { .. }) => {
            damaged += 1;
            Ok(())
        }
        other => Ok(other?),
    })?;
    Ok(damaged)
}

/// Rows that refer to rows which are not there.
fn references(rows: &Connection) -> Sql<Vec<String>> {
    let check = "
        SELECT \"table\" AS child, parent, count(*) AS count FROM pragma_foreign_key_check
        GROUP BY child, parent";
    all(rows, check, [], |row| {
        let (child, parent): (String, String) = (row.get("child")?, row.get("parent")?);
        let count = unsigned(row, "count")?;
        Ok(format!(
            "{count} of `{child}` refer to what is not in `{parent}`"
        ))
    })
}

/// Rows of which at most one can be right.
fn contradictions(rows: &Connection) -> Sql<Vec<String>> {
    let table = [
        (
            "SELECT count(*) AS count FROM objects
            WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.object = objects.id)",
            "live objects have no blob",
        ),
        (
            "SELECT count(*) AS count FROM blobs JOIN shreds USING (key)",
            "blobs of live objects are doomed",
        ),
    ];
    let mut found = Vec::new();
    for (count, what) in table {
        let count = first(rows, count, [], |row| unsigned(row, "count"))?;
        if let Some(count @ 1..) = count {
            found.push(format!("{count} {what}"));
        }
    }
    Ok(found)
}

/// Chains and the choice of the plugin that name components which are not kept.
fn components(rows: &Connection) -> Sql<Vec<String>> {
    let mut missing = Vec::new();
    let tenants = "SELECT id, subdomain FROM tenants ORDER BY id";
    // Rows that cannot be read are counted elsewhere.
    let (tenants, _) = sift(rows, tenants, [], usize::MAX, |row| {
        let subdomain: Subdomain = word(row, "subdomain")?;
        Ok((TenantId(row.get("id")?), subdomain))
    })?;
    for (tenant, subdomain) in tenants {
        let chain = match told(|| latest(rows, tenant)) {
            Ok(Some(chain)) => chain,
            Ok(None) => {
                missing.push(format!("the tenant `{subdomain}` has no chain"));
                continue;
            }
            Err(StoreError::Corrupt { .. }) => {
                missing.push(format!("the chain of `{subdomain}` cannot be read"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for entry in &chain.entries {
            if !kept(rows, entry.digest)? {
                let (policy, digest) = (&entry.policy, entry.digest);
                missing.push(format!(
                    "the chain of `{subdomain}` names the policy `{policy}`, whose component \
                     {digest} is not kept"
                ));
            }
        }
    }
    if let Some(digest) = chosen(rows)?
        && !kept(rows, digest)?
    {
        missing.push(format!("the chosen deletion plugin, {digest}, is not kept"));
    }
    Ok(missing)
}

fn forget(rows: &Connection, object: &Object, at_ms: u64) -> Sql<Result<(), Conflict>> {
    let target = &object.target;
    let now = find(rows, target)?;
    if let Some(conflict) = Conflict::between(object, now.as_ref(), at_ms) {
        return Ok(Err(conflict));
    }
    let id = take(rows, object, at_ms)?;
    let tell = "
        INSERT INTO events (tenant, owner, activity, kind, object_id, at_ms, caller)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        target.tenant.0,
        target.owner,
        target.kind.loss_event(),
        target.kind.as_str(),
        target.id,
        signed(at_ms),
        DOCTOR,
    ];
    let event = rows.prepare_cached(tell)?.insert(values)?;
    let doom = "
        INSERT INTO shreds (key, not_before_ms, event)
        SELECT key, ?, ? FROM blobs WHERE object = ?";
    execute(rows, doom, params![signed(at_ms), event, id])?;
    execute(rows, "DELETE FROM blobs WHERE object = ?", [id])?;
    Ok(Ok(()))
}
