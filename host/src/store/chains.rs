//! What the gate needs: the ordered policies of a tenant, and the bytes of components.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Result;
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

/// The ordered policies of a tenant; every one must allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Counts the changes from 1.
    pub revision: u64,
    /// In the order in which they are asked. An empty chain allows nothing.
    pub entries: Vec<ChainEntry>,
}

/// One policy with a tenant's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEntry {
    /// The component's name, as it described itself when it was assigned.
    pub policy: String,
    /// The component.
    pub digest: Digest,
    /// The JSON text as the tenant gave it.
    pub settings: String,
}
