//! [`Components`] in SQLite.

use async_trait::async_trait;
use atropos::domain::NewComponent;
use atropos::domain::policies::{About, ComponentInfo};
use atropos::ports::{Components, Result};
use atropos::target::Digest;
use rusqlite::{Connection, params};

use super::error::Sql;
use super::rows::{all, digest, execute, signed, unsigned};
use super::{Sqlite, chains};

#[async_trait]
impl Components for Sqlite {
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
        signed(new.at_ms),
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
