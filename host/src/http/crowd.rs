//! Who is connected, by how long nothing was worked on for them: they sit idle, send their headers
//! bit by bit, or take their time to read an answer.
//!
//! **Invariant:** nobody is let go while a request of theirs is worked on, and none is worked on
//! for somebody who was let go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Everybody who waits, longest first.
#[derive(Default)]
pub(super) struct Crowd {
    queue: Mutex<Queue>,
    came: Notify,
}

#[derive(Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    gone: Arc<Notify>,
}

/// The place of one connection; given up when dropped.
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    gone: Arc<Notify>,
    /// Its number in the queue; none while a request is worked on.
    number: Mutex<Option<u64>>,
}

/// A request of somebody's, being worked on.
pub(super) struct Working<'a>(&'a Seat);

impl Crowd {
    /// Takes a newcomer in.
    pub(super) fn seat(self: &Arc<Self>) -> Arc<Seat> {
        let gone = Arc::new(Notify::new());
        let number = self.queue(&gone);
        Arc::new(Seat {
            crowd: Arc::clone(self),
            gone,
            number: Mutex::new(Some(number)),
        })
    }

    fn queue(&self, gone: &Arc<Notify>) -> u64 {
        let mut queue = self.queue.lock();
        let number = queue.next;
        queue.next += 1;
        let waiting = Waiting {
            since: Instant::now(),
            gone: Arc::clone(gone),
        };
        queue.waiting.insert(number, waiting);
        self.came.notify_one();
        number
    }

    /// Lets whoever has waited longest go, once that is so long.
    pub(super) async fn dismiss(&self, after: Duration) {
        loop {
            match self.longest(after) {
                Ok(gone) => return gone.notify_one(),
                Err(Some(due)) => tokio::time::sleep_until(due).await,
                Err(None) => self.came.notified().await,
            }
        }
    }

    /// Takes whoever has waited longest out of the queue, or tells when that may be done.
    fn longest(&self, after: Duration) -> Result<Arc<Notify>, Option<Instant>> {
        let mut queue = self.queue.lock();
        let first = queue.waiting.first_entry().ok_or(None)?;
        let due = first.get().since + after;
        if Instant::now() < due {
            return Err(Some(due));
        }
        Ok(first.remove().gone)
    }
}

impl Seat {
    /// Begins to work on a request; `None` if its connection is let go.
    pub(super) fn work(&self) -> Option<Working<'_>> {
        let number = self.number.lock().take()?;
        let waiting = self.crowd.queue.lock().waiting.remove(&number);
        waiting.map(|_| Working(self))
    }

    /// Resolves when the connection is let go.
    pub(super) async fn gone(&self) {
        self.gone.notified().await;
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let Self(seat) = self;
        *seat.number.lock() = Some(seat.crowd.queue(&seat.gone));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(number) = self.number.get_mut() {
            self.crowd.queue.lock().waiting.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const SOON: Duration = Duration::from_secs(1);

    fn is_gone(seat: &Seat) -> bool {
        seat.gone().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_waited_longest_goes_first_and_not_before_its_time() {
        let crowd = Arc::new(Crowd::default());
        let seats = [crowd.seat(), crowd.seat(), crowd.seat()];
        let started = Instant::now();
        drop(seats[0].work());
        crowd.dismiss(SOON).await;
        assert_eq!(started.elapsed(), SOON);
        assert_eq!(
            seats.each_ref().map(|seat| is_gone(seat)),
            [false, true, false]
        );
        assert!(seats[1].work().is_none(), "it was let go");
        crowd.dismiss(SOON).await;
        assert!(is_gone(&seats[2]));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_goes_who_is_worked_for() {
        let crowd = Arc::new(Crowd::default());
        let (busy, left) = (crowd.seat(), crowd.seat());
        let working = busy.work().unwrap();
        drop(left);
        let none = tokio::time::timeout(10 * SOON, crowd.dismiss(SOON)).await;
        assert!(none.is_err());
        drop(working);
        crowd.dismiss(SOON).await;
        assert!(is_gone(&busy));
    }
}
