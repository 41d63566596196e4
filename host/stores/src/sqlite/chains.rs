//! [`Chains`] in SQLite. Every call reads the database, so that what another process changed is in
//! force at once.

use std::sync::Arc;

use async_trait::async_trait;
use atropos::domain::{Chain, Shadow};
use atropos::ports::{Chains, Result, StoreError};
use atropos::step::{self, Step};
use atropos::target::{Digest, TenantId};
use rusqlite::{Connection, params};

use super::Sqlite;
use super::error::Sql;
use super::rows::{execute, first, json, unsigned, word};

/// The row of `instance` that names the chosen deletion plugin.
const PLUGIN: &str = "plugin";

#[async_trait]
impl Chains for Sqlite {
    async fn chain(&self, tenant: TenantId) -> Result<Option<Arc<Chain>>> {
        step::pass(Step::ChainRead).await?;
        let chain = self.readers.read(|rows| latest(rows, tenant))?;
        Ok(chain.map(Arc::new))
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        step::pass(Step::ChainComponent).await?;
        let bytes = "SELECT bytes FROM components WHERE digest = ?";
        self.readers
            .read_long(move |rows| first(rows, bytes, [digest.0], |row| Ok(row.get("bytes")?)))
            .await
    }

    async fn plugin(&self) -> Result<Option<Digest>> {
        step::pass(Step::PluginChoose).await?;
        self.readers.read(chosen)
    }
}

/// The chain in force.
pub(super) fn latest(rows: &Connection, tenant: TenantId) -> Sql<Option<Chain>> {
    let latest = "
        SELECT revision, chains.entries AS entries, chains.limits AS limits, shadows.id AS shadow,
            shadows.entries AS shadow_entries, shadows.limits AS shadow_limits
        FROM chains LEFT JOIN shadows ON shadows.tenant = chains.tenant
        WHERE chains.tenant = ? ORDER BY revision DESC LIMIT 1";
    first(rows, latest, [tenant.0], |row| {
        let shadow: Option<String> = row.get("shadow")?;
        let shadow = shadow.map(|_| {
            Ok::<_, StoreError>(Shadow {
                id: word(row, "shadow")?,
                entries: json(row, "shadow_entries")?,
                limits: json(row, "shadow_limits")?,
            })
        });
        Ok(Chain {
            revision: unsigned(row, "revision")?,
            entries: json(row, "entries")?,
            limits: json(row, "limits")?,
            shadow: shadow.transpose()?,
        })
    })
}

/// The deletion plugin that was chosen.
pub(super) fn chosen(rows: &Connection) -> Sql<Option<Digest>> {
    let chosen = "SELECT value FROM instance WHERE name = ?";
    first(rows, chosen, [PLUGIN], |row| word(row, "value"))
}

/// Chooses the deletion plugin.
pub(super) fn choose(rows: &Connection, digest: Option<Digest>) -> Sql<()> {
    match digest {
        Some(digest) => {
            must_be_kept(rows, digest)?;
            let put = "INSERT OR REPLACE INTO instance (name, value) VALUES (?, ?)";
            execute(rows, put, params![PLUGIN, digest.to_string()])?;
        }
        None => {
            execute(rows, "DELETE FROM instance WHERE name = ?", [PLUGIN])?;
        }
    }
    Ok(())
}

pub(super) fn must_be_kept(rows: &Connection, digest: Digest) -> Sql<()> {
    match kept(rows, digest)? {
        true => Ok(()),
        false => Err(StoreError::Missing { what: "component" }.into()),
    }
}

/// Whether the component's bytes are there.
pub(super) fn kept(rows: &Connection, digest: Digest) -> Sql<bool> {
    let any = "SELECT 1 FROM components WHERE digest = ?";
    let found = first(rows, any, [digest.0], |_| Ok(()))?;
    Ok(found.is_some())
}
