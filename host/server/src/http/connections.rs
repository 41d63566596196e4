//! Which connections wait for their clients, and for how long.
//!
//! A connection waits while its client has to act: send the next request or more of a body, or read
//! an answer. When the server has no connection left, the one that has waited longest is let go.
//!
//! Waiting is measured by progress. Every byte that comes or goes shortens it by what the byte takes
//! at [`MIN_BYTES_PER_SECOND`], so a client that keeps to that rate has hardly waited, and one that
//! sends a byte now and then gains nothing by it. The time that the server takes itself, such as to
//! write an upload to the disk, does not count.
//!
//! **Invariant:** no connection is let go while a request of it is worked on. A request whose handler
//! awaits more of the body is not worked on.
//! **Invariant:** once a connection is let go, its handler receives no more of a body and no request
//! of it is begun.

mod cut;
mod metered;
mod request_body;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub(super) use cut::Cut;
pub(super) use metered::Metered;
use parking_lot::Mutex;
pub(super) use request_body::RequestBody;
pub(super) use source::Source;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The rate at which bytes make up for the time that a connection waits.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;
/// How long a connection has to wait at least before it is let go for another.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// Below this, progress is not accounted for, so that a prompt client costs no work. It is less than
/// [`SHORTEST_WAIT`], before which nobody is let go.
const PROMPT: Duration = Duration::from_millis(25);

/// The connections that wait.
#[derive(Default)]
pub(super) struct IdleConnections {
    /// By the instant since when each waits, and by its number.
    waiting: Mutex<BTreeMap<(Instant, u64), Arc<Notify>>>,
    /// Another connection than before has waited longest.
    changed: Notify,
    next_number: AtomicU64,
}

/// One connection.
pub(super) struct Connection {
    idle: Arc<IdleConnections>,
    number: u64,
    let_go: Arc<Notify>,
    /// Locked before [`IdleConnections::waiting`].
    phase: Mutex<Phase>,
    /// The body of the last request was not read to its end.
    body_left: AtomicBool,
    /// What the bytes of an answer are read from, until all of them are handed to the kernel.
    source: Mutex<Option<Source>>,
    /// There is a source.
    sends: Notify,
}

/// What happens on a connection. It is among those that wait in the first two phases.
enum Phase {
    /// It waits for a request or for its answer to be read.
    BetweenRequests { since: Instant, began: Instant },
    /// It waits for more of the body of a request.
    AwaitingBody { since: Instant },
    /// A request is worked on, for whose body it has waited so long.
    Working { waited: Duration },
    /// It is to end.
    LetGo,
}

/// A request in the hands of its handler, until dropped.
pub(super) struct Handling<'a>(&'a Connection);

/// Why a connection is to end.
pub(super) enum Dismissal {
    /// Another connection takes its place.
    Room,
    /// Its client did not read an answer in time.
    Slow,
    /// The object is gone whose bytes it sends.
    Erased,
}

impl IdleConnections {
    /// Adds a new connection, which waits for its first request.
    pub(super) fn connect(self: &Arc<Self>) -> Arc<Connection> {
        let now = Instant::now();
        let connection = Connection {
            idle: Arc::clone(self),
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            let_go: Arc::default(),
            phase: Mutex::new(Phase::between_requests(now)),
            body_left: AtomicBool::new(false),
            source: Mutex::default(),
            sends: Notify::new(),
        };
        connection.wait_since(now);
        Arc::new(connection)
    }

