//! What is tested, and what the platform does for the test.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::config::Budget;
use crate::domain::decision::{Decision, DecisionCaller, PolicyReview, Verdict};
use crate::domain::{
    ChainEntry, Claim, Conflict, Doomed, Erasure, Owner, PolicyLimits, Removal, Shred,
};
use crate::ports::{Blobs, Bytes, Chains, Database, EraseError, Result, Rows};
use crate::target::{BlobKey, CallerKind, Digest, Kind, Object, Permission, Target, Tenant};

/// How long an erasure keeps its pending removals to itself, in milliseconds.
pub(super) const LEASE_MS: u64 = 30_000;

/// A storage to be tested. It is fresh: nothing is in it but one tenant, whose chain has one entry.
pub struct Subject {
    /// The tenant.
    pub tenant: Tenant,
    /// The one entry of its chain.
    pub entry: ChainEntry,
    /// What time it is, in milliseconds since the epoch.
    pub now_ms: u64,
    /// Its rows.
    pub rows: Arc<dyn Rows>,
    /// Its bytes.
    pub blobs: Arc<dyn Blobs>,
    /// Its chains.
    pub chains: Arc<dyn Chains>,
    /// What the platform does for the test.
    pub fixture: Arc<dyn Fixture>,
    /// Whether its rows keep outcomes.
    pub keeps_outcomes: bool,
    /// The same storage as the service knows it, if it is one that the service can stand on.
    pub service: Option<(Arc<dyn Database>, Arc<dyn Bytes>)>,
    /// What must live as long as the storage, such as a temporary directory.
    pub keep: Box<dyn Any + Send + Sync>,
    /// The keys of the objects that the test added.
    pub keys: Mutex<HashMap<Target, Vec<BlobKey>>>,
}

/// What a platform does for the test, in whatever way it does it: the ports of a delete have no way to make
/// an object.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// Makes this object live, with a blob for each of `contents`, and returns their keys in that order.
    async fn add(&self, object: &Object, contents: &[&[u8]]) -> Result<Vec<BlobKey>>;

    /// Places a hold on a live object, which counts as a new version.
    async fn hold(&self, target: &Target) -> Result<()>;

    /// Has a live object kept until this time, which counts as a new version.
    async fn retain(&self, target: &Target, until_ms: u64) -> Result<()>;

    /// Replaces the labels of a live object, which counts as a new version.
    async fn relabel(&self, target: &Target, labels: &[&str]) -> Result<()>;

    /// Keeps a component, so that a chain may name it.
    async fn keep(&self, policy: &str, component: &[u8]) -> Result<()>;

    /// The decisions on record, in the order in which they were recorded.
    async fn decisions(&self) -> Result<Vec<Decision>>;
}

impl Subject {
    /// Makes an object live that has two renditions of these bytes.
    pub async fn upload(&self, id: &str, content: &[u8]) -> Object {
        let object = self.object(id, content);
        self.add(object, content).await
    }

    /// Makes this object live, likewise.
    pub async fn add(&self, object: Object, content: &[u8]) -> Object {
        let keys = self
            .fixture
            .add(&object, &[content, content])
            .await
            .unwrap();
        self.keys.lock().insert(object.target.clone(), keys);
        object
    }

    /// An object that is not live yet.
    pub fn object(&self, id: &str, content: &[u8]) -> Object {
        Object {
            target: self.target(id),
            version: 1,
            size_bytes: content.len() as u64,
            media_type: "image/png".to_owned(),
            created_at_ms: self.now_ms,
            labels: vec!["a".to_owned(), "b".to_owned()],
            retain_until_ms: None,
            held: false,
        }
    }

    /// The name of a photo of the one user.
    pub fn target(&self, id: &str) -> Target {
        Target {
            tenant: self.tenant.id,
            kind: Kind::Photo,
            owner: "user-6".to_owned(),
            id: id.to_owned(),
        }
    }

