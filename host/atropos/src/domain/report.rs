//! What a replay found, kept so that a change of a chain can be held to it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::target::{Digest, TenantId};

/// The recorded decisions of a tenant, judged again by another chain. Flips are counted once a
/// decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its public id.
    pub id: Uuid,
    /// Whose decisions.
    #[serde(skip, default = "nobody")]
    pub tenant: TenantId,
    /// The revision that was in force.
    pub base_revision: u64,
    /// What the other chain does: [`super::Chain::digest`].
    pub candidate: Digest,
    /// When it was made, in milliseconds since the epoch.
    pub at_ms: u64,
    /// By whom, in the operator's words.
    pub by: String,
    /// Decisions older than this were left out.
    pub since_ms: Option<u64>,
    /// Decisions from this on were left out.
    #[serde(default)]
    pub until_ms: Option<u64>,
    /// How many decisions were judged again.
    pub decisions: u64,
    /// How many of them had been refused by a policy and would be allowed.
    pub deny_to_allow: u64,
    /// How many of them had been allowed and would be refused by a policy.
    pub allow_to_deny: u64,
    /// How many of them nobody could judge, of those that somebody could before.
    pub faults: u64,
}

impl Report {
    /// Whether it is about all that was on record.
    pub fn is_whole(&self) -> bool {
        self.since_ms.is_none() && self.until_ms.is_none()
    }
}

fn nobody() -> TenantId {
    TenantId(0)
}
