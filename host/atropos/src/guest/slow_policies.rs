//! The pool for policies that compute for long, so that nobody else waits for them.
//!
//! Most policies are done in microseconds, and are asked on the thread that serves the request: to
//! wake another would cost more. A policy is a pure function, so that one which turns out to need
//! longer is simply asked again, from the start, on a thread of the pool.
//!
//! **Invariant:** what a policy costs the threads that serve requests is at most [`QUICK_FUEL`] or,
//! where its fuel does not tell, [`QUICK_MS`] and one tick, and that at most once in
//! [`QUICK_RUNS`] calls.
//! **Invariant:** the pool's time is shared between tenants, whatever their number and whatever each
//! asks for. Those that wait take at most three quarters of the places in the sandbox, which no tenant
//! fills (a [`Room`]), so that a delete which needs no slow policy finds a place.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::timeout;

use super::breakers::Subject;
use super::failure::{GuestError, source};
use super::policy::{Policy, Run};
use crate::background::{Background, Priority};
use crate::config::{Config, GuestLimits};
use crate::domain::decision::Question;
use crate::error::FaultKind;
use crate::fair_queue::{FairQueue, Full, Place, Room, Slot};
use crate::target::TenantId;

/// What a policy may consume before it counts as slow: a millisecond or less.
const QUICK_FUEL: u64 = 1_000_000;
/// How long it may take, where its fuel does not tell.
const QUICK_MS: u64 = 5;
/// How many runs in a row a slow policy must be quick in before it counts as quick again.
const QUICK_RUNS: u32 = 64;

/// How many policies are remembered to be slow; another is found out again.
const MAX_KEPT: u64 = 10_000;

/// The threads for slow policies, and who waits for them.
pub(super) struct SlowPolicies {
    threads: Background,
    /// Who may use one of them.
    slots: FairQueue<TenantId>,
    room: Room<TenantId>,
    /// How long one waits for a thread at most.
    longest_wait: Duration,
    /// Which policies are slow, and in how many runs in a row each was quick all the same.
    known: Cache<Subject, u32>,
}