    /// The keys of an object that the test added.
    pub fn keys(&self, object: &Object) -> Vec<BlobKey> {
        self.keys.lock()[&object.target].clone()
    }

    /// An erasure of an object that was judged as it is here.
    pub fn erasure(&self, object: &Object) -> Erasure {
        erasure(self, object)
    }

    /// Erases a group in which the storage fails for none.
    pub async fn erase(&self, group: &[Erasure]) -> Vec<Result<Doomed, Conflict>> {
        let outcomes = self.rows.erase(group).await.unwrap();
        assert_eq!(outcomes.len(), group.len());
        let conflict = |error| match error {
            EraseError::Conflict(conflict) => conflict,
            EraseError::Store(error) => panic!("{error}"),
        };
        let told = outcomes.into_iter();
        told.map(|outcome| outcome.map_err(conflict)).collect()
    }

    /// The live object of this name.
    pub async fn find(&self, target: &Target) -> Option<Object> {
        self.rows.find(target).await.unwrap()
    }

    /// What is due by this time, claimed until then, so that it can be claimed again.
    pub async fn due(&self, by_ms: u64, limit: usize) -> Vec<Shred> {
        let claim = Claim {
            owner: Owner::random(),
            by_ms,
            until_ms: by_ms,
            limit,
        };
        self.rows.claim(&claim).await.unwrap()
    }

    /// Strikes pending removals off.
    pub async fn strike_off(&self, removed: &[(BlobKey, Removal)]) {
        for struck_off in self.rows.shredded(removed).await.unwrap() {
            struck_off.unwrap();
        }
    }

    /// Puts a pending removal off that a fresh owner may have failed at.
    pub async fn postpone(&self, owner: Owner, key: BlobKey, not_before_ms: u64) {
        let postponed = self.rows.postpone(owner, key, not_before_ms, "EIO");
        postponed.await.unwrap();
    }

    /// The decisions on record, in the order in which they were recorded.
    pub async fn decisions(&self) -> Vec<Decision> {
        self.fixture.decisions().await.unwrap()
    }

    /// What a chain says that allows.
    pub fn allowed(&self, object: &Object) -> Decision {
        allowed(self, object)
    }

    /// What a chain says that denies.
    pub fn denied(&self, object: &Object) -> Decision {
        denied(self, object)
    }
}

/// A component of this name, as an entry of a chain.
pub fn entry(policy: &str) -> ChainEntry {
    ChainEntry::new(policy, policy.as_bytes(), "{}")
}

/// What a chain says that allows.
pub fn allowed(subject: &Subject, object: &Object) -> Decision {
    let entry = &subject.entry;
    Decision {
        id: Uuid::new_v4(),
        at_ms: subject.now_ms,
        tenant: subject.tenant.subdomain.clone(),
        caller: DecisionCaller {
            kind: CallerKind::SiteKey,
            id: "key-1".to_owned(),
            permissions: vec![Permission::PhotosWrite],
        },
        object: object.clone(),
        chain_revision: 1,
        reviews: vec![PolicyReview {
            policy: entry.policy.clone(),
            digest: entry.digest,
            settings: "{}".into(),
            outcome: "allow".to_owned(),
            findings: Vec::new(),
            fuel: 1,
            limits: PolicyLimits::default(),
            duration_us: 1,
        }],
        verdict: Verdict::Allowed,
    }
}

/// What a chain says that denies.
pub fn denied(subject: &Subject, object: &Object) -> Decision {
    Decision {
        verdict: Verdict::Denied,
        ..allowed(subject, object)
    }
}

/// An erasure of an object that was judged as it is here.
pub fn erasure(subject: &Subject, object: &Object) -> Erasure {
    Erasure {
        decision: allowed(subject, object),
        at_ms: subject.now_ms,
        owner: Owner::random(),
        lease_until_ms: subject.now_ms + LEASE_MS,
        budget: Budget::default(),
        once: None,
    }
}

/// The digest of a component that is kept nowhere.
pub(super) fn unknown() -> Digest {
    Digest::of(b"unknown")
}
