//! A platform with rows, bytes and accounts of its own, all in memory: the four traits that an
//! embedder brings, and nothing else.

#![allow(
    dead_code,
    clippy::expect_used,
    reason = "an example; the tests use more of it than its main does"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use atropos::auth::{AuthError, Authority};
use atropos::erase::Platform;
use atropos::guest::BUILT_IN_POLICIES;
use atropos::store::decision::Decision;
use atropos::store::{
    BlobReader, Blobs, Chain, ChainEntry, Chains, Conflict, Doomed, Erasure, Objects, Removal,
    Result, Shred, StoreError,
};
use atropos::target::{
    BlobKey, Caller, CallerKind, Digest, Object, Permission, Subdomain, Target, Tenant, TenantId,
    WebsiteId,
};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Everything the platform has.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) rows: Mutex<HashMap<Target, (Object, Vec<BlobKey>)>>,
    pub(crate) bytes: Mutex<HashMap<BlobKey, Vec<u8>>>,
    pub(crate) chain: Mutex<Vec<ChainEntry>>,
    revision: AtomicU64,
    pub(crate) components: Mutex<HashMap<Digest, Vec<u8>>>,
    pub(crate) plugin: Mutex<Option<Digest>>,
    pub(crate) decisions: Mutex<Vec<Decision>>,
    shreds: Mutex<HashMap<BlobKey, Shred>>,
}

impl Memory {
    /// The one account there is: website 7, whose key is `key-of-website-7`.
    pub(crate) fn tenant() -> Tenant {
        Tenant {
            id: TenantId(1),
            subdomain: "pictures".parse().expect("a DNS label"),
            website_id: WebsiteId::new(7).expect("a positive number"),
        }
    }

    /// Puts a built-in policy in force.
    pub(crate) fn assign(&self, policy: &str, settings: &str) {
        let found = BUILT_IN_POLICIES.iter().find(|(name, _)| *name == policy);
        let (name, bytes) = found.expect("a built-in policy");
        self.put(ChainEntry {
            policy: (*name).to_owned(),
            digest: Digest::of(bytes),
            settings: settings.to_owned(),
        });
    }

    /// Puts a chain of one policy in force.
    pub(crate) fn put(&self, entry: ChainEntry) {
        *self.chain.lock() = vec![entry];
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes a photo of `owner` live.
    pub(crate) fn add_photo(&self, owner: &str, id: &str, bytes: &[u8]) {
        let target = Target {
            tenant: Self::tenant().id,
            kind: atropos::target::Kind::Photo,
            owner: owner.to_owned(),
            id: id.to_owned(),
        };
        let object = Object {
            target: target.clone(),
            version: 1,
            size_bytes: bytes.len() as u64,
            media_type: "image/png".to_owned(),
            created_at_ms: atropos::target::now_ms(),
            labels: Vec::new(),
            retain_until_ms: None,
            held: false,
        };
        let key = BlobKey::random();
        self.bytes.lock().insert(key, bytes.to_vec());
        self.rows.lock().insert(target, (object, vec![key]));
    }

    /// The same thing four times: who may ask, what there is, who judges, and the bytes.
    pub(crate) fn platform(self: &Arc<Self>) -> Platform {
        Platform {
            authority: self.clone(),
            objects: self.clone(),
            chains: self.clone(),
            blobs: self.clone(),
            shadows: None,
        }
    }
}

#[async_trait]
impl Authority for Memory {
    async fn authenticate_site(&self, website: WebsiteId, key: &str) -> Result<Caller, AuthError> {
        let tenant = Self::tenant();
        if website != tenant.website_id || key != "key-of-website-7" {
            return Err(AuthError::Rejected);
        }
        Ok(Caller {
            tenant,
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

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, Conflict>>> {
        // Nothing is counted here, so nothing may be limited.
        if group.iter().any(|erasure| !erasure.budget.is_unlimited()) {
            return Err(StoreError::Missing { what: "budget" });
        }
        let (mut rows, mut shreds) = (self.rows.lock(), self.shreds.lock());
        let mut erase = |erasure: &Erasure| {
            let judged = &erasure.decision.object;
            let (object, _) = rows.get(&judged.target).ok_or(Conflict::Gone)?;
            if object.held {
                return Err(Conflict::Held);
            }
            // Of the same version, and not a successor of the same name.
            if object != judged {
                return Err(Conflict::Changed);
            }
            let (_, blobs) = rows.remove(&judged.target).ok_or(Conflict::Gone)?;
            for &key in &blobs {
                let not_before_ms = erasure.lease_until_ms;
                shreds.insert(
                    key,
                    Shred {
                        key,
                        not_before_ms,
                        attempts: 0,
                    },
                );
            }
            self.decisions.lock().push(erasure.decision.clone());
            Ok(Doomed { blobs })
        };
        Ok(group.iter().map(&mut erase).collect())
    }

    async fn record(&self, decisions: &[Decision]) -> Result<()> {
        self.decisions.lock().extend_from_slice(decisions);
        Ok(())
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

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<()> {
        let mut shreds = self.shreds.lock();
        shreds.retain(|key, _| !removed.iter().any(|(gone, _)| gone == key));
        Ok(())
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
        let entries = self.chain.lock().clone();
        Ok(Some(Arc::new(Chain {
            revision: self.revision.load(Ordering::Relaxed),
            entries,
            ..Chain::default()
        })))
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
    async fn put(&self, key: BlobKey, content: &mut (dyn AsyncRead + Send + Unpin)) -> Result<u64> {
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes).await;
        let size = read.map_err(|error| StoreError::Unavailable(error.into()))?;
        self.bytes.lock().insert(key, bytes);
        Ok(size as u64)
    }

    async fn open(&self, key: BlobKey) -> Result<Option<BlobReader>> {
        let bytes = self.bytes.lock().get(&key).cloned();
        Ok(bytes.map(|bytes| BlobReader {
            size: bytes.len() as u64,
            content: Box::new(std::io::Cursor::new(bytes)),
        }))
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        let removed = self.bytes.lock().remove(&key);
        Ok(removed.map_or(Removal::Absent, |_| Removal::Removed))
    }

    async fn sync_removals(&self) -> Result<()> {
        Ok(())
    }
}
