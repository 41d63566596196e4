//! Changes of live objects.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::Result;
use crate::domain::catalogue::Change;
use crate::target::Target;

/// Labels, retention dates and holds. Each change counts as a new version of the object.
#[async_trait]
pub trait Changes: Send + Sync + 'static {
    /// Replaces labels or retention date where given; counts as a new version.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such object.
    async fn change(&self, target: &Target, change: Change) -> Result<()>;

    /// Places a legal hold and returns its id. An object can bear several. Counts as a new version:
    /// what was judged without the hold is not what there is now.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such object.
    async fn place_hold(&self, target: &Target, reason: &str, at_ms: u64) -> Result<Uuid>;

    /// Releases every hold on the object and returns how many there were. Counts as a new version.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if there is no such object.
    async fn release_holds(&self, target: &Target) -> Result<u64>;
}
