//! The breakers of all components, and what operators see of them.
//!
//! **Invariant:** a breaker depends on the calls of its own tenant, or of its own credential, alone.
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
pub(super) enum Subject {
    /// The plugin, as called with one credential.
    Plugin {
        digest: Digest,
        /// Of the credential that is claimed, whether or not it is good.
        credential: Digest,
    },
    /// A policy of a tenant, at its place in the chain: one component can stand there twice, with
    /// other settings.
    Policy {
        tenant: TenantId,
        digest: Digest,
        place: usize,
    },
}

impl Subject {
    pub(super) fn policy(tenant: TenantId, digest: Digest, place: usize) -> Self {
        Self::Policy {
            tenant,
            digest,
            place,
        }
    }

    fn guest(&self) -> Guest {
        match self {
            Self::Plugin { .. } => Guest::Plugin,
            Self::Policy { .. } => Guest::Policy,
        }
    }

    fn digest(&self) -> Digest {
        match *self {
            Self::Plugin { digest, .. } | Self::Policy { digest, .. } => digest,
        }
    }

    fn tenant(&self) -> Option<TenantId> {
        match *self {
            Self::Plugin { .. } => None,
            Self::Policy { tenant, .. } => Some(tenant),
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
    faults: Mutex<Faults>,
}

/// What operators are told of an ailing component.
#[derive(Clone, Copy, Default)]
struct Faults {
    in_a_row: u32,
    last: Option<FaultKind>,
}

/// A component that is held off.
#[derive(Clone, Debug)]
pub struct HeldOff {
    /// The last fault, with the component.
    pub fault: Fault,
    /// Whose policy it is; `None` for the plugin.
    pub tenant: Option<TenantId>,
    /// The revision of the chain that it stands in; 0 for the plugin.
    pub revision: u64,
    /// How many faults there were in a row.
    pub faults: u32,
    /// For how much longer; `None` while one call is let through to see whether it is well.
    pub left: Option<Duration>,
    /// For how many credentials the plugin is held off; 1 for a policy.
    pub credentials: usize,
}

impl HeldOff {
    /// Both as one: the plugin is shown once, for however many credentials it is held off.
    pub(super) fn and(self, other: Self) -> Self {
        let longer = match (self.left, other.left) {
            (Some(one), Some(two)) => one >= two,
            (one, _) => one.is_some(),
        };
        let credentials = self.credentials + other.credentials;
        let longer = if longer { self } else { other };
        Self {
            credentials,
            ..longer
        }
    }
}

impl Drop for Entry {
    /// What is evicted or replaced is dropped by the cache, when that finds the time.
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

    /// What is held off now.
    pub(super) fn held_off(&self) -> Vec<HeldOff> {
        let now = Instant::now();
        let held_off = |(subject, entry): (Arc<Subject>, Arc<Entry>)| {
            let until = entry.breaker.lock().held_off_until()?;
            let faults = *entry.faults.lock();
            let fault = Fault {
                guest: subject.guest(),
                kind: faults.last?,
                digest: Some(subject.digest()),
            };
            Some(HeldOff {
                fault,
                tenant: subject.tenant(),
                revision: entry.revision,
                faults: faults.in_a_row,
                left: until.map(|until| until.saturating_duration_since(now)),
                credentials: 1,
            })
        };
        self.ailing.iter().filter_map(held_off).collect()
    }

    /// The entry that a fault counts on.
    fn ailing(&self, subject: Subject, revision: u64) -> Arc<Entry> {
        let new = || {
            Arc::new(Entry {
                revision,
                breaker: Mutex::default(),
                faults: Mutex::default(),
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
    /// Asks again, for a call that had to wait: others may have failed meanwhile.
    pub(super) fn again(self) -> Result<Self, Duration> {
        match self.passage {
            Some(Passage::Probe) => Ok(self),
            _ => self.breakers.admit(self.subject, self.revision),
        }
    }

    /// Tells how the call ended. A denial, like an allowance, is a success.
    pub(super) fn settle(mut self, fault: Option<FaultKind>) {
        match fault {
            None => self.succeeded(),
            Some(kind) if kind.is_of_the_component() => self.faulted(kind),
            // As soon as the component is there this must be seen.
            Some(_) => {}
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
        // Calls that passed before it opened have no part in what comes after.
        if pause.is_some() || breaker.is_closed() {
            let mut faults = entry.faults.lock();
            faults.in_a_row = faults.in_a_row.saturating_add(1);
            faults.last = Some(kind);
        }
        drop(breaker);
        if let Some(pause) = pause {
            if passage == Passage::Free {
                open_gauge().increment(1.0);
            }
            self.log_opened(kind, pause);
        }
    }

    fn log_opened(&self, kind: FaultKind, pause: Duration) {
        let (guest, digest) = (self.subject.guest(), self.subject.digest());
        let fault = Fault {
            guest,
            kind,
            digest: Some(digest),
        };
        let code = fault.code();
        metrics::counter!("atropos_breakers_opened_total", "code" => code).increment(1);
        let tenant = self.subject.tenant().map(|tenant| tenant.0);
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(%guest, %digest, tenant, code, pause_ms, "a component keeps failing and is held off");
    }

    fn log_closed(&self) {
        let (guest, digest) = (self.subject.guest(), self.subject.digest());
        let tenant = self.subject.tenant().map(|tenant| tenant.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: TenantId = TenantId(1);
    const THEIRS: TenantId = TenantId(2);

    fn breakers() -> Breakers {
        Breakers::new(&config::Breaker {
            faults: 3,
            first_pause_ms: 3_600_000,
            longest_pause_ms: 3_600_000,
        })
    }

    fn policy(tenant: TenantId, place: usize) -> Subject {
        Subject::policy(tenant, Digest::of(b"a policy"), place)
    }

    fn is_held_off(breakers: &Breakers, subject: Subject, revision: u64) -> bool {
        breakers.admit(subject, revision).is_err()
    }

    fn fail(breakers: &Breakers, subject: Subject, revision: u64, times: u32) {
        for _ in 0..times {
            let pass = breakers.admit(subject, revision).ok().unwrap();
            pass.settle(Some(FaultKind::Trap));
        }
    }

    #[test]
    fn a_policy_is_held_off_for_the_tenant_whose_calls_failed() {
        let breakers = breakers();
        fail(&breakers, policy(MINE, 0), 1, 3);
        assert!(is_held_off(&breakers, policy(MINE, 0), 1));
        assert!(!is_held_off(&breakers, policy(THEIRS, 0), 1));
        let plugin = Subject::Plugin {
            digest: Digest::of(b"a policy"),
            credential: Digest::of(b""),
        };
        assert!(!is_held_off(&breakers, plugin, 0));
    }

    #[test]
    fn one_component_at_two_places_of_a_chain_is_two() {
        let breakers = breakers();
        fail(&breakers, policy(MINE, 0), 1, 3);
        assert!(!is_held_off(&breakers, policy(MINE, 1), 1));
    }

    #[test]
    fn another_revision_of_the_chain_starts_closed() {
        let breakers = breakers();
        fail(&breakers, policy(MINE, 0), 1, 3);
        fail(&breakers, policy(MINE, 0), 2, 2);
        assert!(!is_held_off(&breakers, policy(MINE, 0), 2));
        fail(&breakers, policy(MINE, 0), 2, 1);
        assert!(is_held_off(&breakers, policy(MINE, 0), 2));
    }

    #[test]
    fn faults_of_calls_under_way_at_once_count_together() {
        let breakers = breakers();
        let pass = || breakers.admit(policy(MINE, 0), 1).ok().unwrap();
        for pass in [pass(), pass(), pass()] {
            pass.settle(Some(FaultKind::Deadline));
        }
        assert!(is_held_off(&breakers, policy(MINE, 0), 1));
    }

    #[test]
    fn what_tells_nothing_of_the_component_counts_for_nothing() {
        let breakers = breakers();
        let pass = || breakers.admit(policy(MINE, 0), 1).ok().unwrap();
        fail(&breakers, policy(MINE, 0), 1, 2);
        for _ in 0..10 {
            pass().settle(Some(FaultKind::Missing));
            drop(pass());
        }
        assert!(!is_held_off(&breakers, policy(MINE, 0), 1));
        fail(&breakers, policy(MINE, 0), 1, 1);
        assert!(is_held_off(&breakers, policy(MINE, 0), 1));
    }

    #[test]
    fn what_is_well_again_leaves_nothing_behind() {
        let breakers = breakers();
        fail(&breakers, policy(MINE, 0), 1, 2);
        let pass = breakers.admit(policy(MINE, 0), 1).ok().unwrap();
        pass.settle(None);
        assert!(breakers.ailing.get(&policy(MINE, 0)).is_none());
    }

    #[test]
    fn what_is_held_off_is_told_with_its_faults() {
        let breakers = breakers();
        fail(&breakers, policy(MINE, 0), 7, 3);
        fail(&breakers, policy(THEIRS, 0), 1, 2);
        let told = breakers.held_off();
        assert_eq!(told.len(), 1);
        let told = &told[0];
        assert_eq!((told.tenant, told.revision), (Some(MINE), 7));
        assert_eq!((told.fault.code(), told.faults), ("policy-trap", 3));
        assert!(
            told.left
                .is_some_and(|left| left > Duration::from_secs(3000))
        );
    }

    #[test]
    fn no_more_than_so_many_are_watched() {
        let breakers = breakers();
        for tenant in 0..2 * i64::try_from(MAX_KEPT).unwrap() {
            fail(&breakers, policy(TenantId(tenant), 0), 1, 1);
        }
        breakers.ailing.run_pending_tasks();
        assert_eq!(breakers.ailing.entry_count(), MAX_KEPT);
    }

    #[test]
    fn operators_see_how_many_are_open_and_what_opened_them() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let shows = |line: &str| {
            let text = recorder.handle().render();
            assert!(text.lines().any(|shown| shown == line), "{line}:\n{text}");
        };
        metrics::with_local_recorder(&recorder, || {
            let breakers = Breakers::new(&config::Breaker {
                faults: 3,
                first_pause_ms: 0,
                longest_pause_ms: 3_600_000,
            });
            fail(&breakers, policy(MINE, 0), 1, 3);
            shows("atropos_breakers_open 1");
            shows("atropos_breakers_opened_total{code=\"policy-trap\"} 1");
            fail(&breakers, policy(MINE, 0), 1, 1);
            shows("atropos_breakers_open 1");
            shows("atropos_breakers_opened_total{code=\"policy-trap\"} 2");
            let pass = breakers.admit(policy(MINE, 0), 1).ok().unwrap();
            pass.settle(None);
            shows("atropos_breakers_open 0");
            fail(&breakers, policy(THEIRS, 0), 1, 3);
            shows("atropos_breakers_open 1");
        });
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_calls_after_the_pause_one_passes() {
        let breakers = breakers();
        fail(&breakers, policy(MINE, 0), 1, 3);
        tokio::time::advance(Duration::from_secs(3600)).await;
        let calls = (0..100).map(|_| breakers.admit(policy(MINE, 0), 1));
        let mut passed: Vec<_> = calls.filter_map(Result::ok).collect();
        assert_eq!(passed.len(), 1);
        passed.pop().unwrap().settle(None);
        assert!(!is_held_off(&breakers, policy(MINE, 0), 1));
    }
}
