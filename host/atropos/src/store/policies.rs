//! What an operator does with policies: keep components, change chains, try one beside another, look
//! back.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Result;
use super::chains::Chain;
use super::entry::ChainEntry;
use super::limits::PolicyLimits;
use super::page::Page;
use super::report::Report;
use super::shadow::{Difference, Tally};
use crate::target::{Digest, TenantId};

/// Components, and the chains that tenants make of them, with their history.
///
/// **Invariant:** a chain in force is the latest revision; none is ever changed or removed.
#[async_trait]
pub trait Policies: Send + Sync + 'static {
    /// Keeps a component under its digest. Kept already is fine: what it says of itself follows from
    /// its bytes.
    async fn add_component(&self, component: NewComponent) -> Result<()>;

    /// Every component that is kept, by name and age.
    async fn components(&self) -> Result<Vec<ComponentInfo>>;

    /// Chooses the deletion plugin; `None` for the one built in.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if the component is not kept.
    async fn choose_plugin(&self, digest: Option<Digest>) -> Result<()>;

    /// Puts a new chain in force as the tenant's next revision, which is returned. Every digest must
    /// be kept already. A shadow goes on beside the new chain, unless it is the new chain.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such tenant, or a component is not kept. Inside,
    /// why the chain stays as it is.
    async fn revise(&self, tenant: TenantId, new: NewRevision) -> Result<Result<u64, Unrevised>>;

    /// The chains that a tenant has had, latest first.
    async fn revisions(&self, tenant: TenantId, page: Page) -> Result<Vec<Revision>>;

    /// One of the chains that a tenant has had.
    async fn revision(&self, tenant: TenantId, number: u64) -> Result<Option<Revision>>;

    /// Has a chain asked beside the one in force from now on, in place of any other. Every digest
    /// must be kept already.
    ///
    /// # Errors
    /// As of [`Policies::revise`].
    async fn set_shadow(&self, tenant: TenantId, new: NewShadow) -> Result<Uuid>;

    /// Has no chain asked beside the one in force any more, and forgets what it said. Returns whether
    /// there was one.
    async fn drop_shadow(&self, tenant: TenantId) -> Result<bool>;

    /// How the shadow of a tenant has fared.
    async fn tally(&self, tenant: TenantId) -> Result<Option<Tally>>;

    /// Where the shadow of a tenant differs: by sort, the one to look at first at the front, and then
    /// latest first. Of each sort the first thousand are kept.
    async fn differences(&self, tenant: TenantId, page: Page) -> Result<Vec<Difference>>;

    /// Whether a chain of this tenant that may allow more than the one in force must have been
    /// replayed.
    async fn replay_required(&self, tenant: TenantId) -> Result<bool>;

    /// Sets that.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such tenant.
    async fn require_replay(&self, tenant: TenantId, required: bool) -> Result<()>;

    /// Keeps what a replay found.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such tenant.
    async fn add_report(&self, report: &Report) -> Result<()>;

    /// One report of a tenant.
    async fn report(&self, tenant: TenantId, id: Uuid) -> Result<Option<Report>>;
}

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
