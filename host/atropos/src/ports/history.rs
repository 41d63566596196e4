//! What happened.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::Result;
use crate::domain::decision::Decision;
use crate::domain::{Activity, Page, Stretch, Wanted};
use crate::target::{Kind, TenantId};

/// Activity and decisions, looked back at.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// What happened to the objects of one owner, latest first; of one kind, or of both.
    async fn activity(
        &self,
        tenant: TenantId,
        kind: Option<Kind>,
        owner: &str,
        page: Page,
    ) -> Result<Vec<Activity>>;

    /// One recorded decision of a tenant.
    async fn decision(&self, tenant: TenantId, id: Uuid) -> Result<Option<Decision>>;

    /// A part of the list of a tenant's decisions that are wanted.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if the tenant has none of the id after which the part is to begin.
    async fn decisions(
        &self,
        tenant: TenantId,
        wanted: &Wanted,
        stretch: Stretch,
    ) -> Result<Vec<Decision>>;

    /// How many decisions of a tenant are wanted. Looks at each of them.
    async fn count_decisions(&self, tenant: TenantId, wanted: &Wanted) -> Result<u64>;
}
