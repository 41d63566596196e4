//! The parts of the service that live as long as it does: each goes on after a panic, and whoever asks
//! is told how it fares.
//!
//! **Invariant:** a panic ends no part: it goes on with what it left in its own fields. What it had taken
//! on is dropped, and whoever waits for that is told so.
//! **Invariant:** a part that panics again and again takes no core: it pauses in between.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use tokio_util::sync::CancellationToken;

use crate::step;

/// How long a part rests after a panic, twice as long after each further one, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// After so long without another panic a part counts as well that has had nothing to do meanwhile.
const QUIET: Duration = Duration::from_secs(10);

/// How often in a row a part that was told to stop may panic until it is given up.
const LAST_TRIES: u32 = 4;

macro_rules! parts {
    ($($(#[$about:meta])+ $part:ident = $name:literal,)+) => {
        /// A task or thread that lives as long as the service.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Part {
            $($(#[$about])+ $part,)+
        }

        impl Part {
            /// Every part.
            pub const ALL: &[Self] = &[$(Self::$part),+];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$part => $name,)+
                }
            }

            /// Where tests have it panic.
            const fn point(self) -> &'static str {
                match self {
                    $(Self::$part => concat!("part.", $name),)+
                }
            }
        }
    };
}

parts! {
    /// Commits groups of erasures.
    Commit = "commit",
    /// Removes the bytes of committed groups.
    Remove = "remove",
    /// Strikes off the records of bytes whose removal is durable.
    Settle = "settle",
    /// Records decisions that erase nothing.
    Record = "record",
    /// Removes doomed bytes that nobody else removes.
    Shred = "shred",
    /// Writes to the database.
    Writer = "writer",
    /// Interrupts guests, so that their deadlines hold.
    Ticker = "ticker",
    /// Asks the shadow of one tenant's chain.
    ShadowAsk = "shadow-ask",
    /// Writes down what shadows said.
    ShadowKeep = "shadow-keep",
    /// Empties the quarantine.
    Quarantine = "quarantine",
    /// Folds the figures that nobody scrapes.
    Figures = "figures",
    /// Tells `atropos status` what the server knows.
    Status = "status",
    /// Writes the log to stderr.
    Log = "log",
}

impl Part {
    /// Whether deletes need it.
    pub const fn is_needed(self) -> bool {
        matches!(
            self,
            Self::Commit
                | Self::Remove
                | Self::Settle
                | Self::Record
                | Self::Shred
                | Self::Writer
                | Self::Ticker
        )
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How one part fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fares {
    /// Which.
    pub part: Part,
    /// Whether it runs, and has done its work since it last panicked.
    pub well: bool,
    /// How often it panicked.
    pub panics: u64,
}

/// The parts of one service. Cheap to clone.
#[derive(Clone, Default)]
pub struct Parts(Arc<Mutex<Vec<Arc<Watched>>>>);

impl Parts {
    /// One more part.
    pub fn watch(&self, part: Part) -> Arc<Watched> {
        let watched = Arc::new(Watched::new(part));
        self.adopt(Arc::clone(&watched));
        watched
    }

    /// A part that somebody else began to watch.
    pub fn adopt(&self, watched: Arc<Watched>) {
        self.0.lock().push(watched);
    }

    /// How each part fares.
    pub fn fare(&self) -> Vec<Fares> {
        self.0.lock().iter().map(|part| part.fares()).collect()
    }
}

/// What is known of one part.
pub struct Watched {
    part: Part,
    panics: AtomicU64,
    /// How often it panicked since it last did a round.
    in_a_row: AtomicU32,
    last_panic: Mutex<Option<Instant>>,
    ended: AtomicBool,
}

impl Watched {
    /// One that has not begun.
    pub fn new(part: Part) -> Self {
        Self {
            part,
            panics: AtomicU64::new(0),
            in_a_row: AtomicU32::new(0),
            last_panic: Mutex::new(None),
            ended: AtomicBool::new(false),
        }
    }

    /// A round begins: there is something to do. Tests have the part panic here.
    pub fn enter(&self) {
        step::pass_part(self.part.point());
    }

    /// A round is done.
    pub fn completed(&self) {
        if self.in_a_row.load(Ordering::Relaxed) > 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Runs `run` until it returns, again after each panic. For a thread.
    pub fn keep_thread(&self, mut run: impl FnMut()) {
        while catch_unwind(AssertUnwindSafe(&mut run)).is_err() {
            std::thread::sleep(self.panicked());
        }
    }

    fn fares(&self) -> Fares {
        let quiet = || {
            let last = *self.last_panic.lock();
            last.is_none_or(|last| last.elapsed() >= QUIET)
        };
        Fares {
            part: self.part,
            well: !self.ended.load(Ordering::Relaxed)
                && (self.in_a_row.load(Ordering::Relaxed) == 0 || quiet()),
            panics: self.panics.load(Ordering::Relaxed),
        }
    }

    /// Counts a panic, and tells how long the part rests.
    fn panicked(&self) -> Duration {
        *self.last_panic.lock() = Some(Instant::now());
        let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
        let before = self.in_a_row.fetch_add(1, Ordering::Relaxed);
        let part = self.part.name();
        metrics::counter!("atropos_part_panics_total", "part" => part).increment(1);
        tracing::error!(part, panics, "a part of the service panicked, and goes on");
        let doubled = FIRST_PAUSE.saturating_mul(1 << before.min(16));
        doubled.min(LONGEST_PAUSE)
    }
}

/// Says of a part that it has ended, unless it did by itself.
struct Ends<'a> {
    part: &'a Watched,
    by_itself: bool,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if !self.by_itself {
            self.part.ended.store(true, Ordering::Relaxed);
        }
    }
}

/// What a part does, with what it has to keep over a panic.
pub trait Work: Send {
    /// Who watches it.
    fn part(&self) -> &Arc<Watched>;