impl SlowPolicies {
    /// Starts the threads.
    ///
    /// # Errors
    /// The machine has no more threads.
    pub(super) fn new(config: &Config) -> Result<Self, GuestError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let room = Room::new((config.erase.max_in_flight as usize * 3 / 4).max(1));
        // Long enough for one run of somebody else's, however long that may last.
        let longest_run = config.allowance().most.deadline_ms;
        let longest_wait = longest_run.saturating_add(config.plugin.deadline_ms);
        let threads = (cores / 2).max(1);
        let started = Background::start(threads, Priority::Lower);
        Ok(Self {
            threads: started.map_err(|error| GuestError::Threads(source(error)))?,
            slots: FairQueue::new(threads, room.clone()),
            room,
            longest_wait: Duration::from_millis(longest_wait),
            known: Cache::new(MAX_KEPT),
        })
    }

    /// Asks in place, unless the policy is known to be slow; `None` if it is, or turns out to be.
    pub(super) fn quickly(
        &self,
        subject: Subject,
        limits: GuestLimits,
        ask: impl FnOnce(GuestLimits) -> Run,
    ) -> Option<Run> {
        if self.known.contains_key(&subject) {
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
            self.known.insert(subject, 0);
            return None;
        }
        Some(run)
    }

    /// A place for one who waits for something that a tenant's policies need.
    pub(super) fn place(&self, tenant: TenantId) -> Result<Place<TenantId>, Full> {
        self.room.place(tenant)
    }

    /// Waits for a thread; `None` if too many of the tenant's policies wait already, or this one waited
    /// too long.
    pub(super) async fn slot(&self, tenant: TenantId) -> Option<Slot<TenantId>> {
        let slot = timeout(self.longest_wait, self.slots.slot(tenant)).await;
        slot.ok()?.ok()
    }

    /// Asks on a thread that serves no requests. The slot lasts as long as the policy computes, even
    /// if nobody waits for it any more, and comes back so that it can be kept until what came of it
    /// is known to others.
    pub(super) async fn slowly(
        &self,
        slot: Slot<TenantId>,
        subject: Subject,
        policy: Arc<Policy>,
        asked: (Question, Arc<str>),
        limits: GuestLimits,
    ) -> (Run, Option<Slot<TenantId>>) {
        let asked = self.threads.compute(move || {
            let (question, settings) = asked;
            let run = policy.review(&(&question).into(), &settings, limits);
            (run, Some(slot))
        });
        let (run, slot) = asked.await.unwrap_or_else(|panicked| {
            let error = &panicked as &dyn std::error::Error;
            tracing::error!(error, "a thread that asked a policy broke off");
            (Run::failed(FaultKind::Trap), None)
        });
        self.remember(subject, &run);
        (run, slot)
    }

    /// One that is slow now and then stays slow: to find it out each time is what costs the others.
    fn remember(&self, subject: Subject, run: &Run) {
        let quick = run.fuel <= QUICK_FUEL && run.duration_us <= QUICK_MS * 1000;
        let quick = quick && run.answer.is_ok();
        let runs = self.known.get(&subject).unwrap_or_default();
        match quick {
            true if runs + 1 >= QUICK_RUNS => self.known.invalidate(&subject),
            true => self.known.insert(subject, runs + 1),
            false => self.known.insert(subject, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Digest;

    const MINE: TenantId = TenantId(1);

    fn subject() -> Subject {
        Subject::policy(MINE, Digest::of(b"a policy"), 0)
    }

    fn run(fuel: u64, duration_us: u64, answer: Result<(), FaultKind>) -> Run {
        let answer = answer.map(|()| super::super::policy::Answer {
            allows: true,
            findings: Vec::new(),
        });
        Run {
            answer,
            fuel,
            duration_us,
            ..Run::failed(FaultKind::Trap)
        }
    }

    fn is_slow(slow: &SlowPolicies) -> bool {
        let asked = std::cell::Cell::new(false);
        let ask = |_| {
            asked.set(true);
            run(1, 1, Ok(()))
        };
        slow.quickly(subject(), GuestLimits::default(), ask);
        !asked.get()
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
            let slow = SlowPolicies::new(&Config::default()).unwrap();
            let run = slow.quickly(subject(), limits, |_| Run::failed(kind));
            assert_eq!(run.is_none(), again, "{kind:?}");
            assert_eq!(
                is_slow(&slow),
                again,
                "{kind:?}: what is slow is remembered"
            );
        }
    }

    #[test]
    fn one_that_is_slow_now_and_then_is_found_out_once() {
        let found_out = |runs: &mut dyn Iterator<Item = Run>| {
            let slow = SlowPolicies::new(&Config::default()).unwrap();
            let mut found_out = 0;
            for run in runs {
                if !is_slow(&slow) {
                    slow.known.insert(subject(), 0);
                    found_out += 1;
                }
                slow.remember(subject(), &run);
            }
            found_out
        };
        let quick = || run(1, 1, Ok(()));
        let table = [
            ("dear in fuel", run(QUICK_FUEL + 1, 1, Ok(()))),
            ("dear in time", run(1, QUICK_MS * 1000 + 1, Ok(()))),
            ("failing", run(1, 1, Err(FaultKind::Trap))),
        ];
        for (name, slow) in table {
            let mut alternating = (0..1000).map(|n| match n % 2 {
                0 => slow.clone(),
                _ => quick(),
            });
            assert_eq!(found_out(&mut alternating), 1, "{name}");
        }
        let mut always_quick = (0..QUICK_RUNS * 2).map(|_| quick());
        assert_eq!(found_out(&mut always_quick), 2, "it is quick again");
    }

    #[tokio::test]
    async fn those_who_wait_leave_places_for_others_whatever_their_number() {
        let config = Config::default();
        let slow = SlowPolicies::new(&config).unwrap();
        let mut waiting = Vec::new();
        for tenant in 0..500 {
            while let Ok(place) = slow.place(TenantId(tenant)) {
                waiting.push(place);
            }
        }
        let places = config.erase.max_in_flight as usize;
        assert!(waiting.len() <= places * 3 / 4, "{}", waiting.len());
    }
}
