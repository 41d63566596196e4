//! Tenants.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::NewTenant;
use crate::target::{Subdomain, Tenant};

/// Creates tenants and finds them.
#[async_trait]
pub trait TenantDirectory: Send + Sync + 'static {
    /// Creates a tenant with its first chain.
    ///
    /// # Errors
    /// [`StoreError::Taken`](super::StoreError::Taken) if subdomain or website is.
    async fn create_tenant(&self, new: NewTenant) -> Result<Tenant>;

    /// Every tenant whose row can be read, by subdomain.
    async fn tenants(&self) -> Result<Vec<Tenant>>;

    /// One tenant by subdomain.
    async fn tenant(&self, subdomain: &Subdomain) -> Result<Option<Tenant>>;
}
