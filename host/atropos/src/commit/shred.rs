//! Bytes that must go and are still there: recovery at the start, retries from then on.
//!
//! **Invariant:** a shred record is given up only when its bytes are durably gone.
//! **Invariant:** a record that cannot be dealt with holds up no other.
//! **Invariant:** no record waits for longer than its kind ever has to, wherever the clock is set.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::LONGEST_UPLOAD_MS;
use crate::domain::{Claim, Owner, Removal, Shred};
use crate::parts::{Watched, Work};
use crate::ports::panics::contain_async;
use crate::ports::{Blobs, Removals, Result, Rows, StoreError};
use crate::target::{BlobKey, now_ms};

/// How many shred records are taken at once.
const PAGE: usize = 256;

/// The pause after a first failure, which doubles with every further one; and how often the worker
/// looks for what is due. Both are shorter if the retry limit is.
const FIRST_PAUSE_MS: u64 = 500;

/// How long bytes that resist are left alone.
#[derive(Clone, Copy)]
pub(super) struct Backoff {
    max_ms: u64,
}

impl Backoff {
    /// Pauses of `max_ms` at most.
    pub(super) fn up_to(max_ms: u64) -> Self {
        Self { max_ms }
    }

    /// When to try again after this failure, which `attempts` others came before.
    pub(super) fn after(self, attempts: u32) -> u64 {
        let doubled = FIRST_PAUSE_MS.saturating_mul(1 << attempts.min(32));
        now_ms().saturating_add(doubled.min(self.max_ms))
    }

    fn interval(self) -> Duration {
        Duration::from_millis(FIRST_PAUSE_MS.min(self.max_ms))
    }
}

/// Why a record is put off: its bytes are there still.
pub(super) const UNREMOVED: &str = "bytes could not be removed";

/// Why a record is put off: its bytes are gone.
const NOT_STRUCK_OFF: &str = "the record of removed bytes could not be struck off";

/// Leaves a record to the worker that could not be dealt with now.
pub(super) async fn put_off(
    rows: &dyn Removals,
    owner: Owner,
    (key, not_before_ms): (BlobKey, u64),
    error: &StoreError,
    what: &'static str,
) {
    metrics::counter!("atropos_shred_failures_total").increment(1);
    tracing::warn!(%key, error = error as &dyn std::error::Error, "{what}");
    let why = chain(error);
    let postponed = rows.postpone(owner, key, not_before_ms, &why);
    if let Err(error) = postponed.await {
        // The record stays as it is, and comes back when its lease has run out.
        tracing::warn!(%key, error = &error as &dyn std::error::Error, "a failure was not noted");
    }
}

/// The error with all that led to it, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}

/// Removes doomed bytes that nobody else removes.
pub(super) struct Shredder {
    part: Arc<Watched>,
    owner: Owner,
    rows: Arc<dyn Rows>,
    blobs: Arc<dyn Blobs>,
    backoff: Backoff,
    lease_ms: u64,
    stopping: CancellationToken,
    /// Whether what a crashed predecessor began is still to be finished.
    recovering: bool,
    /// What is due by then is looked for.
    by_ms: u64,
    /// What was claimed and is still to be dealt with.
    claimed: Vec<Shred>,
    /// What failed at least once, and is still to go.
    resisting: HashSet<BlobKey>,
}

/// What became of one page of records.
struct Pass {
    seen: usize,
    removed: usize,
}

impl Work for Shredder {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        while !self.stopping.is_cancelled() {
            self.part.enter();
            // Nothing that was erased has reason to lie further ahead.
            let by_ms = self.by_ms;
            let latest_ms = match self.recovering {
                true => by_ms,
                false => by_ms.saturating_add(self.lease_ms.max(self.backoff.max_ms)),
            };
            let pass = contain_async("shredding", self.pass(by_ms, latest_ms)).await;
            self.part.completed();
            match pass {
                Ok(pass) if pass.seen == PAGE && pass.removed > 0 => continue,
                Ok(_) => self.recovering = false,
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "doomed bytes cannot be looked for"
                ),
            }
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = tokio::time::sleep(self.backoff.interval()) => {}
            }
            if !self.recovering {
                self.by_ms = now_ms();
            }
        }
    }
}

