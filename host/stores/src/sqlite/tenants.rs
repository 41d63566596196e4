//! [`TenantDirectory`] in SQLite.

use async_trait::async_trait;
use atropos::domain::policies::Origin;
use atropos::domain::{NewRevision, NewTenant};
use atropos::ports::{Result, StoreError, TenantDirectory};
use atropos::target::{Subdomain, Tenant, TenantId};
use rusqlite::{Connection, params};

use super::error::{Named as _, Sql};
use super::rows::{first, readable, signed, tenant};
use super::{Sqlite, revisions};

#[async_trait]
impl TenantDirectory for Sqlite {
    async fn create_tenant(&self, new: NewTenant) -> Result<Tenant> {
        self.writer.write(move |rows| create(rows, new)).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>> {
        let every = "SELECT id, subdomain, website_id FROM tenants ORDER BY subdomain";
        self.readers
            .read_long(move |rows| readable(rows, "tenants", every, [], usize::MAX, tenant))
            .await
    }

    async fn tenant(&self, subdomain: &Subdomain) -> Result<Option<Tenant>> {
        let one = "SELECT id, subdomain, website_id FROM tenants WHERE subdomain = ?";
        self.readers
            .read(|rows| first(rows, one, [subdomain.as_str()], tenant))
    }
}

fn create(rows: &Connection, new: NewTenant) -> Sql<Tenant> {
    let taken = "SELECT 1 FROM tenants WHERE subdomain = ?";
    let taken = first(rows, taken, [new.subdomain.as_str()], |_| Ok(()))?;
    if taken.is_some() {
        return Err(StoreError::Taken { what: "subdomain" }.into());
    }
    let insert = "INSERT INTO tenants (subdomain, website_id, created_at_ms) VALUES (?, ?, ?)";
    let values = params![
        new.subdomain.as_str(),
        signed(new.website_id.get()),
        signed(new.at_ms),
    ];
    let inserted = rows.prepare_cached(insert)?.insert(values);
    let id = TenantId(inserted.unique("website id")?);
    let first = NewRevision {
        origin: Origin::Created,
        by: new.by,
        ..NewRevision::new(new.chain, new.at_ms)
    };
    revisions::append(rows, id, &first)?;
    Ok(Tenant {
        id,
        subdomain: new.subdomain,
        website_id: new.website_id,
    })
}
