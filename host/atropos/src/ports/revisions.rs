//! The chains of tenants, with their history.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::policies::{Revision, Unrevised};
use crate::domain::{NewRevision, Page};
use crate::target::TenantId;

/// Changes chains, and looks back.
///
/// **Invariant:** a chain in force is the latest revision; none is ever changed or removed.
#[async_trait]
pub trait Revisions: Send + Sync + 'static {
    /// Puts a new chain in force as the tenant's next revision, which is returned. Every digest must
    /// be kept already. Whether the change is made is what [`NewRevision::may_follow`] says, and whether a
    /// shadow ends what [`NewRevision::ends`] says.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such tenant, or a component is not kept. Inside,
    /// why the chain stays as it is.
    async fn revise(&self, tenant: TenantId, new: NewRevision) -> Result<Result<u64, Unrevised>>;

    /// The chains that a tenant has had, latest first.
    async fn revisions(&self, tenant: TenantId, page: Page) -> Result<Vec<Revision>>;

    /// One of the chains that a tenant has had.
    async fn revision(&self, tenant: TenantId, number: u64) -> Result<Option<Revision>>;
}
