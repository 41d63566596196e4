//! Components that are kept.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::NewComponent;
use crate::domain::policies::ComponentInfo;
use crate::target::Digest;

/// Keeps components, and the choice of the plugin.
#[async_trait]
pub trait Components: Send + Sync + 'static {
    /// Keeps a component under its digest. Kept already is fine: what it says of itself follows from
    /// its bytes.
    async fn add_component(&self, component: NewComponent) -> Result<()>;

    /// Every component that is kept, by name and age.
    async fn components(&self) -> Result<Vec<ComponentInfo>>;

    /// Chooses the deletion plugin; `None` for the one built in.
    ///
    /// # Errors
    /// [`StoreError::Missing`](super::StoreError::Missing) if the component is not kept.
    async fn choose_plugin(&self, digest: Option<Digest>) -> Result<()>;
}
