//! Who may call the plugin now. It is shared by all tenants, so a call that fails it is charged to
//! the credential that the request claims, which is known before anybody is authenticated.
//!
//! ```text
//! credential held off? ─► plugin broken for everybody? one at a time ─► a place in the sandbox
//! ```
//!
//! **Invariant:** no input of one caller holds the plugin off for another. A request that claims no
//! credential is never held off.
//! **Invariant:** however many good credentials one caller shows, those of others stay known.
//! **Invariant:** while all recent calls of at least [`BROKEN_FOR`] credentials have failed, calls run
//! one at a time, so that a plugin that is broken for everybody has a bounded share of the machine.
//! One call that does not fail lifts that.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::breakers::{Breakers, HeldOff, Pass, Subject};
use crate::config::Config;
use crate::error::FaultKind;
use crate::fair_cache::FairCache;
use crate::fair_queue::{FairQueue, Room, Slot};
use crate::target::{Caller, Digest, TenantId};

/// Of so many credentials all recent calls must have failed before the plugin counts as broken.
const BROKEN_FOR: usize = 5;

/// How long a call waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How many requests may wait for a place in the sandbox, for each place that there is.
const WAITING_PER_PLACE: usize = 8;

/// How many credentials are remembered that somebody was authenticated by.
const MAX_KNOWN: usize = 10_000;

/// How long one is remembered that is not used.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Admits calls to the plugin. Cheap to clone.
#[derive(Clone)]
pub(super) struct PluginCalls(Arc<Shared>);

struct Shared {
    breakers: Breakers,
    places: FairQueue<Option<Digest>>,
    /// Credentials by which somebody was authenticated, each as one of the caller that it stands for.
    known: FairCache<(TenantId, String), Digest>,
    failing: Mutex<Failing>,
    broken: AtomicBool,
    single: Arc<Semaphore>,
    /// The one call of an unknown credential that waits for [`Shared::single`]. All others wait here,
    /// so that inventing credentials keeps nobody out who has a good one.
    unknown: Arc<Semaphore>,
}

