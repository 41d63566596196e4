//! What chains say that are tried beside the ones in force.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::Result;
use crate::domain::page::Page;
use crate::domain::policies::NewShadow;
use crate::domain::shadow::{Difference, Observed, Tally};
use crate::target::TenantId;

/// Keeps what shadows say, while they are asked.
#[async_trait]
pub trait Shadows: Send + Sync + 'static {
    /// Has [`ShadowCounts`](crate::domain::shadow::ShadowCounts) count what the shadow of a tenant's chain
    /// said, and keeps the differences that it returns. Of a shadow that is not there any more nothing is
    /// kept.
    async fn observe(
        &self,
        tenant: TenantId,
        shadow: Uuid,
        seen: &[Observed],
        passed_over: u64,
    ) -> Result<()>;
}

/// Sets shadows up, and looks at what they said.
#[async_trait]
pub trait ShadowChains: Send + Sync + 'static {
    /// Has a chain asked beside the one in force from now on, in place of any other. Every digest
    /// must be kept already.
    ///
    /// # Errors
    /// As of [`Revisions::revise`](super::Revisions::revise).
    async fn set_shadow(&self, tenant: TenantId, new: NewShadow) -> Result<Uuid>;

    /// Has no chain asked beside the one in force any more, and forgets what it said. Returns whether
    /// there was one.
    async fn drop_shadow(&self, tenant: TenantId) -> Result<bool>;

    /// How the shadow of a tenant has fared.
    async fn tally(&self, tenant: TenantId) -> Result<Option<Tally>>;

    /// Where the shadow of a tenant differs: by sort, the one to look at first at the front, and then
    /// latest first. Of each sort the first thousand are kept.
    async fn differences(&self, tenant: TenantId, page: Page) -> Result<Vec<Difference>>;
}
