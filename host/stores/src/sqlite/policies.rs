//! [`Policies`] in SQLite.

use async_trait::async_trait;
use atropos::store::policies::{About, ComponentInfo, NewShadow, Revision, Unrevised};
use atropos::store::shadow::{Difference, Tally};
use atropos::store::{NewComponent, NewRevision, Page, Policies, Report, Result};
use atropos::target::{Digest, TenantId};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::Sql;
use super::rows::{all, digest, execute, unsigned};
use super::tenants::known;
use super::{Sqlite, chains, reports, revisions, shadows};

#[async_trait]
impl Policies for Sqlite {
    async fn add_component(&self, component: NewComponent) -> Result<()> {
        self.writer.write(move |rows| add(rows, component)).await
    }

    async fn components(&self) -> Result<Vec<ComponentInfo>> {
        self.readers.read_long(components).await
    }

    async fn choose_plugin(&self, digest: Option<Digest>) -> Result<()> {
        self.writer
            .write(move |rows| chains::choose(rows, digest))
            .await
    }

    async fn revise(&self, tenant: TenantId, new: NewRevision) -> Result<Result<u64, Unrevised>> {
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                let shadow = chains::latest(rows, tenant)?.and_then(|chain| chain.shadow);
                let revised = revisions::revise(rows, tenant, &new)?;
                let same = |shadow: atropos::store::Shadow| {
                    (shadow.entries, shadow.limits) == (new.entries, new.limits)
                };
                // There would be nothing left to compare.
                if revised.is_ok() && shadow.is_some_and(same) {
                    shadows::discard(rows, tenant)?;
                }
                Ok(revised)
            })
            .await
    }

    async fn revisions(&self, tenant: TenantId, page: Page) -> Result<Vec<Revision>> {
        self.readers
            .read_long(move |rows| revisions::list(rows, tenant, page))
            .await
    }

    async fn revision(&self, tenant: TenantId, number: u64) -> Result<Option<Revision>> {
        self.readers
            .read(|rows| revisions::find(rows, tenant, number))
    }

    async fn set_shadow(&self, tenant: TenantId, new: NewShadow) -> Result<Uuid> {
        let id = Uuid::new_v4();
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                shadows::set(rows, tenant, id, &new)
            })
            .await?;
        Ok(id)
    }

    async fn drop_shadow(&self, tenant: TenantId) -> Result<bool> {
        self.writer
            .write(move |rows| shadows::discard(rows, tenant))
            .await
    }

    async fn tally(&self, tenant: TenantId) -> Result<Option<Tally>> {
        self.readers.read(|rows| shadows::tally(rows, tenant))
    }

    async fn differences(&self, tenant: TenantId, page: Page) -> Result<Vec<Difference>> {
        self.readers
            .read_long(move |rows| shadows::differences(rows, tenant, page))
            .await
    }

    async fn replay_required(&self, tenant: TenantId) -> Result<bool> {
        self.readers
            .read(|rows| revisions::replay_required(rows, tenant))
    }

    async fn require_replay(&self, tenant: TenantId, required: bool) -> Result<()> {
        let set = "UPDATE tenants SET replay_required = ? WHERE id = ?";
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                execute(rows, set, params![required, tenant.0])?;
                Ok(())
            })
            .await
    }

    async fn add_report(&self, report: &Report) -> Result<()> {
        let report = report.clone();
        self.writer
            .write(move |rows| {
                known(rows, report.tenant)?;
                reports::add(rows, &report)
            })
            .await
    }

    async fn report(&self, tenant: TenantId, id: Uuid) -> Result<Option<Report>> {
        self.readers
            .read_long(move |rows| reports::find(rows, tenant, id))
            .await
    }
}

/// A file of an earlier version knows less of a component; that is made up for.
fn add(rows: &Connection, new: NewComponent) -> Sql<()> {
    let insert = "
        INSERT INTO components (digest, name, bytes, version, summary, settings_schema, added_at_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (digest) DO UPDATE SET version = excluded.version, summary = excluded.summary,
            settings_schema = excluded.settings_schema
        WHERE version IS NULL AND excluded.version IS NOT NULL";
    let about = new.about.as_ref();
    let values = params![
        new.digest.0,
        new.name,
        new.bytes,
        about.map(|about| &about.version),
        about.map(|about| &about.summary),
        about.map(|about| &about.settings_schema),
        super::rows::signed(new.at_ms),
    ];
    execute(rows, insert, values)?;
    Ok(())
}

fn components(rows: &Connection) -> Sql<Vec<ComponentInfo>> {
    let every = "
        WITH latest AS (
            SELECT tenant, entries, max(revision) FROM chains GROUP BY tenant
        ), used AS (
            SELECT DISTINCT latest.tenant, entry.value ->> 'digest' AS digest
            FROM latest, json_each(latest.entries) AS entry
        ), counted AS (
            SELECT digest, count(*) AS tenants FROM used GROUP BY digest
        )
        SELECT components.digest AS digest, name, version, summary, settings_schema,
            length(bytes) AS size_bytes, added_at_ms, coalesce(tenants, 0) AS tenants
        FROM components LEFT JOIN counted ON counted.digest = lower(hex(components.digest))
        ORDER BY name, added_at_ms, components.digest";
    all(rows, every, [], |row| {
        let version: Option<String> = row.get("version")?;
        let about = version.map(|version| {
            Ok::<_, rusqlite::Error>(About {
                version,
                summary: row.get("summary")?,
                settings_schema: row.get("settings_schema")?,
            })
        });
        Ok(ComponentInfo {
            digest: digest(row, "digest")?,
            name: row.get("name")?,
            about: about.transpose()?,
            size_bytes: unsigned(row, "size_bytes")?,
            added_at_ms: unsigned(row, "added_at_ms")?,
            tenants: unsigned(row, "tenants")?,
        })
    })
}
