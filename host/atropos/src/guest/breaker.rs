//! A circuit breaker: holds off what keeps failing, for longer each time, and lets one call through
//! to see whether it is well again.
//!
//! ```text
//! closed ──as many faults in a row──► open ──pause has passed──► probing ──success──► closed
//!                                      ▲                            │
//!                                      └────fault: twice the pause──┘
//! ```
//!
//! **Invariant:** while it is open nothing passes, and of those that come after the pause one does.
//! **Invariant:** time is a parameter, so that what it does depends on its input alone.

use std::time::Duration;

use tokio::time::Instant;

use crate::config;

/// How many faults in a row are too many, and for how long they hold off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    faults: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl From<&config::Breaker> for Patience {
    fn from(config: &config::Breaker) -> Self {
        Self {
            faults: config.faults,
            first_pause: Duration::from_millis(config.first_pause_ms),
            longest_pause: Duration::from_millis(config.longest_pause_ms),
        }
    }
}

/// One breaker. It starts closed.
#[derive(Debug)]
pub(super) enum Breaker {
    /// All may pass.
    Closed {
        /// Faults in a row.
        faults: u32,
    },
    /// None may pass before `until`.
    Open { until: Instant, pause: Duration },
    /// The pause has passed and one call is under way.
    Probing { pause: Duration },
}

/// How a call passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// As any other while the breaker is closed.
    Free,
    /// As the one that shows whether the breaker may close.
    Probe,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { faults: 0 }
    }
}

impl Breaker {
    /// Lets a call pass, or tells how long to wait.
    pub(super) fn admit(&mut self, now: Instant, patience: &Patience) -> Result<Passage, Duration> {
        match *self {
            Self::Closed { .. } => Ok(Passage::Free),
            Self::Open { until, .. } if now < until => Err(until - now),
            Self::Open { pause, .. } => {
                *self = Self::Probing { pause };
                Ok(Passage::Probe)
            }
            // How the probe ends is not known; if well, there is nothing to wait for.
            Self::Probing { .. } => Err(patience.first_pause),
        }
    }

    /// A call did not fault; tells whether that closed the breaker.
    pub(super) fn succeeded(&mut self, passage: Passage) -> bool {
        let closes = passage == Passage::Probe && matches!(self, Self::Probing { .. });
        if closes || matches!(self, Self::Closed { .. }) {
            *self = Self::default();
        }
        closes
    }

    /// A call faulted; tells the pause that begins, if one does. Calls that passed before it opened
    /// have no part in what comes after.
    pub(super) fn faulted(
        &mut self,
        passage: Passage,
        now: Instant,
        patience: &Patience,
    ) -> Option<Duration> {
        let pause = match (&mut *self, passage) {
            (Self::Closed { faults }, _) => {
                *faults = faults.saturating_add(1);
                if *faults < patience.faults {
                    return None;
                }
                patience.first_pause
            }
            (Self::Probing { pause }, Passage::Probe) => {
                pause.saturating_mul(2).min(patience.longest_pause)
            }
            (Self::Open { .. } | Self::Probing { .. }, _) => return None,
        };
        let until = now + pause;
        *self = Self::Open { until, pause };
        Some(pause)
    }

    /// A call ended without telling anything of the component. If it was the probe, the next call is.
    pub(super) fn abandoned(&mut self, passage: Passage, now: Instant) {
        if let (Self::Probing { pause }, Passage::Probe) = (&*self, passage) {
            let (until, pause) = (now, *pause);
            *self = Self::Open { until, pause };
        }
    }

