//! The breakers of all components, and what operators see of them.
//!
//! **Invariant:** a tenant's breakers depend on its own calls alone.
//! **Invariant:** a component that is well has no entry: its calls cost one read of a sharded map.

use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::breaker::{Breaker, Passage, Patience};
use crate::config;
use crate::error::{Fault, FaultKind, Guest};
use crate::target::{Digest, TenantId};

/// How many ailing components are watched; past it, the one not called for longest starts anew.
const MAX_KEPT: u64 = 10_000;

/// What a breaker belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    /// Whose policy it is; `None` for the plugin, which is the instance's.
    tenant: Option<TenantId>,
    digest: Digest,
    /// Its place in the chain: one component can stand there twice, with other settings.
    place: usize,
}

impl Subject {
    pub(super) fn plugin(digest: Digest) -> Self {
        Self {
            tenant: None,
            digest,
            place: 0,
        }
    }

    pub(super) fn policy(tenant: TenantId, digest: Digest, place: usize) -> Self {
        Self {
            tenant: Some(tenant),
            digest,
            place,
        }
    }

    fn guest(&self) -> Guest {
        match self.tenant {
            Some(_) => Guest::Policy,
            None => Guest::Plugin,
        }
    }
}

/// The breakers of what has lately failed. Cheap to clone.
#[derive(Clone)]
pub(super) struct Breakers {
    patience: Patience,
    ailing: Cache<Subject, Arc<Entry>>,
}

/// A breaker and the revision of the chain, with its settings, that it is about.
struct Entry {
    revision: u64,
    breaker: Mutex<Breaker>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.breaker.get_mut().is_closed() {
            open_gauge().decrement(1.0);
        }
    }
}

impl Breakers {
    pub(super) fn new(config: &config::Breaker) -> Self {
        // Longer than any pause, so that one which nobody calls meanwhile is not forgotten in it.
        let idle = Duration::from_millis(config.longest_pause_ms.saturating_mul(2));
        let ailing = Cache::builder()
            .max_capacity(MAX_KEPT)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(idle);
        Self {
            patience: config.into(),
            ailing: ailing.build(),
        }
    }

    /// Lets a call of `subject` pass, or tells for how much longer it is held off. Another revision
    /// of its chain starts closed.
    pub(super) fn admit(&self, subject: Subject, revision: u64) -> Result<Pass, Duration> {
        let entry = self.ailing.get(&subject);
        let entry = entry.filter(|entry| entry.revision == revision);
        let passage = match &entry {
            None => Passage::Free,
            Some(entry) => {
                let mut breaker = entry.breaker.lock();
                breaker.admit(Instant::now(), &self.patience)?
            }
        };
        Ok(Pass {
            breakers: self.clone(),
            subject,
            revision,
            entry,
            passage: Some(passage),
        })
    }

    /// The entry that a fault counts on.
    fn ailing(&self, subject: Subject, revision: u64) -> Arc<Entry> {
        let new = || {
            Arc::new(Entry {
                revision,
                breaker: Mutex::default(),
            })
        };
        let entry = self.ailing.get_with(subject, new);
        if entry.revision == revision {
            return entry;
        }
        let entry = new();
        self.ailing.insert(subject, Arc::clone(&entry));
        entry
    }
}

/// The right to call a component once. To be settled; dropped, it tells nothing of the component.
#[must_use]
pub(super) struct Pass {
    breakers: Breakers,
    subject: Subject,
    revision: u64,
    /// What there was when it passed.
    entry: Option<Arc<Entry>>,
    /// Taken when it is settled.
    passage: Option<Passage>,
}

impl Pass {
    /// Tells how the call ended. A denial, like an allowance, is a success.
    pub(super) fn settle(mut self, fault: Option<FaultKind>) {
        match fault {
            None => self.succeeded(),
            // The storage's part, and as soon as it has the component this must be seen.
            Some(FaultKind::Missing | FaultKind::HeldOff(_)) => {}
            Some(kind) => self.faulted(kind),
        }
    }

    fn succeeded(&mut self) {
        let (Some(passage), Some(entry)) = (self.passage.take(), &self.entry) else {
            return;
        };
        let mut breaker = entry.breaker.lock();
        let closed = breaker.succeeded(passage);
        let well = breaker.is_closed();
        drop(breaker);
        if well {
            self.breakers.ailing.invalidate(&self.subject);
        }
        if closed {
            open_gauge().decrement(1.0);
            self.log_closed();
        }
    }

    fn faulted(&mut self, kind: FaultKind) {
        let Some(passage) = self.passage.take() else {
            return;
        };
        let entry = match (passage, self.entry.take()) {
            (Passage::Probe, Some(entry)) => entry,
            // Others may have failed since it passed, and their faults count together.
            _ => self.breakers.ailing(self.subject, self.revision),
        };
        let mut breaker = entry.breaker.lock();
        let pause = breaker.faulted(passage, Instant::now(), &self.breakers.patience);
        drop(breaker);
        if let Some(pause) = pause {
            if passage == Passage::Free {
                open_gauge().increment(1.0);
            }
            self.log_opened(kind, pause);
        }
    }

    fn log_opened(&self, kind: FaultKind, pause: Duration) {
        let (guest, digest) = (self.subject.guest(), self.subject.digest);
        let fault = Fault {
            guest,
            kind,
            digest: Some(digest),
        };
        let code = fault.code();
        metrics::counter!("atropos_breakers_opened_total", "code" => code).increment(1);
        let tenant = self.subject.tenant.map(|tenant| tenant.0);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(%guest, %digest, tenant, code, pause_ms, "a component keeps failing and is held off");
    }

    fn log_closed(&self) {
        let (guest, digest) = (self.subject.guest(), self.subject.digest);
        let tenant = self.subject.tenant.map(|tenant| tenant.0);
        tracing::info!(%guest, %digest, tenant, "a component is well again");
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let (Some(passage), Some(entry)) = (self.passage, &self.entry) {
            entry.breaker.lock().abandoned(passage, Instant::now());
        }
    }
}

fn open_gauge() -> metrics::Gauge {
    metrics::gauge!("atropos_breakers_open")
}