    /// Does its work until there will be no more. Called again after a panic.
    fn run(&mut self) -> impl Future<Output = ()> + Send;
}

/// Runs a part until it has ended by itself. Told to stop, it is given up if it panics again and again.
pub async fn keep(mut work: impl Work, stopping: CancellationToken) {
    let part = Arc::clone(work.part());
    let mut ends = Ends {
        part: &part,
        by_itself: false,
    };
    while caught(work.run()).await.is_none() {
        let pause = part.panicked();
        if stopping.is_cancelled() && part.in_a_row.load(Ordering::Relaxed) >= LAST_TRIES {
            return;
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    ends.by_itself = true;
}

/// What comes of a future; `None` if it panics.
pub async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // After a panic it is not polled again.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics so often, then counts rounds until it is told to stop.
    struct Moody {
        part: Arc<Watched>,
        panics: u32,
        stopping: CancellationToken,
    }

    impl Work for Moody {
        fn part(&self) -> &Arc<Watched> {
            &self.part
        }

        async fn run(&mut self) {
            if self.panics > 0 {
                self.panics -= 1;
                panic!("as a test");
            }
            self.part.completed();
            self.stopping.cancelled().await;
        }
    }

    fn moody(panics: u32) -> (Parts, Moody, CancellationToken) {
        let (parts, stopping) = (Parts::default(), CancellationToken::new());
        let work = Moody {
            part: parts.watch(Part::Commit),
            panics,
            stopping: stopping.clone(),
        };
        (parts, work, stopping)
    }

    fn fares(parts: &Parts) -> (bool, u64) {
        let fares = parts.fare();
        let [Fares { well, panics, .. }] = fares[..] else {
            panic!("one part");
        };
        (well, panics)
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_goes_on_after_panics_and_is_well_once_it_has_done_a_round() {
        let (parts, work, stopping) = moody(3);
        let kept = tokio::spawn(keep(work, stopping.clone()));
        tokio::task::yield_now().await;
        assert_eq!(fares(&parts), (false, 1), "it rests");
        tokio::time::sleep(LONGEST_PAUSE * 3).await;
        assert_eq!(fares(&parts), (true, 3));
        stopping.cancel();
        kept.await.unwrap();
        assert_eq!(fares(&parts), (true, 3), "it was told to stop");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_is_cut_off_is_not_well() {
        let (parts, work, stopping) = moody(0);
        let kept = tokio::spawn(keep(work, stopping));
        tokio::task::yield_now().await;
        assert_eq!(fares(&parts), (true, 0));
        kept.abort();
        assert!(kept.await.is_err());
        assert_eq!(fares(&parts), (false, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_nothing_but_panic_pauses_for_longer_and_longer_and_still_stops() {
        let (parts, work, stopping) = moody(u32::MAX);
        let kept = tokio::spawn(keep(work, stopping.clone()));
        tokio::time::sleep(LONGEST_PAUSE * 60).await;
        let (well, panics) = fares(&parts);
        assert!(!well);
        assert!((60..80).contains(&panics), "{panics}");
        stopping.cancel();
        kept.await.unwrap();
    }

    #[test]
    fn a_thread_goes_on_after_panics() {
        let watched = Watched::new(Part::Writer);
        let mut panics = 2;
        watched.keep_thread(|| {
            if panics > 0 {
                panics -= 1;
                panic!("as a test");
            }
        });
        assert_eq!(watched.fares().panics, 2);
    }
}
