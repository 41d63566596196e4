//! The budgets of tenants, as operators set and see them.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::budget::{Limit, Spent};
use crate::target::TenantId;

/// Limits, and what was spent.
#[async_trait]
pub trait Budgets: Send + Sync + 'static {
    /// The limits that were set for a tenant, in place of the configuration's.
    async fn limits(&self, tenant: TenantId) -> Result<Vec<Limit>>;

    /// Sets limits for a tenant, from its next delete on; the others stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such tenant.
    async fn set_limits(&self, tenant: TenantId, limits: &[Limit]) -> Result<()>;

    /// What a tenant and its callers have spent of the limited windows that go on at `at_ms`, by
    /// caller.
    async fn spent(&self, tenant: TenantId, at_ms: u64) -> Result<Vec<Spent>>;
}
