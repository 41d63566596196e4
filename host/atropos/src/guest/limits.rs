//! What one call may consume, and how exceeding it is told apart from any other trap.
//!
//! **Invariant:** no store exists without a [`Meter`]; every limit has a code of its own.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::{ResourceLimiter, Trap};

use crate::config::GuestLimits;
use crate::error::FaultKind;

/// Entries of one table; a component of any language known to us stays far below.
pub(super) const TABLE_ELEMENTS: usize = 100_000;

/// How often a guest that computes is interrupted, to yield or to end.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// How many ticks make a deadline, rounded up, plus the one under way.
pub(super) fn ticks(deadline_ms: u64) -> u64 {
    let tick_ms = u64::try_from(TICK.as_millis()).unwrap_or(1);
    deadline_ms.div_ceil(tick_ms) + 1
}

/// Watches one store.
pub(super) struct Meter {
    limits: GuestLimits,
    /// Of all memories together.
    memory_bytes: usize,
    memory_refused: bool,
    host_calls: u32,
}

impl Meter {
    pub(super) fn new(limits: GuestLimits) -> Self {
        Self {
            limits,
            memory_bytes: 0,
            memory_refused: false,
            host_calls: 0,
        }
    }

    /// How much memory the guest has come to.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes as u64
    }

    /// Counts one call to the host; past the limit the guest traps.
    pub(super) fn host_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls = self.host_calls.saturating_add(1);
        if self.host_calls > self.limits.host_calls {
            return Err(TooManyHostCalls.into());
        }
        Ok(())
    }

    /// Why the guest stopped.
    pub(super) fn fault(&self, error: &wasmtime::Error) -> FaultKind {
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => return FaultKind::Fuel,
            Some(Trap::Interrupt) => return FaultKind::Deadline,
            _ => {}
        }
        // A guest that is refused memory aborts in its own way, so the refusal is what counts.
        if self.memory_refused {
            FaultKind::Memory
        } else if error.is::<TooManyHostCalls>() {
            FaultKind::HostCalls
        } else if error.is::<Oversized>() || is_transfer_limit(error) {
            FaultKind::Oversized
        } else if error.is::<Contradiction>() {
            FaultKind::Contradiction
        } else {
            FaultKind::Trap
        }
    }
}

/// How long a call was in the host's hands, even if it never came back from there.
#[derive(Default)]
pub(super) struct Away {
    before: Duration,
    since: Option<Instant>,
}

impl Away {
    /// Counts the time that `work` takes.
    pub(super) async fn spend<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.leave();
        let done = work.await;
        self.come_back();
        done
    }

    fn leave(&mut self) {
        self.since = Some(Instant::now());
    }

    fn come_back(&mut self) {
        self.before = self.total();
        self.since = None;
    }

    /// All of it, up to now.
    pub(super) fn total(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// How long policies were asked within one call of the plugin. They have limits of their own, so that
/// time does not count for the plugin's. Cheap to clone; all clones are of one call.
#[derive(Clone, Default)]
pub(super) struct PolicyTime(Arc<Mutex<Away>>);

impl PolicyTime {
    /// Counts the time that `asking` takes.
    pub(super) async fn spend<T>(&self, asking: impl Future<Output = T>) -> T {
        self.0.lock().leave();
        let done = asking.await;
        self.0.lock().come_back();
        done
    }

    /// What comes of `work`; `None` if that takes longer than `limit`, without the time counted here.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let started = Instant::now();
        let mut work = pin!(work);
        loop {
            let own = started.elapsed().saturating_sub(self.0.lock().total());
            let left = limit.checked_sub(own).filter(|left| !left.is_zero())?;
            // Looked at again then: policies may have been asked meanwhile, and still be.
            let looked = tokio::time::timeout(left.max(TICK), work.as_mut()).await;
            if let Ok(done) = looked {
                return Some(done);
            }
        }
    }
}

/// wasmtime has no type for its limit on what a guest passes to the host, only this sentence. That
/// it still is this sentence is held by the tests with the guest `verbose`.
fn is_transfer_limit(error: &wasmtime::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| cause.to_string().contains("too much data is being copied"))
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let all = self.memory_bytes.saturating_add(grown);
        let fits = all as u64 <= self.limits.memory_bytes;
        if fits {
            self.memory_bytes = all;
        }
        self.memory_refused |= !fits;
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// The guest called the host more often than it may.
#[derive(Debug, thiserror::Error)]
#[error("too many calls to the host")]
pub(super) struct TooManyHostCalls;

/// The guest passed more than a field may hold.
#[derive(Debug, thiserror::Error)]
#[error("a value passed to the host is too large")]
pub(super) struct Oversized;

/// The guest used handles in a way that the contract does not allow.
#[derive(Debug, thiserror::Error)]
#[error("handles do not belong together")]
pub(super) struct Contradiction;
