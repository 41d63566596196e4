//! A platform with rows, bytes and accounts of its own, all in memory: the traits that an embedder brings,
//! and nothing else.
//!
//! What a real one adds: a transaction around all that [`Objects::erase`] writes for a group, which is
//! durable before it returns; rows that survive a crash, the pending removals above all; and, if requests
//! are to have keys or budgets are to be limited, the record of [`Outcomes`] and the counts of an
//! [`Account`](atropos::domain::budget::Account), written in that transaction.

#![allow(
    clippy::expect_used,
    reason = "an example, in which these words are known"
)]

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use atropos::auth::{AuthError, Authority};
use atropos::domain::budget::{Account, Count};
use atropos::domain::decide::{Decided, Held, decide};
use atropos::domain::decision::Decision;
use atropos::domain::{Chain, ChainEntry, Claim, Doomed, Erasure, Owner, Removal, Shred};
use atropos::guest::built_in_policy;
use atropos::ports::{Blobs, Chains, Decisions, EraseError, Objects, Outcomes, Removals, Result};
use atropos::target::{
    BlobKey, Caller, CallerKind, Digest, Kind, Object, Permission, Scope, Subdomain, Target,
    Tenant, TenantId, WebsiteId, Window,
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
    pending: Mutex<HashMap<BlobKey, (Shred, Option<Lease>)>>,
    spent: Mutex<HashMap<(Scope, String, Window), Count>>,
}

/// Who works on a pending removal, and until when.
struct Lease {
    owner: Owner,
    until_ms: u64,
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
        Ok(self.live(target))
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        // One lock for all of it stands for a transaction.
        let mut spent = self.spent.lock();
        let mut erase = |erasure: &Erasure| {
            let target = erasure.decision.target();
            let counted = |scope, window| {
                let counted = spent.get(&(scope, counted_for(erasure, scope), window));
                Ok::<_, EraseError>(counted.copied())
            };
            let held = Held {
                object: self.live(target),
                // No outcome is kept here, so that no request has a key.
                first: None,
                account: Account::at(erasure.at_ms, &erasure.budget, &[], counted)?,
            };
            let (outcome, counts) = match decide(erasure, &held) {
                Decided::Erase { counts } => (Ok(self.take(erasure)), counts),
                Decided::Refuse {
                    conflict, counts, ..
                } => (Err(conflict.into()), counts),
            };
            for (scope, window, count) in counts {
                spent.insert((scope, counted_for(erasure, scope), window), count);
            }
            outcome
        };
        Ok(group.iter().map(&mut erase).collect())
    }
}

impl Memory {
    /// The live object of this name.
    fn live(&self, target: &Target) -> Option<Object> {
        let rows = self.rows.lock();
        rows.get(target).map(|(object, _)| object.clone())
    }

    /// Takes the row away, and leaves a pending removal for each of its blobs, and the decision.
    fn take(&self, erasure: &Erasure) -> Doomed {
        let row = self.rows.lock().remove(erasure.decision.target());
        let blobs = row.map_or_else(Vec::new, |(_, blobs)| blobs);
        let mut pending = self.pending.lock();
        for key in &blobs {
            let shred = Shred::new(*key, erasure.lease_until_ms);
            pending.insert(*key, (shred, None));
        }
        self.decisions.lock().push(erasure.decision.clone());
        Doomed { blobs }
    }
}

/// Whose deletes are counted together: those of one caller, or all of the one tenant.
fn counted_for(erasure: &Erasure, scope: Scope) -> String {
    match scope {
        Scope::Tenant => String::new(),
        Scope::Caller => erasure.decision.caller.id.clone(),
    }
}

#[async_trait]
impl Decisions for Memory {
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        self.decisions.lock().extend_from_slice(decisions);
        Ok(decisions.iter().map(|_| Ok(())).collect())
    }
}

/// Requests that have a key are refused here.
impl Outcomes for Memory {}

#[async_trait]
impl Removals for Memory {
    async fn claim(&self, claim: &Claim) -> Result<Vec<Shred>> {
        let mut pending = self.pending.lock();
        let by_ms = claim.by_ms;
        let free = |(shred, lease): &&mut (Shred, Option<Lease>)| {
            let is_leased = lease.as_ref().is_some_and(|lease| lease.until_ms > by_ms);
            shred.not_before_ms <= by_ms && !is_leased
        };
        let mut claimed: Vec<_> = pending.values_mut().filter(free).collect();
        claimed.sort_by_key(|(shred, _)| shred.not_before_ms);
        claimed.truncate(claim.limit);
        let lease = |(shred, lease): &mut (Shred, Option<Lease>)| {
            *lease = Some(Lease {
                owner: claim.owner,
                until_ms: claim.until_ms,
            });
            *shred
        };
        Ok(claimed.into_iter().map(lease).collect())
    }

    async fn hasten(&self, erased_ms: u64, _reserved_ms: u64) -> Result<()> {
        for (shred, lease) in self.pending.lock().values_mut() {
            shred.not_before_ms = shred.not_before_ms.min(erased_ms);
            if let Some(lease) = lease {
                lease.until_ms = lease.until_ms.min(erased_ms);
            }
        }
        Ok(())
    }

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        let mut pending = self.pending.lock();
        let strike_off = |(key, _): &(BlobKey, Removal)| {
            pending.remove(key);
            Ok(())
        };
        Ok(removed.iter().map(strike_off).collect())
    }

    async fn postpone(
        &self,
        owner: Owner,
        key: BlobKey,
        not_before_ms: u64,
        _error: &str,
    ) -> Result<()> {
        let mut pending = self.pending.lock();
        let own = |(_, lease): &&mut (Shred, Option<Lease>)| {
            lease.as_ref().is_none_or(|lease| lease.owner == owner)
        };
        if let Some((shred, lease)) = pending.get_mut(&key).filter(own) {
            shred.not_before_ms = not_before_ms;
            shred.attempts += 1;
            *lease = None;
        }
        Ok(())
    }
}

#[async_trait]
impl Chains for Memory {
    async fn chain(&self, tenant: TenantId) -> Result<Option<Arc<Chain>>> {
        let chain = (tenant == TENANT).then(|| self.chain.lock().clone());
        Ok(chain.map(Arc::new))
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