/// What has failed since the last call that did not.
#[derive(Default)]
struct Failing {
    plugin: Option<Digest>,
    /// Whose calls failed, at most [`BROKEN_FOR`].
    credentials: HashSet<Digest>,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAdmitted {
    /// The calls of this credential kept failing; for how much longer it is held off.
    HeldOff(Duration),
    /// Too many wait already, or this one waited too long.
    Overloaded,
}

/// The right to call the plugin once. To be settled; dropped, it tells nothing of the plugin.
#[must_use]
pub(super) struct PluginCall {
    calls: PluginCalls,
    plugin: Digest,
    credential: Option<Digest>,
    pass: Option<Pass>,
    _alone: Option<OwnedSemaphorePermit>,
    _place: Slot<Option<Digest>>,
}

impl PluginCalls {
    pub(super) fn new(config: &Config) -> Self {
        let places = config.erase.max_in_flight as usize;
        let room = Room::new(places.saturating_mul(WAITING_PER_PLACE));
        Self(Arc::new(Shared {
            breakers: Breakers::new(&config.breaker),
            places: FairQueue::new(places, room),
            known: FairCache::new(MAX_KNOWN, KNOWN_FOR),
            failing: Mutex::default(),
            broken: AtomicBool::new(false),
            single: Arc::new(Semaphore::new(1)),
            unknown: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Admits a call of this plugin by a request that claims this credential, waiting if need be.
    ///
    /// # Errors
    /// [`NotAdmitted`]; the plugin is not called.
    pub(super) async fn admit(
        &self,
        plugin: Digest,
        credential: Option<Digest>,
    ) -> Result<PluginCall, NotAdmitted> {
        let pass = credential.map(|credential| {
            let subject = Subject::Plugin {
                digest: plugin,
                credential,
            };
            // A plugin has no settings: its digest tells all.
            self.0.breakers.admit(subject, 0)
        });
        let mut pass = pass.transpose().map_err(NotAdmitted::HeldOff)?;
        let queue = async {
            let alone = self.alone(plugin, credential).await;
            let place = self.0.places.slot(credential).await;
            place.map(|place| (alone, place))
        };
        let queued = timeout(LONGEST_WAIT, queue).await;
        let queued = queued.map_err(|_| NotAdmitted::Overloaded)?;
        let (alone, place) = queued.map_err(|_| NotAdmitted::Overloaded)?;
        if alone.is_some() {
            // Others of this credential may have failed meanwhile.
            let again = pass.map(Pass::again).transpose();
            pass = again.map_err(NotAdmitted::HeldOff)?;
        }
        Ok(PluginCall {
            calls: self.clone(),
            plugin,
            credential,
            pass,
            _alone: alone,
            _place: place,
        })
    }

    /// While the plugin is broken for everybody: waits until no other call runs. Credentials that were
    /// good before come first.
    async fn alone(
        &self,
        plugin: Digest,
        credential: Option<Digest>,
    ) -> Option<OwnedSemaphorePermit> {
        if !self.is_broken(plugin) {
            return None;
        }
        let known = credential.is_some_and(|credential| self.0.known.contains(&credential));
        // Neither is ever closed; were it, nobody would have to wait.
        let _next = match known {
            true => None,
            false => Arc::clone(&self.0.unknown).acquire_owned().await.ok(),
        };
        let alone = Arc::clone(&self.0.single).acquire_owned().await.ok();
        // Once a call has gone well, those that wait need not run alone any more.
        alone.filter(|_| self.is_broken(plugin))
    }

    fn is_broken(&self, plugin: Digest) -> bool {
        self.0.broken.load(Ordering::Acquire) && self.0.failing.lock().plugin == Some(plugin)
    }

    /// The plugin, if it is held off for anybody.
    pub(super) fn held_off(&self, plugin: Digest) -> Option<HeldOff> {
        let held_off = self.0.breakers.held_off().into_iter();
        held_off
            .filter(|held_off| held_off.fault.digest == Some(plugin))
            .reduce(HeldOff::and)
    }

    fn failed(&self, plugin: Digest, credential: Option<Digest>) {
        let mut failing = self.0.failing.lock();
        if failing.plugin != Some(plugin) {
            failing.plugin = Some(plugin);
            failing.credentials.clear();
        }
        if let Some(credential) = credential
            && failing.credentials.len() < BROKEN_FOR
        {
            failing.credentials.insert(credential);
        }
        let broken = failing.credentials.len() >= BROKEN_FOR;
        if self.set_broken(broken) && broken {
            tracing::error!(%plugin, "the plugin fails for everybody: its calls run one at a time");
        }
    }

    fn succeeded(&self) {
        let mut failing = self.0.failing.lock();
        if !failing.credentials.is_empty() {
            failing.credentials.clear();
            if self.set_broken(false) {
                tracing::info!("the plugin serves again");
            }
        }
    }

    /// Whether that is news.
    fn set_broken(&self, broken: bool) -> bool {
        let news = self.0.broken.swap(broken, Ordering::AcqRel) != broken;
        if news {
            metrics::gauge!("atropos_plugin_broken").set(f64::from(u8::from(broken)));
        }
        news
    }
}

impl PluginCall {
    /// Tells how the call ended. A refusal, like a success, is no fault. `authenticated` is whom the
    /// credential stands for, if it was a good one.
    pub(super) fn settle(self, fault: Option<FaultKind>, authenticated: Option<&Caller>) {
        let Self {
            calls,
            plugin,
            credential,
            pass,
            ..
        } = self;
        match fault {
            None => calls.succeeded(),
            Some(kind) if kind.is_of_the_component() => calls.failed(plugin, credential),
            Some(_) => {}
        }
        if let Some((caller, credential)) = authenticated.zip(credential)
            && !calls.0.known.contains(&credential)
        {
            let owner = (caller.tenant.id, caller.id.clone());
            calls.0.known.insert(owner, credential);
        }
        if let Some(pass) = pass {
            pass.settle(fault);
        }
    }
}
