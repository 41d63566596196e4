//! One policy of a chain.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::target::Digest;

/// One policy with a tenant's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEntry {
    /// The component's name, as it described itself when it was assigned.
    pub policy: String,
    /// The component.
    pub digest: Digest,
    /// The JSON text as the tenant gave it.
    #[serde(with = "super::shared_text")]
    pub settings: Arc<str>,
}

impl ChainEntry {
    /// This component under this name, with these settings, which it is not asked about.
    pub fn new(policy: impl Into<String>, component: &[u8], settings: impl Into<Arc<str>>) -> Self {
        Self {
            policy: policy.into(),
            digest: Digest::of(component),
            settings: settings.into(),
        }
    }
}
