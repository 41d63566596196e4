//! [`CredentialCheck`] and [`CredentialAdmin`] in SQLite.

use async_trait::async_trait;
use atropos::domain::tenants::{GrantInfo, NewCredential};
use atropos::domain::{ClientInfo, KeyInfo};
use atropos::ports::{CredentialAdmin, CredentialCheck, Result, StoreError};
use atropos::target::{Caller, CallerKind, Digest, Permission, Subdomain, TenantId, WebsiteId};
use rusqlite::{Connection, params};

use super::error::{Named as _, Sql};
use super::rows::{
    all, digest, execute, first, json, known, optional, signed, tenant, to_json, unsigned, word,
};
use super::{Sqlite, tokens};

const SITE_CALLER: &str = "
    SELECT tenants.id, subdomain, website_id, site_keys.id AS credential
    FROM tenants JOIN site_keys ON site_keys.tenant = tenants.id
    WHERE website_id = ? AND digest = ? AND revoked_at_ms IS NULL
        AND (expires_at_ms IS NULL OR expires_at_ms > ?)";

#[async_trait]
impl CredentialCheck for Sqlite {
    async fn site_caller(
        &self,
        website: WebsiteId,
        digest: Digest,
        at_ms: u64,
    ) -> Result<Option<Caller>> {
        let values = params![signed(website.get()), digest.0, signed(at_ms)];
        self.readers.read(|rows| {
            first(rows, SITE_CALLER, values, |row| {
                Ok(Caller {
                    tenant: tenant(row)?,
                    kind: CallerKind::SiteKey,
                    id: row.get("credential")?,
                    permissions: vec![Permission::PhotosWrite],
                })
            })
        })
    }

    async fn client_secret(&self, id: &str, at_ms: u64) -> Result<Option<Digest>> {
        let valid = "
            SELECT digest FROM clients
            WHERE id = ? AND (expires_at_ms IS NULL OR expires_at_ms > ?)";
        let values = params![id, signed(at_ms)];
        self.readers
            .read(|rows| first(rows, valid, values, |row| digest(row, "digest")))
    }

    async fn add_token(&self, client: &str, token: NewCredential, most: u64) -> Result<u64> {
        let client = client.to_owned();
        self.writer
            .write(move |rows| tokens::add(rows, &client, &token, most))
            .await
    }

    async fn token_client(&self, digest: Digest, at_ms: u64) -> Result<Option<String>> {
        let valid = "
            SELECT client FROM tokens
            WHERE digest = ? AND revoked_at_ms IS NULL
                AND (expires_at_ms IS NULL OR expires_at_ms > ?)";
        let values = params![digest.0, signed(at_ms)];
        self.readers
            .read(|rows| first(rows, valid, values, |row| Ok(row.get("client")?)))
    }

    async fn granted(&self, client: &str, subdomain: &Subdomain) -> Result<Option<Caller>> {
        let granted = "
            SELECT id, subdomain, website_id, permissions
            FROM tenants JOIN grants ON grants.tenant = tenants.id
            WHERE client = ? AND subdomain = ?";
        self.readers.read(|rows| {
            first(rows, granted, [client, subdomain.as_str()], |row| {
                Ok(Caller {
                    tenant: tenant(row)?,
                    kind: CallerKind::ApiClient,
                    id: client.to_owned(),
                    permissions: json(row, "permissions")?,
                })
            })
        })
    }
}

#[async_trait]
impl CredentialAdmin for Sqlite {
    async fn add_key(&self, tenant: TenantId, key: NewCredential) -> Result<()> {
        let insert = "
            INSERT INTO site_keys (tenant, id, label, digest, issued_at_ms, expires_at_ms)
            VALUES (?, ?, ?, ?, ?, ?)";
        self.writer
            .write(move |rows| {
                known(rows, tenant)?;
                let values = params![
                    tenant.0,
                    key.id,
                    key.label,
                    key.digest.0,
                    signed(key.issued_at_ms),
                    key.expires_at_ms.map(signed),
                ];
                execute(rows, insert, values).unique("site key")?;
                Ok(())
            })
            .await
    }

