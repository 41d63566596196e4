//! Objects that come to be.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::NewObject;
use crate::target::BlobKey;

/// Uploads, from before their first byte to the object.
#[async_trait]
pub trait PendingUploads: Send + Sync + 'static {
    /// Dooms `keys` from `until_ms` on, before their first byte is written, so that an upload that
    /// never completes leaves nothing.
    async fn reserve(&self, keys: &[BlobKey], until_ms: u64) -> Result<()>;

    /// Makes an uploaded object live, in one transaction with taking its keys off the shred records.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if a reservation ran out and its bytes are being removed,
    /// [`StoreError::Taken`](super::StoreError::Taken) if the tenant has a live object of this kind, owner and id.
    async fn insert(&self, object: NewObject) -> Result<()>;
}