impl Shredder {
    /// Starts nothing yet. It keeps up with what is due until told to stop; first, if it `recovers`, it
    /// finishes what a crashed predecessor began.
    pub(super) fn new(
        owner: Owner,
        part: Arc<Watched>,
        (rows, blobs): (Arc<dyn Rows>, Arc<dyn Blobs>),
        backoff: Backoff,
        recovers: bool,
        lease_ms: u64,
        stopping: CancellationToken,
    ) -> Self {
        // A predecessor that still had a lease is gone; its erasures need not wait for it. Ours
        // have leases that end later than this.
        let ahead_ms = if recovers { lease_ms } else { 0 };
        Self {
            part,
            owner,
            rows,
            blobs,
            backoff,
            lease_ms,
            stopping,
            recovering: recovers,
            by_ms: now_ms().saturating_add(ahead_ms),
            claimed: Vec::new(),
            resisting: HashSet::new(),
        }
    }

    /// Removes a page of what is due by `by_ms`, having brought forward to `latest_ms` what was
    /// erased and lies further ahead. What a pass claimed and did not deal with is the next one's.
    async fn pass(&mut self, by_ms: u64, latest_ms: u64) -> Result<Pass> {
        let now_ms = now_ms();
        let reserved_ms = now_ms.saturating_add(LONGEST_UPLOAD_MS);
        self.rows.hasten(latest_ms, reserved_ms).await?;
        if self.claimed.is_empty() {
            let claim = Claim {
                owner: self.owner,
                by_ms,
                until_ms: now_ms.saturating_add(self.lease_ms),
                limit: PAGE,
            };
            self.claimed = self.rows.claim(&claim).await?;
        }
        let seen = self.claimed.len();
        let mut gone = 0;
        if seen > 0 {
            let removed = self.remove().await;
            self.blobs.sync_removals().await?;
            gone = self.strike_off(&removed).await?;
            metrics::counter!("atropos_shreds_total").increment(gone as u64);
            tracing::info!(removed = gone, of = seen, "doomed bytes removed");
        }
        metrics::gauge!("atropos_shreds_due").set(self.resisting.len() as f64);
        Ok(Pass {
            seen,
            removed: gone,
        })
    }

    /// Removes the bytes of what is claimed; what resists is claimed no more.
    async fn remove(&mut self) -> Vec<BlobKey> {
        let keys: Vec<BlobKey> = self.claimed.iter().map(|shred| shred.key).collect();
        let outcomes = self.blobs.remove_all(&keys).await;
        let (mut removed, mut resisting) = (Vec::with_capacity(keys.len()), Vec::new());
        for (shred, outcome) in self.claimed.iter().zip(outcomes) {
            match outcome {
                Ok(_) => removed.push(shred.key),
                Err(error) => resisting.push((*shred, error)),
            }
        }
        for (shred, error) in resisting {
            self.put_off(&shred, &error, UNREMOVED).await;
        }
        removed
    }

    /// Strikes off the records of what was removed, and returns how many. One that resists is put off as
    /// bytes are that resist, so that it keeps no place among what is due.
    async fn strike_off(&mut self, removed: &[BlobKey]) -> Result<usize> {
        // Somebody tried before, and may have removed the bytes without knowing it: what is absent by now
        // was not absent when it was to be removed.
        let removed: Vec<_> = removed.iter().map(|key| (*key, Removal::Removed)).collect();
        let outcomes = self.rows.shredded(&removed).await?;
        let mut struck_off = 0;
        for (shred, outcome) in std::mem::take(&mut self.claimed).iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    self.resisting.remove(&shred.key);
                    struck_off += 1;
                }
                Err(error) => self.put_off(shred, &error, NOT_STRUCK_OFF).await,
            }
        }
        Ok(struck_off)
    }

    async fn put_off(&mut self, shred: &Shred, error: &StoreError, what: &'static str) {
        self.claimed.retain(|claimed| claimed.key != shred.key);
        self.resisting.insert(shred.key);
        let later = self.backoff.after(shred.attempts.saturating_add(1));
        put_off(&*self.rows, self.owner, (shred.key, later), error, what).await;
    }
}