    /// Lets the connection go that has waited longest, as soon as one has waited long enough.
    pub(super) async fn let_longest_go(&self) {
        loop {
            let changed = self.changed.notified();
            match self.longest() {
                Ok(let_go) => return let_go.notify_one(),
                // Either way the next round finds out what is so.
                Err(Some(due)) => drop(timeout_at(due, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// Removes the connection that has waited longest, or tells when that may be done.
    fn longest(&self) -> Result<Arc<Notify>, Option<Instant>> {
        let mut waiting = self.waiting.lock();
        let first = waiting.first_entry().ok_or(None)?;
        let due = first.key().0 + SHORTEST_WAIT;
        if Instant::now() < due {
            return Err(Some(due));
        }
        Ok(first.remove())
    }
}

impl Phase {
    fn between_requests(now: Instant) -> Self {
        Self::BetweenRequests {
            since: now,
            began: now,
        }
    }
}

impl Connection {
    /// Begins to work on a request whose headers have come; `None` if the connection was let go.
    pub(super) fn handle(&self) -> Option<Handling<'_>> {
        let waited = Duration::ZERO;
        let mut phase = self.phase.lock();
        self.stop_waiting(&mut phase, |_| Phase::Working { waited })
            .then(|| Handling(self))
    }

    /// Whether the last request has a body that nobody read to its end.
    ///
    /// What is left of it may still come, so no other request can follow on this connection.
    pub(super) fn has_body_left(&self) -> bool {
        self.body_left.load(Ordering::Relaxed)
    }

    fn body_is_left(&self, left: bool) {
        self.body_left.store(left, Ordering::Relaxed);
    }

    /// The handler has to wait for more of the body.
    fn await_body(&self) {
        let mut phase = self.phase.lock();
        if let Phase::Working { waited } = *phase {
            let now = Instant::now();
            let since = now.checked_sub(waited).unwrap_or(now);
            *phase = Phase::AwaitingBody { since };
            self.wait_since(since);
        }
    }

    /// More of the body has come, or the handler does without; false if the connection was let go.
    fn resume(&self) -> bool {
        let mut phase = self.phase.lock();
        match *phase {
            Phase::AwaitingBody { .. } => self.stop_waiting(&mut phase, |since| Phase::Working {
                waited: since.elapsed(),
            }),
            Phase::LetGo => false,
            Phase::BetweenRequests { .. } | Phase::Working { .. } => true,
        }
    }

    /// So many bytes came from the client or were taken by it.
    fn progress(&self, bytes: usize) {
        let mut phase = self.phase.lock();
        let (Phase::BetweenRequests { since, .. } | Phase::AwaitingBody { since }) = &mut *phase
        else {
            return;
        };
        let now = Instant::now();
        if now.duration_since(*since) < PROMPT {
            return;
        }
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / MIN_BYTES_PER_SECOND;
        let later = (*since + Duration::from_nanos(nanos)).min(now);
        if self.no_longer_waits_since(*since) {
            *since = later;
            self.wait_since(later);
        } else {
            *phase = Phase::LetGo;
        }
    }

    /// Resolves when the connection is to end: it is let go, its client takes longer than
    /// `response_timeout` to read an answer, or the object is gone whose bytes it sends.
    pub(super) async fn dismissed(&self, response_timeout: Duration) -> Dismissal {
        tokio::select! {
            () = self.let_go.notified() => Dismissal::Room,
            () = self.overdue(response_timeout) => Dismissal::Slow,
            () = self.erased() => Dismissal::Erased,
        }
    }

    async fn overdue(&self, limit: Duration) {
        while let Some(due) = self.end_if_due(limit) {
            sleep_until(due).await;
        }
    }

    /// Ends what has been between requests for so long, or tells when to look again.
    fn end_if_due(&self, limit: Duration) -> Option<Instant> {
        let mut phase = self.phase.lock();
        let now = Instant::now();
        match *phase {
            Phase::BetweenRequests { began, .. } if now < began + limit => {
                return Some(began + limit);
            }
            Phase::BetweenRequests { .. } => {}
            Phase::AwaitingBody { .. } | Phase::Working { .. } | Phase::LetGo => {
                return Some(now + limit);
            }
        }
        // What was let go to make room ends for that reason.
        let ends = self.stop_waiting(&mut phase, |_| Phase::LetGo);
        (!ends).then_some(now + limit)
    }

    /// Goes from a phase that waits to another; false if the connection was let go.
    fn stop_waiting(&self, phase: &mut Phase, next: impl FnOnce(Instant) -> Phase) -> bool {
        let waited = match *phase {
            Phase::BetweenRequests { since, .. } | Phase::AwaitingBody { since } => {
                self.no_longer_waits_since(since).then_some(since)
            }
            Phase::Working { .. } | Phase::LetGo => None,
        };
        *phase = waited.map_or(Phase::LetGo, next);
        waited.is_some()
    }

    fn wait_since(&self, since: Instant) {
        let mut waiting = self.idle.waiting.lock();
        let key = (since, self.number);
        waiting.insert(key, Arc::clone(&self.let_go));
        if waiting
            .first_key_value()
            .is_some_and(|(first, _)| *first == key)
        {
            self.idle.changed.notify_one();
        }
    }

    /// False if the connection is not among those that wait any more: it was let go.
    fn no_longer_waits_since(&self, since: Instant) -> bool {
        let mut waiting = self.idle.waiting.lock();
        waiting.remove(&(since, self.number)).is_some()
    }
}

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        let Self(connection) = self;
        // A handler may answer without the rest of the body.
        if connection.resume() {
            let now = Instant::now();
            *connection.phase.lock() = Phase::between_requests(now);
            connection.wait_since(now);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Phase::BetweenRequests { since, .. } | Phase::AwaitingBody { since } =
            *self.phase.get_mut()
        {
            self.no_longer_waits_since(since);
        }
    }
}

#[cfg(test)]
mod tests;
