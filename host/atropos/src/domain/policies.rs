//! Components that are kept, and changes of chains.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chains::Chain;
use super::entry::ChainEntry;
use super::limits::PolicyLimits;
use super::report::Report;
use super::shadow::Shadow;
use crate::target::Digest;

/// What a policy says of itself, as its own component told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its version.
    pub version: String,
    /// What it forbids, in one sentence.
    pub summary: String,
    /// JSON Schema of its settings.
    pub settings_schema: String,
}

/// A component to be kept.
#[derive(Clone, Debug)]
pub struct NewComponent {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// As it names itself; a plugin, as its file is named.
    pub name: String,
    /// What a policy says of itself.
    pub about: Option<About>,
    /// The component.
    pub bytes: Vec<u8>,
    /// When.
    pub at_ms: u64,
}

impl NewComponent {
    /// One that says nothing of itself.
    pub fn new(name: &str, bytes: &[u8], at_ms: u64) -> Self {
        Self {
            digest: Digest::of(bytes),
            name: name.to_owned(),
            about: None,
            bytes: bytes.to_vec(),
            at_ms,
        }
    }
}

/// A component that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentInfo {
    /// Its name in chains and records.
    pub digest: Digest,
    /// As it names itself.
    pub name: String,
    /// What a policy says of itself; unknown of plugins.
    #[serde(flatten)]
    pub about: Option<About>,
    /// Its size.
    pub size_bytes: u64,
    /// When it was kept for the first time.
    pub added_at_ms: u64,
    /// How many tenants have it in the chain in force.
    pub tenants: u64,
}

/// How a revision came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// With its tenant.
    Created,
    /// As a whole chain.
    Assigned,
    /// As one component that took its place in the chain.
    Deployed,
    /// As an earlier revision.
    RolledBack,
    /// As the chain that was tried beside the one in force.
    Promoted,
}

/// A change of a chain.
#[derive(Clone, Debug)]
pub struct NewRevision {
    /// The policies, in the order in which they are asked.
    pub entries: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
    /// How it comes about.
    pub origin: Origin,
    /// Who changes it, in the operator's words.
    pub by: String,
    /// Why, likewise.
    pub why: String,
    /// When.
    pub at_ms: u64,
    /// The revision that the change is meant for; `None` replaces whatever is in force.
    pub base: Option<u64>,
    /// What a replay found of this chain.
    pub report: Option<Uuid>,
}

impl NewRevision {
    /// A whole chain, by whom and why it is left open.
    pub fn new(entries: Vec<ChainEntry>, at_ms: u64) -> Self {
        Self {
            entries,
            limits: PolicyLimits::default(),
            origin: Origin::Assigned,
            by: String::new(),
            why: String::new(),
            at_ms,
            base: None,
            report: None,
        }
    }
}

/// What a change of a chain is held against, as it is while nothing else changes it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The chain in force; of a tenant that has none, the default.
    pub active: &'a Chain,
    /// Whether the tenant wants a replay before a change that may allow more.
    pub replay_required: bool,
    /// The report that [`NewRevision::report`] names.
    pub report: Option<&'a Report>,
}

impl NewRevision {
    /// The chain that it puts in force.
    pub fn chain(&self) -> Chain {
        Chain {
            entries: self.entries.clone(),
            limits: self.limits,
            ..Chain::default()
        }
    }

    /// Whether a shadow ends once this is in force: it is the same chain, and there is nothing left to
    /// compare.
    pub fn ends(&self, shadow: &Shadow) -> bool {
        (&shadow.entries, shadow.limits) == (&self.entries, self.limits)
    }

    /// Whether nothing stands against the change.
    ///
    /// # Errors
    /// What does.
    pub fn may_follow(&self, standing: Standing<'_>) -> Result<(), Unrevised> {
        let Standing {
            active,
            replay_required,
            report,
        } = standing;
        let current = active.revision;
        if self.base.is_some_and(|base| base != current) {
            return Err(Unrevised::Outdated { current });
        }
        let chain = self.chain();
        let wanted = replay_required && !chain.allows_no_more_than(active);
        match report {
            Some(found) => {
                let report = found.id;
                if (found.base_revision, found.candidate) != (current, chain.digest()) {
                    return Err(Unrevised::OtherReport { report, current });
                }
                if wanted && !found.is_whole() {
                    return Err(Unrevised::PartialReport { report });
                }
                Ok(())
            }
            None if wanted => Err(Unrevised::ReplayWanted { current }),
            None => Ok(()),
        }
    }
}

/// A chain that a tenant has, or had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Counts the changes from 1.
    pub revision: u64,
    /// Since when it is, or was, in force.
    pub at_ms: u64,
    /// How it came about.
    pub origin: Origin,
    /// Who made it; empty where nobody said.
    pub by: String,
    /// Why; likewise.
    pub why: String,
    /// The policies, in the order in which they are asked.
    pub chain: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
    /// The report of a replay that it was held to.
    pub report: Option<Uuid>,
}

impl From<Revision> for Chain {
    fn from(revision: Revision) -> Self {
        Self {
            revision: revision.revision,
            entries: revision.chain,
            limits: revision.limits,
            shadow: None,
        }
    }
}

/// A chain to be asked beside the one in force.
#[derive(Clone, Debug)]
pub struct NewShadow {
    /// The policies, in the order in which they are asked.
    pub entries: Vec<ChainEntry>,
    /// What each of them may consume.
    pub limits: PolicyLimits,
    /// Who sets it up.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at_ms: u64,
}

/// Why a chain stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrevised {
    /// Somebody else changed it meanwhile.
    #[error("the chain has been changed meanwhile, and is at revision {current} now")]
    Outdated {
        /// The revision in force.
        current: u64,
    },
    /// The new chain may allow more, and no report says what.
    #[error(
        "the new chain may allow more than revision {current}, and this tenant wants a replay first"
    )]
    ReplayWanted {
        /// The revision in force.
        current: u64,
    },
    /// The report leaves decisions out, and this tenant wants all of them replayed.
    #[error(
        "the report {report} leaves decisions out; this tenant wants all of them replayed first"
    )]
    PartialReport {
        /// The report that was named.
        report: Uuid,
    },
    /// The report is not about this chain beside the one in force.
    #[error("the report {report} is not about this chain beside revision {current}")]
    OtherReport {
        /// The report that was named.
        report: Uuid,
        /// The revision in force.
        current: u64,
    },
}
