//! Where policies are asked that compute for long, so that nobody else waits for them.
//!
//! Most policies are done in microseconds, and are asked on the thread that serves the request: to
//! wake another would cost more. A policy is a pure function, so that one which turns out to need
//! longer is simply asked again, from the start, on a thread of its own.
//!
//! **Invariant:** what a policy costs the threads that serve requests is at most [`QUICK_FUEL`] and
//! [`QUICK_MS`], and that only until it is known to be slow.
//! **Invariant:** of what may be in the sandbox at once, one tenant's slow policies take at most a
//! half.

use std::collections::HashMap;
use std::sync::Arc;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::breakers::Subject;
use super::policy::{Policy, Run};
use crate::config::GuestLimits;
use crate::error::FaultKind;
use crate::store::decision::Question;
use crate::target::TenantId;

/// What a policy may consume before it counts as slow: a millisecond or less.
const QUICK_FUEL: u64 = 1_000_000;
/// How long it may take, where its fuel does not tell.
const QUICK_MS: u64 = 10;

/// How many policies are remembered to be slow; another is found out again.
const MAX_KEPT: u64 = 10_000;

/// The threads for slow policies, and who waits for them.
pub(super) struct Lane {
    turns: Arc<Semaphore>,
    slow: Cache<Subject, ()>,
    places: Places,
}

/// A tenant's place among those who wait or run; given back when it is dropped.
pub(super) struct Place {
    places: Places,
    tenant: TenantId,
}

/// How many places each tenant has taken.
#[derive(Clone)]
struct Places {
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
    most: usize,
}

/// The right to ask a slow policy, once.
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place,
}

impl Lane {
    pub(super) fn new(max_in_flight: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new((cores / 2).max(1))),
            slow: Cache::new(MAX_KEPT),
            places: Places {
                taken: Arc::default(),
                most: (max_in_flight as usize / 2).max(1),
            },
        }
    }

    /// Asks in place, unless the policy is known to be slow; `None` if it is, or turns out to be.
    pub(super) fn quickly(
        &self,
        subject: Subject,
        limits: GuestLimits,
        ask: impl FnOnce(GuestLimits) -> Run,
    ) -> Option<Run> {
        if self.slow.contains_key(&subject) {
            return None;
        }
        let quick = GuestLimits {
            fuel: limits.fuel.min(QUICK_FUEL),
            deadline_ms: limits.deadline_ms.min(QUICK_MS),
            ..limits
        };
        let run = ask(quick);
        let slow = match run.answer {
            Err(FaultKind::Fuel) => quick.fuel < limits.fuel,
            Err(FaultKind::Deadline) => quick.deadline_ms < limits.deadline_ms,
            _ => false,
        };
        if slow {
            self.slow.insert(subject, ());
            return None;
        }
        Some(run)
    }

    /// A place for one who waits; `None` if too many of the tenant's wait already.
    pub(super) fn place(&self, tenant: TenantId) -> Option<Place> {
        self.places.take(tenant)
    }

    /// Waits for a thread; `None` if too many of the tenant's policies wait already.
    pub(super) async fn turn(&self, tenant: TenantId) -> Option<Turn> {
        let place = self.place(tenant)?;
        // Never closed; were it, there would be no turns to wait for.
        let permit = Arc::clone(&self.turns).acquire_owned().await.ok();
        Some(Turn {
            _permit: permit,
            _place: place,
        })
    }

    /// Asks on a thread that serves no requests. The turn lasts as long as the policy computes, even
    /// if nobody waits for it any more, and comes back so that it can be kept until what came of it
    /// is known to others.
    pub(super) async fn slowly(
        &self,
        turn: Turn,
        subject: Subject,
        policy: Arc<Policy>,
        asked: (Question, String),
        limits: GuestLimits,
    ) -> (Run, Option<Turn>) {
        let asked = tokio::task::spawn_blocking(move || {
            let (question, settings) = asked;
            let run = policy.review(&(&question).into(), &settings, limits);
            (run, Some(turn))
        });
        let interrupted = |_| (Run::failed(FaultKind::Trap), None);
        let (run, turn) = asked.await.unwrap_or_else(interrupted);
        if run.fuel <= QUICK_FUEL && run.answer.is_ok() {
            self.slow.invalidate(&subject);
        }
        (run, turn)
    }
}

impl Places {
    fn take(&self, tenant: TenantId) -> Option<Place> {
        let mut taken = self.taken.lock();
        let count = taken.entry(tenant).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place {
            places: self.clone(),
            tenant,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(count) = taken.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Digest;

    const MINE: TenantId = TenantId(1);
    const THEIRS: TenantId = TenantId(2);

    fn subject() -> Subject {
        Subject::policy(MINE, Digest::of(b"a policy"), 0)
    }

    #[test]
    fn only_what_a_larger_limit_could_help_is_asked_again() {
        let small = GuestLimits {
            fuel: 9,
            ..GuestLimits::default()
        };
        let table = [
            (FaultKind::Fuel, GuestLimits::default(), true),
            (FaultKind::Deadline, GuestLimits::default(), true),
            (FaultKind::Fuel, small, false),
            (FaultKind::Trap, GuestLimits::default(), false),
        ];
        for (kind, limits, again) in table {
            let lane = Lane::new(128);
            let run = lane.quickly(subject(), limits, |_| Run::failed(kind));
            assert_eq!(run.is_none(), again, "{kind:?}");
            let asked = std::cell::Cell::new(false);
            let ask = |_| {
                asked.set(true);
                Run::failed(FaultKind::Trap)
            };
            lane.quickly(subject(), limits, ask);
            assert_ne!(asked.get(), again, "{kind:?}: what is slow is remembered");
        }
    }

    #[tokio::test]
    async fn of_one_tenant_no_more_than_its_share_waits() {
        let lane = Arc::new(Lane::new(4));
        let all = u32::try_from(lane.turns.available_permits()).unwrap();
        let busy = Arc::clone(&lane.turns).acquire_many_owned(all).await;
        let wait = |tenant| {
            let lane = Arc::clone(&lane);
            tokio::spawn(async move { lane.turn(tenant).await.is_some() })
        };
        let waiting = [wait(MINE), wait(MINE), wait(THEIRS)];
        tokio::task::yield_now().await;
        assert!(!wait(MINE).await.unwrap(), "two are its share of four");
        assert!(waiting.iter().all(|one| !one.is_finished()));
        drop(busy);
        for one in waiting {
            assert!(one.await.unwrap());
        }
        assert!(wait(MINE).await.unwrap());
        assert!(lane.places.taken.lock().is_empty(), "a place was kept");
    }
}
