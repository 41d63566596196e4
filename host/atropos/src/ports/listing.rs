//! Live objects, found and listed.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::{ObjectPage, Stored};
use crate::target::{BlobKey, Kind, Target, TenantId};

/// Live objects with all that their owners may see.
#[async_trait]
pub trait Listing: Send + Sync + 'static {
    /// One live object.
    async fn show(&self, target: &Target) -> Result<Option<Stored>>;

    /// One live object by the key of one of its blobs, whatever its owner.
    async fn by_blob(&self, key: BlobKey) -> Result<Option<Stored>>;

    /// Whether a live object has a blob of this key.
    async fn is_named(&self, key: BlobKey) -> Result<bool>;

    /// The live objects of one owner, oldest first; or those of all owners, by owner and then oldest
    /// first. Those of one time are ordered by id, by bytes. Where they were stored shows nowhere.
    async fn list(
        &self,
        tenant: TenantId,
        kind: Kind,
        owner: Option<&str>,
        page: ObjectPage,
    ) -> Result<Vec<Stored>>;
}
