//! A platform with rows, bytes and accounts of its own, all in memory: the four traits that an
//! embedder brings, and nothing else.

#![allow(
    clippy::expect_used,
    reason = "an example, in which these words are known"
)]

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use atropos::auth::{AuthError, Authority};
use atropos::guest::built_in_policy;
use atropos::store::decision::Decision;
use atropos::store::{
    Blobs, Chain, ChainEntry, Chains, Conflict, Doomed, EraseError, Erasure, Objects, Removal,
    Result, Shred, StoreError,
};
use atropos::target::{
    BlobKey, Caller, CallerKind, Digest, Kind, Object, Permission, Subdomain, Target, Tenant,
    TenantId, WebsiteId,
};
use parking_lot::Mutex;

/// The one customer of the platform.
const TENANT: TenantId = TenantId(1);

/// Everything the platform has.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) rows: Mutex<HashMap<Target, (Object, Vec<BlobKey>)>>,
    pub(crate) bytes: Mutex<HashMap<BlobKey, Vec<u8>>>,
    pub(crate) decisions: Mutex<Vec<Decision>>,
    pub(crate) chain: Mutex<Chain>,
    pub(crate) components: Mutex<HashMap<Digest, Vec<u8>>>,
    pub(crate) plugin: Mutex<Option<Digest>>,
    shreds: Mutex<HashMap<BlobKey, Shred>>,
}

impl Memory {
    /// Makes a photo of `owner` live.
    pub(crate) fn add_photo(&self, owner: &str, id: &str, bytes: &[u8]) {
        let target = Target {
            tenant: TENANT,
            kind: Kind::Photo,
            owner: owner.to_owned(),
            id: id.to_owned(),
        };
        let photo = Object::new(target.clone(), bytes.len() as u64, "image/png");
        let key = BlobKey::random();
        self.bytes.lock().insert(key, bytes.to_vec());
        self.rows.lock().insert(target, (photo, vec![key]));
    }

    /// Takes on a policy of the platform's own.
    pub(crate) fn keep(&self, policy: &str, component: &[u8], settings: &str) -> ChainEntry {
        let entry = ChainEntry::new(policy, component, settings);
        let mut components = self.components.lock();
        components.insert(entry.digest, component.to_vec());
        entry
    }

    /// Puts a chain in force.
    pub(crate) fn put(&self, entries: Vec<ChainEntry>) {
        let mut chain = self.chain.lock();
        *chain = Chain {
            revision: chain.revision + 1,
            entries,
            ..Chain::default()
        };
    }

    /// Puts a policy in force that comes with the crate.
    pub(crate) fn assign(&self, policy: &str, settings: &str) {
        let component = built_in_policy(policy).expect("a built-in policy");
        self.put(vec![ChainEntry::new(policy, component, settings)]);
    }
}

#[async_trait]
impl Authority for Memory {
    async fn authenticate_site(&self, website: WebsiteId, key: &str) -> Result<Caller, AuthError> {
        // The one account there is. A real platform compares digests, in constant time.
        if website.get() != 7 || key != "key-of-website-7" {
            return Err(AuthError::Rejected);
        }
        let subdomain = "pictures".parse().expect("a DNS label");
        Ok(Caller {
            tenant: Tenant {
                id: TENANT,
                subdomain,
                website_id: website,
            },
            kind: CallerKind::SiteKey,
            id: "the-only-key".to_owned(),
            permissions: vec![Permission::PhotosWrite],
        })
    }

    async fn authenticate_token(&self, _: &str, _: &Subdomain) -> Result<Caller, AuthError> {
        Err(AuthError::Rejected)
    }
}

#[async_trait]
impl Objects for Memory {
    async fn find(&self, target: &Target) -> Result<Option<Object>> {
        let rows = self.rows.lock();
        Ok(rows.get(target).map(|(object, _)| object.clone()))
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        let (mut rows, mut shreds) = (self.rows.lock(), self.shreds.lock());
        let mut erase = |erasure: &Erasure| {
            // Nothing is counted here, so nothing may be limited.
            if !erasure.budget.is_unlimited() {
                return Err(StoreError::Missing { what: "budget" }.into());
            }
            let judged = &erasure.decision.object;
            let now = rows.get(&judged.target).map(|(object, _)| object);
            if let Some(conflict) = Conflict::between(judged, now, erasure.at_ms) {
                return Err(conflict.into());
            }
            let (_, blobs) = rows.remove(&judged.target).ok_or(Conflict::Gone)?;
            let until_ms = erasure.lease_until_ms;
            shreds.extend(blobs.iter().map(|key| (*key, Shred::new(*key, until_ms))));
            self.decisions.lock().push(erasure.decision.clone());
            Ok(Doomed { blobs })
        };
        Ok(group.iter().map(&mut erase).collect())
    }

    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        self.decisions.lock().extend_from_slice(decisions);
        Ok(decisions.iter().map(|_| Ok(())).collect())
    }

    async fn shreds(&self, by_ms: u64, limit: usize) -> Result<Vec<Shred>> {
        let shreds = self.shreds.lock();
        let due = shreds.values().filter(|shred| shred.not_before_ms <= by_ms);
        Ok(due.copied().take(limit).collect())
    }

    async fn hasten(&self, erased_ms: u64, _reserved_ms: u64) -> Result<()> {
        for shred in self.shreds.lock().values_mut() {
            shred.not_before_ms = shred.not_before_ms.min(erased_ms);
        }
        Ok(())
    }

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        let mut shreds = self.shreds.lock();
        let strike_off = |(key, _): &(BlobKey, Removal)| {
            shreds.remove(key);
            Ok(())
        };
        Ok(removed.iter().map(strike_off).collect())
    }

    async fn postpone(&self, key: BlobKey, not_before_ms: u64, _error: &str) -> Result<()> {
        if let Some(shred) = self.shreds.lock().get_mut(&key) {
            shred.not_before_ms = not_before_ms;
            shred.attempts += 1;
        }
        Ok(())
    }
}

#[async_trait]
impl Chains for Memory {
    async fn chain(&self, _: TenantId) -> Result<Option<Arc<Chain>>> {
        Ok(Some(Arc::new(self.chain.lock().clone())))
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        Ok(self.components.lock().get(&digest).cloned())
    }

    async fn plugin(&self) -> Result<Option<Digest>> {
        Ok(*self.plugin.lock())
    }
}

#[async_trait]
impl Blobs for Memory {
    async fn is_absent(&self, key: BlobKey) -> Result<bool> {
        Ok(!self.bytes.lock().contains_key(&key))
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        let removed = self.bytes.lock().remove(&key);
        Ok(removed.map_or(Removal::Absent, |_| Removal::Removed))
    }

    async fn sync_removals(&self) -> Result<()> {
        Ok(())
    }
}
