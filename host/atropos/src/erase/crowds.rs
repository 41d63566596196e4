//! Callers who are refused many times at once give way to others.
//!
//! A refusal costs little but for the wait until it is on record, so a caller without end of them has
//! many requests under way, which all become ready when their group is written. Whoever came next would
//! wait behind all of them. So the next requests of such a caller are let in a few at a time, and those
//! of others go before the rest.
//!
//! **Invariant:** who has fewer than [`MANY`] refusals under way is never kept waiting here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use parking_lot::Mutex;
use tokio::task::yield_now;

use crate::fair_queue::{FairQueue, Room, Slot};
use crate::target::Digest;

/// So many refusals of one caller that wait to be recorded are many.
const MANY: usize = 16;

/// Who has many refusals under way, by the credential that was claimed.
pub(super) struct Crowds {
    refusals: AtomicUsize,
    by: Mutex<HashMap<Option<Digest>, usize>>,
    turns: FairQueue<Option<Digest>>,
}

/// A refusal, from when it is decided until it is answered.
pub(super) struct Refusal<'a> {
    crowds: &'a Crowds,
    credential: Option<Digest>,
}

/// The right to be served now.
pub(super) type Turn = Slot<Option<Digest>>;

impl Crowds {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            refusals: AtomicUsize::new(0),
            by: Mutex::default(),
            // How many requests there are is bounded elsewhere.
            turns: FairQueue::new(cores, Room::new(usize::MAX / 4)),
        }
    }

    /// Waits until requests of others that are ready have gone first, if the caller has many refusals under
    /// way. The credential is asked for only if somebody has.
    pub(super) async fn give_way(
        &self,
        credential: impl FnOnce() -> Option<Digest>,
    ) -> Option<Turn> {
        if self.refusals.load(Ordering::Relaxed) < MANY {
            return None;
        }
        let credential = credential();
        let refusals = self.by.lock().get(&credential).copied();
        if refusals.unwrap_or_default() < MANY {
            return None;
        }
        let turn = self.turns.slot(credential).await.ok();
        yield_now().await;
        turn
    }

    /// Counts a refusal of this caller, until what is returned is dropped.
    pub(super) fn refused(&self, credential: Option<Digest>) -> Refusal<'_> {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        *self.by.lock().entry(credential).or_default() += 1;
        Refusal {
            crowds: self,
            credential,
        }
    }
}

impl Drop for Refusal<'_> {
    fn drop(&mut self) {
        let Self { crowds, credential } = self;
        crowds.refusals.fetch_sub(1, Ordering::Relaxed);
        let mut by = crowds.by.lock();
        if let Some(left) = by.get_mut(credential) {
            *left -= 1;
            if *left == 0 {
                by.remove(credential);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn named(name: &str) -> Option<Digest> {
        Some(Digest::of(name.as_bytes()))
    }

    /// Whether a request of this caller is served without waiting for others.
    fn goes_on(crowds: &Crowds, name: &str) -> bool {
        crowds.give_way(|| named(name)).now_or_never().is_some()
    }

    #[test]
    fn who_has_many_refusals_under_way_gives_way_and_nobody_else_does() {
        let crowds = Crowds::new();
        let few: Vec<_> = (1..MANY).map(|_| crowds.refused(named("a"))).collect();
        assert!(goes_on(&crowds, "a"));
        let last = crowds.refused(named("a"));
        assert!(!goes_on(&crowds, "a"));
        assert!(goes_on(&crowds, "b"));
        drop(last);
        let of_others: Vec<_> = (1..MANY).map(|_| crowds.refused(named("b"))).collect();
        assert!(goes_on(&crowds, "a"), "each has few");
        drop((few, of_others));
        assert!(crowds.by.lock().is_empty(), "a caller is remembered");
    }

    #[tokio::test]
    async fn only_so_many_are_let_in_at_once_and_the_others_follow() {
        let crowds = Crowds::new();
        let _many: Vec<_> = (0..MANY).map(|_| crowds.refused(named("a"))).collect();
        let mut turns = Vec::new();
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            turns.push(crowds.give_way(|| named("a")).await);
        }
        let mut next = Box::pin(crowds.give_way(|| named("a")));
        assert!(next.as_mut().now_or_never().is_none());
        drop(turns.pop());
        assert!(next.await.is_some());
    }
}
