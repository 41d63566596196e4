//! What the gate needs: the ordered policies of a tenant, and the bytes of components.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Result;
use crate::config::GuestLimits;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Counts the changes from 1.
    pub revision: u64,
    /// In the order in which they are asked. An empty chain allows nothing.
    pub entries: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
}

impl Chain {
    /// Names what the chain does: the same for any two chains that judge alike, whatever their
    /// revision. As long as it takes, not on the path of a request.
    pub fn digest(&self) -> Digest {
        let limits = [
            self.limits.fuel,
            self.limits.deadline_ms,
            self.limits.memory_bytes,
            self.limits.transfer_bytes,
        ];
        let limits =
            limits.map(|limit| limit.map_or_else(Vec::new, |limit| limit.to_be_bytes().to_vec()));
        let entries = self.entries.iter();
        let entries = entries.flat_map(|entry| [&entry.digest.0[..], entry.settings.as_bytes()]);
        Digest::of_parts(limits.iter().map(Vec::as_slice).chain(entries))
    }

    /// These policies with one more: in the place of the one that has its name, or else as the last.
    pub fn entries_with(&self, new: ChainEntry) -> Vec<ChainEntry> {
        let mut entries = self.entries.clone();
        match entries.iter_mut().find(|entry| entry.policy == new.policy) {
            Some(entry) => *entry = new,
            None => entries.push(new),
        }
        entries
    }
}

/// What the policies of one tenant may consume per call, where that is not what the configuration
/// says for all. The host's ceiling holds whatever stands here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyLimits {
    /// Instructions, in wasmtime's units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Wall-clock time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Linear memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What it may return at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_bytes: Option<u64>,
}

impl PolicyLimits {
    /// All of these set.
    pub fn of(limits: GuestLimits) -> Self {
        Self {
            fuel: Some(limits.fuel),
            deadline_ms: Some(limits.deadline_ms),
            memory_bytes: Some(limits.memory_bytes),
            transfer_bytes: Some(limits.transfer_bytes),
        }
    }

    /// These limits where they are set, and `rest` for everything else.
    pub fn over(self, rest: GuestLimits) -> GuestLimits {
        GuestLimits {
            fuel: self.fuel.unwrap_or(rest.fuel),
            deadline_ms: self.deadline_ms.unwrap_or(rest.deadline_ms),
            memory_bytes: self.memory_bytes.unwrap_or(rest.memory_bytes),
            transfer_bytes: self.transfer_bytes.unwrap_or(rest.transfer_bytes),
            ..rest
        }
    }
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
