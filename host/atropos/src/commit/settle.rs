//! Strikes off the shred records of removed bytes, once the removals themselves are durable.
//!
//! **Invariant:** a record is struck off only after [`Blobs::sync_removals`] that began after its
//! bytes were removed. Until then recovery repeats the removal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::Removal;
use crate::parts::{Watched, Work};
use crate::ports::panics::contain_async;
use crate::ports::{Blobs, Removals, Result, Rows};
use crate::target::BlobKey;

/// How long removals gather at least before they are made durable together.
const GATHER: Duration = Duration::from_millis(250);

/// That may take a barrier for each directory, and erasures wait behind it: of the disk's time it is to
/// take one part of so many. On a slow disk removals gather for longer.
const SHARE: u32 = 10;

/// How many records are struck off in one transaction; more would hold up the erasures.
const STRUCK_AT_ONCE: usize = 512;

/// As many removals wait at most. Those beyond it are left to the background shredding, which finds
/// their records when the lease has run out.
const WAITING: usize = 1 << 16;

/// How often the last of them are tried when nothing follows any more.
const LAST_TRIES: u32 = 4;

/// What one group removed.
pub type Settled = Vec<(BlobKey, Removal)>;

/// Settles until every sender is gone and nothing waits. Removals gather for a quarter of `lease` at
/// most, at whose end the background shredding takes their records for abandoned.
pub(super) struct Settling {
    pub(super) part: Arc<Watched>,
    pub(super) rows: Arc<dyn Rows>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) removals: mpsc::UnboundedReceiver<Settled>,
    pub(super) waiting: Settled,
    pub(super) lease: Duration,
    pub(super) stopping: CancellationToken,
}

impl Work for Settling {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        let mut tries = 0;
        let mut pause = GATHER;
        while tries < LAST_TRIES {
            if self.waiting.is_empty() {
                match self.removals.recv().await {
                    Some(removed) => self.waiting = removed,
                    None => break,
                }
            }
            if !self.removals.is_closed() || tries > 0 {
                sleep(GATHER).await;
                tokio::select! {
                    () = sleep(pause.saturating_sub(GATHER)) => {}
                    () = self.stopping.cancelled() => {}
                }
            }
            self.part.enter();
            while let Ok(removed) = self.removals.try_recv() {
                self.waiting.extend(removed);
            }
            self.waiting.truncate(WAITING);
            let begun = Instant::now();
            let settling = settle(&*self.rows, &*self.blobs, &mut self.waiting);
            let settled = contain_async("settling", settling).await;
            pause = pause_after(begun.elapsed(), self.lease);
            if let Err(error) = settled {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "removed bytes keep their shred records for now"
                );
                tries += u32::from(self.removals.is_closed());
            }
            self.part.completed();
        }
    }
}

/// How long removals gather when those before took so long.
fn pause_after(took: Duration, lease: Duration) -> Duration {
    let rest = took.saturating_mul(SHARE - 1);
    rest.min(lease / 4).max(GATHER)
}

/// Strikes off what was removed, after a barrier; what could not be settled is left in `waiting`.
///
/// # Errors
/// The removals are not durable, or nothing is known of the records.
pub async fn settle(rows: &dyn Removals, blobs: &dyn Blobs, waiting: &mut Settled) -> Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    blobs.sync_removals().await?;
    while !waiting.is_empty() {
        let some = waiting.split_off(waiting.len().saturating_sub(STRUCK_AT_ONCE));
        match rows.shredded(&some).await {
            Ok(outcomes) => outcomes.into_iter().for_each(left_to_the_shredding),
            Err(error) => {
                waiting.extend(some);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// A record that fails alone is not tried again here, where it would be among the first of every
/// group: the background shredding finds it when its lease has run out.
fn left_to_the_shredding(struck_off: Result<()>) {
    if let Err(error) = struck_off {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the record of removed bytes is left to the background shredding"
        );
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use parking_lot::Mutex;
    use tokio::sync::Notify;

    use super::*;
    use crate::memory::Memory;
    use crate::parts::{Part, keep};

    /// Takes its time for each barrier, and notes when it began.
    #[derive(Default)]
    struct Slow {
        begun: Mutex<Vec<Instant>>,
        done: Notify,
    }

    const BARRIER: Duration = Duration::from_millis(200);

    #[async_trait]
    impl Blobs for Slow {
        async fn remove(&self, _: BlobKey) -> Result<Removal> {
            Ok(Removal::Removed)
        }

        async fn sync_removals(&self) -> Result<()> {
            self.begun.lock().push(Instant::now());
            sleep(BARRIER).await;
            self.done.notify_one();
            Ok(())
        }
    }

    /// How long lies between the barriers of four removals, each of which follows the barrier before it.
    async fn pauses(stopping: CancellationToken) -> Vec<Duration> {
        let blobs = Arc::new(Slow::default());
        let (removed, removals) = mpsc::unbounded_channel();
        let settling = Settling {
            part: Arc::new(Watched::new(Part::Settle)),
            rows: Arc::new(Memory::default()),
            blobs: blobs.clone(),
            removals,
            waiting: Settled::new(),
            lease: Duration::from_secs(30),
            stopping: stopping.clone(),
        };
        let settling = tokio::spawn(keep(settling, stopping));
        tokio::time::pause();
        for _ in 0..4 {
            let key = BlobKey::random();
            removed.send(vec![(key, Removal::Removed)]).unwrap();
            blobs.done.notified().await;
        }
        settling.abort();
        let begun = blobs.begun.lock();
        let between = begun.windows(2).map(|pair| pair[1] - pair[0] - BARRIER);
        between.collect()
    }

    #[tokio::test]
    async fn a_slow_disk_is_left_to_the_erasures_for_nine_tenths_of_the_time() {
        let pauses = pauses(CancellationToken::new()).await;
        let rest = BARRIER * (SHARE - 1);
        assert!(pauses.iter().all(|pause| *pause >= rest), "{pauses:?}");
    }

    #[tokio::test]
    async fn who_stops_does_not_wait_for_a_slow_disk_to_rest() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        let pauses = pauses(stopping).await;
        let rest = BARRIER * (SHARE - 1);
        assert!(pauses.iter().all(|pause| *pause < rest / 2), "{pauses:?}");
    }

    #[test]
    fn removals_gather_for_nine_times_as_long_as_they_took_within_bounds() {
        let ms = Duration::from_millis;
        for (took, lease, pause) in [
            (0, 30_000, 250),
            (27, 30_000, 250),
            (100, 30_000, 900),
            (2_000, 30_000, 7_500),
            (100, 2_000, 500),
            (100, 400, 250),
        ] {
            assert_eq!(
                pause_after(ms(took), ms(lease)),
                ms(pause),
                "{took}, {lease}"
            );
        }
    }
}
