//! What the gate needs: the ordered policies of a tenant, and the bytes of components.

use std::sync::Arc;

use async_trait::async_trait;

use super::error::Result;
use crate::domain::Chain;
use crate::target::{Digest, TenantId};

/// Which components judge and serve.
#[async_trait]
pub trait Chains: Send + Sync + 'static {
    /// The chain in force. A tenant without a chain has none, and nothing of it can be erased.
    async fn chain(&self, tenant: TenantId) -> Result<Option<Arc<Chain>>>;

    /// The bytes of a component that a chain or [`Chains::plugin`] names.
    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>>;

    /// The deletion plugin that the operator chose; `None` for the one built in.
    async fn plugin(&self) -> Result<Option<Digest>>;
}