    async fn keys(&self, tenant: TenantId) -> Result<Vec<KeyInfo>> {
        let every = "
            SELECT id, label, issued_at_ms, expires_at_ms, revoked_at_ms FROM site_keys
            WHERE tenant = ? ORDER BY issued_at_ms DESC, id";
        let keys = move |rows: &Connection| {
            all(rows, every, [tenant.0], |row| {
                Ok(KeyInfo {
                    id: row.get("id")?,
                    label: row.get("label")?,
                    issued_at_ms: unsigned(row, "issued_at_ms")?,
                    expires_at_ms: optional(row, "expires_at_ms")?,
                    revoked_at_ms: optional(row, "revoked_at_ms")?,
                })
            })
        };
        self.readers.read_long(keys).await
    }

    async fn revoke_key(&self, id: &str, at_ms: u64) -> Result<()> {
        let revoke = "
            UPDATE site_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?";
        self.void(revoke, "site key", id, at_ms).await
    }

    async fn add_client(&self, client: NewCredential) -> Result<()> {
        let insert = "
            INSERT INTO clients (id, label, digest, issued_at_ms, expires_at_ms)
            VALUES (?, ?, ?, ?, ?)";
        self.writer
            .write(move |rows| {
                let values = params![
                    client.id,
                    client.label,
                    client.digest.0,
                    signed(client.issued_at_ms),
                    client.expires_at_ms.map(signed),
                ];
                execute(rows, insert, values).unique("client")?;
                Ok(())
            })
            .await
    }

    async fn clients(&self) -> Result<Vec<ClientInfo>> {
        self.readers.snapshot_long(clients).await
    }

    async fn grant(
        &self,
        client: &str,
        tenant: TenantId,
        permissions: &[Permission],
    ) -> Result<()> {
        let (client, permissions) = (client.to_owned(), permissions.to_vec());
        self.writer
            .write(move |rows| grant(rows, &client, tenant, &permissions))
            .await
    }

    async fn revoke_token(&self, id: &str, at_ms: u64) -> Result<()> {
        let revoke = "UPDATE tokens SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?";
        self.void(revoke, "token", id, at_ms).await
    }
}

impl Sqlite {
    /// Runs a statement that voids the credential `id` from `at_ms` on.
    async fn void(
        &self,
        sql: &'static str,
        what: &'static str,
        id: &str,
        at_ms: u64,
    ) -> Result<()> {
        let id = id.to_owned();
        self.writer
            .write(
                move |rows| match execute(rows, sql, params![signed(at_ms), id])? {
                    0 => Err(StoreError::Missing { what }.into()),
                    _ => Ok(()),
                },
            )
            .await
    }
}

fn clients(rows: &Connection) -> Sql<Vec<ClientInfo>> {
    let every = "SELECT id, label, issued_at_ms FROM clients ORDER BY id";
    let grants = "
        SELECT subdomain, permissions FROM grants JOIN tenants ON tenants.id = grants.tenant
        WHERE client = ? ORDER BY subdomain";
    all(rows, every, [], |row| {
        let id: String = row.get("id")?;
        let grants = all(rows, grants, [&id], |row| {
            Ok(GrantInfo {
                tenant: word(row, "subdomain")?,
                permissions: json(row, "permissions")?,
            })
        })?;
        Ok(ClientInfo {
            label: row.get("label")?,
            created_at_ms: unsigned(row, "issued_at_ms")?,
            grants,
            id,
        })
    })
}

fn grant(rows: &Connection, client: &str, tenant: TenantId, permissions: &[Permission]) -> Sql<()> {
    known(rows, tenant)?;
    let any = "SELECT 1 FROM clients WHERE id = ?";
    let found = first(rows, any, [client], |_| Ok(()))?;
    found.ok_or(StoreError::Missing { what: "client" })?;
    if permissions.is_empty() {
        let withdraw = "DELETE FROM grants WHERE client = ? AND tenant = ?";
        execute(rows, withdraw, params![client, tenant.0])?;
    } else {
        let put = "INSERT OR REPLACE INTO grants (client, tenant, permissions) VALUES (?, ?, ?)";
        execute(rows, put, params![client, tenant.0, to_json(permissions)?])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn who_asks_is_looked_up_without_compiling_the_statement_anew() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        let again = |rows: &Connection| {
            for website in 1..4 {
                let values = params![website, [0_u8; 32], website];
                first(rows, SITE_CALLER, values, |_| Ok(()))?;
            }
            let statement = rows.prepare_cached(SITE_CALLER)?;
            Ok(statement.get_status(StatementStatus::RePrepare))
        };
        assert_eq!(sqlite.readers.read(again).unwrap(), 0);
    }
}