    /// Until when nothing passes, if it holds anything off; `None` while one call is let through.
    pub(super) fn held_off_until(&self) -> Option<Option<Instant>> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { until, .. } => Some(Some(*until)),
            Self::Probing { .. } => Some(None),
        }
    }

    /// Whether it holds anything off.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        faults: 3,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(5),
    };

    /// A breaker and the time, which passes when it is told to.
    struct Clocked {
        breaker: Breaker,
        now: Instant,
    }

    impl Clocked {
        fn closed() -> Self {
            Self {
                breaker: Breaker::default(),
                now: Instant::now(),
            }
        }

        fn open() -> Self {
            let mut clocked = Self::closed();
            for _ in 0..PATIENCE.faults {
                clocked.fault(Passage::Free);
            }
            clocked
        }

        fn wait(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }

        fn admit(&mut self) -> Result<Passage, u128> {
            let admitted = self.breaker.admit(self.now, &PATIENCE);
            admitted.map_err(|left| left.as_millis())
        }

        fn fault(&mut self, passage: Passage) -> Option<u128> {
            let pause = self.breaker.faulted(passage, self.now, &PATIENCE);
            pause.map(|pause| pause.as_millis())
        }
    }

    #[test]
    fn it_opens_at_as_many_faults_in_a_row_as_it_is_told() {
        let mut it = Clocked::closed();
        assert_eq!(it.fault(Passage::Free), None);
        assert_eq!(it.fault(Passage::Free), None);
        assert_eq!(it.admit(), Ok(Passage::Free));
        assert_eq!(it.fault(Passage::Free), Some(1000));
        assert_eq!(it.admit(), Err(1000));
    }

    #[test]
    fn a_success_between_faults_starts_the_count_again() {
        let mut it = Clocked::closed();
        for _ in 0..10 {
            it.fault(Passage::Free);
            it.fault(Passage::Free);
            assert!(!it.breaker.succeeded(Passage::Free), "it was never open");
        }
        assert_eq!(it.admit(), Ok(Passage::Free));
    }

    #[test]
    fn it_tells_how_long_to_wait() {
        let mut it = Clocked::open();
        it.wait(400);
        assert_eq!(it.admit(), Err(600));
        it.wait(599);
        assert_eq!(it.admit(), Err(1));
    }

    #[test]
    fn after_the_pause_exactly_one_call_passes() {
        let mut it = Clocked::open();
        it.wait(1000);
        assert_eq!(it.admit(), Ok(Passage::Probe));
        for _ in 0..10 {
            it.wait(60_000);
            assert_eq!(it.admit(), Err(1000), "the probe is under way");
        }
    }

    #[test]
    fn a_probe_that_succeeds_closes_it_for_good() {
        let mut it = Clocked::open();
        it.wait(1000);
        assert_eq!(it.admit(), Ok(Passage::Probe));
        assert!(it.breaker.succeeded(Passage::Probe));
        assert!(it.breaker.is_closed());
        assert_eq!(it.fault(Passage::Free), None, "the count starts again");
        assert_eq!(it.admit(), Ok(Passage::Free));
    }

    #[test]
    fn each_probe_that_faults_doubles_the_pause_up_to_the_longest() {
        let mut it = Clocked::open();
        let mut last = 1000;
        for pause in [2000, 4000, 5000, 5000] {
            it.wait(last);
            assert_eq!(it.admit(), Ok(Passage::Probe));
            assert_eq!(it.fault(Passage::Probe), Some(u128::from(pause)));
            assert_eq!(it.admit(), Err(u128::from(pause)));
            last = pause;
        }
    }

    #[test]
    fn a_probe_that_tells_nothing_leaves_the_probe_to_the_next_call() {
        let mut it = Clocked::open();
        it.wait(1000);
        assert_eq!(it.admit(), Ok(Passage::Probe));
        it.breaker.abandoned(Passage::Probe, it.now);
        assert_eq!(it.admit(), Ok(Passage::Probe));
        assert_eq!(
            it.fault(Passage::Probe),
            Some(2000),
            "it remembers the pause"
        );
    }

    #[test]
    fn calls_that_passed_before_it_opened_change_nothing() {
        let mut it = Clocked::open();
        assert_eq!(it.fault(Passage::Free), None);
        assert!(!it.breaker.succeeded(Passage::Free));
        it.breaker.abandoned(Passage::Free, it.now);
        assert_eq!(it.admit(), Err(1000));
        it.wait(1000);
        assert_eq!(it.admit(), Ok(Passage::Probe));
        assert_eq!(it.fault(Passage::Free), None);
        assert!(!it.breaker.succeeded(Passage::Free));
        it.breaker.abandoned(Passage::Free, it.now);
        assert_eq!(it.admit(), Err(1000), "the probe is still under way");
    }
}
