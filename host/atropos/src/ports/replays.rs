//! Replays that changes of chains are held to.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::Result;
use crate::domain::Report;
use crate::target::TenantId;

/// Which tenants want replays, and what these found.
#[async_trait]
pub trait Replays: Send + Sync + 'static {
    /// Whether a chain of this tenant that may allow more than the one in force must have been
    /// replayed.
    async fn replay_required(&self, tenant: TenantId) -> Result<bool>;

    /// Sets that.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such tenant.
    async fn require_replay(&self, tenant: TenantId, required: bool) -> Result<()>;

    /// Keeps what a replay found.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such tenant.
    async fn add_report(&self, report: &Report) -> Result<()>;

    /// One report of a tenant.
    async fn report(&self, tenant: TenantId, id: Uuid) -> Result<Option<Report>>;
}
