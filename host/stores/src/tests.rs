//! What the storage promises, as sentences. [`conformance`] holds for every backend.

mod commit;
mod conformance;
mod files;
mod lives;
mod model;
mod recovery;
mod settle;
mod volumes;

use std::sync::Arc;

use atropos::config::Budget;
use atropos::store::decision::{Decision, DecisionCaller, PolicyReview, Verdict};
use atropos::store::*;
use atropos::target::{
    BlobKey, CallerKind, Digest, Kind, Object, Permission, Target, Tenant, TenantId, WebsiteId,
    now_ms,
};
use proptest::test_runner::Config as ProptestConfig;
use uuid::Uuid;

use super::local::Local;
use super::sqlite::Sqlite;

/// A backend under test, with nothing in it but one tenant.
pub(super) struct Backend {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) catalogue: Arc<dyn Catalogue>,
    pub(super) chains: Arc<dyn Chains>,
    pub(super) tenants: Arc<dyn Tenants>,
    pub(super) policies: Arc<dyn Policies>,
    pub(super) shadows: Arc<dyn Shadows>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) inventory: Arc<dyn Inventory>,
    pub(super) tenant: Tenant,
    pub(super) dir: tempfile::TempDir,
}

impl Backend {
    /// SQLite and local files in a directory of their own.
    pub(super) async fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rows = Arc::new(Sqlite::open(dir.path()).unwrap());
        let bytes = Arc::new(Local::open(dir.path(), &*rows).unwrap());
        let component = NewComponent::new("allow-all", b"allow-all", now_ms());
        rows.add_component(component).await.unwrap();
        let tenant = NewTenant {
            subdomain: "mytenant".parse().unwrap(),
            website_id: WebsiteId::new(7).unwrap(),
            chain: vec![entry("allow-all")],
            at_ms: now_ms(),
            by: "operator".to_owned(),
        };
        Self {
            tenant: rows.create_tenant(tenant).await.unwrap(),
            objects: rows.clone(),
            catalogue: rows.clone(),
            chains: rows.clone(),
            tenants: rows.clone(),
            policies: rows.clone(),
            shadows: rows.clone(),
            ledger: rows,
            blobs: bytes.clone(),
            inventory: bytes,
            dir,
        }
    }

    /// Lets go of the files and opens them again. Whoever wrote to them has finished when this returns.
    pub(super) fn reopen(&mut self) {
        let rows = Arc::new(Sqlite::open(self.dir.path()).unwrap());
        let bytes = Arc::new(Local::open(self.dir.path(), &*rows).unwrap());
        self.objects = rows.clone();
        self.catalogue = rows.clone();
        self.chains = rows.clone();
        self.tenants = rows.clone();
        self.policies = rows.clone();
        self.shadows = rows.clone();
        self.ledger = rows;
        self.blobs = bytes.clone();
        self.inventory = bytes;
    }

    /// Makes an object live that has two renditions of these bytes.
    pub(super) async fn upload(&self, id: &str, content: &[u8]) -> Object {
        let new = self.new_object(id, content).await;
        self.catalogue.insert(new.clone()).await.unwrap();
        new.object
    }

    /// Does all of an upload but the last step.
    pub(super) async fn new_object(&self, id: &str, content: &[u8]) -> NewObject {
        let until_ms = now_ms() + 3_600_000;
        self.new_object_until(id, content, until_ms).await
    }

    /// The same, for an upload that may take until then.
    pub(super) async fn new_object_until(
        &self,
        id: &str,
        content: &[u8],
        until_ms: u64,
    ) -> NewObject {
        let keys = [BlobKey::random(), BlobKey::random()];
        self.catalogue.reserve(&keys, until_ms).await.unwrap();
        let mut renditions = Vec::new();
        for (key, name) in keys.into_iter().zip(["original", "standard"]) {
            renditions.push(Rendition {
                name: name.to_owned(),
                key,
                size_bytes: self.blobs.put(key, &mut &*content).await.unwrap(),
                media_type: "image/png".to_owned(),
            });
        }
        NewObject {
            object: Object {
                target: target(self.tenant.id, id),
                version: 1,
                size_bytes: content.len() as u64,
                media_type: "image/png".to_owned(),
                created_at_ms: now_ms(),
                labels: vec!["a".to_owned(), "b".to_owned()],
                retain_until_ms: None,
                held: false,
            },
            name: format!("name of {id}.png"),
            dimensions: Some((3, 2)),
            renditions,
        }
    }

    /// Erases a group in which the storage fails for none.
    pub(super) async fn erase(&self, group: &[Erasure]) -> Vec<Result<Doomed, Conflict>> {
        let outcomes = self.objects.erase(group).await.unwrap();
        let conflict = |error| match error {
            EraseError::Conflict(conflict) => conflict,
            EraseError::Store(error) => panic!("{error}"),
        };
        let told = outcomes.into_iter();
        told.map(|outcome| outcome.map_err(conflict)).collect()
    }

    /// The keys of a live object's blobs.
    pub(super) async fn keys(&self, object: &Object) -> Vec<BlobKey> {
        let stored = self.catalogue.show(&object.target).await.unwrap().unwrap();
        stored.renditions.iter().map(|one| one.key).collect()
    }

    /// Whether any of these blobs can be read.
    pub(super) async fn readable(&self, keys: &[BlobKey]) -> bool {
        for key in keys {
            if self.blobs.open(*key).await.unwrap().is_some() {
                return true;
            }
        }
        false
    }
}

/// What the backend's tenant has on record, latest first.
pub(super) async fn decisions(backend: &Backend) -> Vec<Decision> {
    let every = Wanted::default();
    let all = backend
        .catalogue
        .decisions(backend.tenant.id, &every, LATEST);
    all.await.unwrap()
}

pub(super) fn entry(policy: &str) -> ChainEntry {
    ChainEntry::new(policy, policy.as_bytes(), "{}")
}

pub(super) fn target(tenant: TenantId, id: &str) -> Target {
    Target {
        tenant,
        kind: Kind::Photo,
        owner: "user-6".to_owned(),
        id: id.to_owned(),
    }
}

/// What a chain says that allows.
pub(super) fn allowed(object: &Object) -> Decision {
    Decision {
        id: Uuid::new_v4(),
        at_ms: now_ms(),
        tenant: "mytenant".parse().unwrap(),
        caller: DecisionCaller {
            kind: CallerKind::SiteKey,
            id: "key-1".to_owned(),
            permissions: vec![Permission::PhotosWrite],
        },
        object: object.clone(),
        chain_revision: 1,
        reviews: vec![PolicyReview {
            policy: "allow-all".to_owned(),
            digest: Digest::of(b"allow-all"),
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
pub(super) fn denied(object: &Object) -> Decision {
    Decision {
        verdict: Verdict::Denied,
        ..allowed(object)
    }
}

pub(super) fn erasure(object: &Object) -> Erasure {
    let at_ms = now_ms();
    Erasure {
        decision: allowed(object),
        at_ms,
        lease_until_ms: at_ms + 30_000,
        budget: Budget::default(),
        once: None,
    }
}

/// So many cases of a property, unless `PROPTEST_CASES` says otherwise.
pub(super) fn cases(usual: u32) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = usual;
    }
    config
}

pub(super) const FIRST: Page = Page {
    offset: 0,
    limit: 100,
};

pub(super) const LATEST: Stretch = Stretch {
    order: Order::LatestFirst,
    after: None,
    limit: 1000,
};
