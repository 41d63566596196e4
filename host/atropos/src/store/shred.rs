//! Bytes that must go and are still there: recovery at the start, retries from then on.
//!
//! **Invariant:** a shred record is given up only when its bytes are durably gone.
//! **Invariant:** a record that cannot be dealt with holds up no other.
//! **Invariant:** no record waits for longer than its kind ever has to, wherever the clock is set.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::panics::contain_async;
use super::{Blobs, Objects, Removal, Result, Shred, StoreError};
use crate::config::LONGEST_UPLOAD_MS;
use crate::parts::{Watched, Work};
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
    objects: &dyn Objects,
    key: BlobKey,
    not_before_ms: u64,
    error: &StoreError,
    what: &'static str,
) {
    metrics::counter!("atropos_shred_failures_total").increment(1);
    tracing::warn!(%key, error = error as &dyn std::error::Error, "{what}");
    if let Err(error) = objects.postpone(key, not_before_ms, &chain(error)).await {
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
    objects: Arc<dyn Objects>,
    blobs: Arc<dyn Blobs>,
    backoff: Backoff,
    lease_ms: u64,
    stopping: CancellationToken,
    /// Whether what a crashed predecessor began is still to be finished.
    recovering: bool,
    /// What is due by then is looked for.
    by_ms: u64,
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
        part: Arc<Watched>,
        (objects, blobs): (Arc<dyn Objects>, Arc<dyn Blobs>),
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
            objects,
            blobs,
            backoff,
            lease_ms,
            stopping,
            recovering: recovers,
            by_ms: now_ms().saturating_add(ahead_ms),
            resisting: HashSet::new(),
        }
    }

    /// Removes a page of what is due by `by_ms`, having brought forward to `latest_ms` what was
    /// erased and lies further ahead.
    async fn pass(&mut self, by_ms: u64, latest_ms: u64) -> Result<Pass> {
        let reserved_ms = now_ms().saturating_add(LONGEST_UPLOAD_MS);
        self.objects.hasten(latest_ms, reserved_ms).await?;
        let due = self.objects.shreds(by_ms, PAGE).await?;
        let keys: Vec<BlobKey> = due.iter().map(|shred| shred.key).collect();
        let mut removed = Vec::with_capacity(due.len());
        let mut gone = 0;
        if !due.is_empty() {
            let outcomes = self.blobs.remove_all(&keys).await;
            for (shred, outcome) in due.iter().zip(outcomes) {
                match outcome {
                    // Somebody tried before, and may have removed the bytes without knowing it: what is
                    // absent by now was not absent when it was to be removed.
                    Ok(_) => removed.push((shred.key, Removal::Removed)),
                    Err(error) => self.put_off(shred, &error, UNREMOVED).await,
                }
            }
            self.blobs.sync_removals().await?;
            let struck_off = self.strike_off(&due, &removed).await?;
            metrics::counter!("atropos_shreds_total").increment(struck_off as u64);
            tracing::info!(removed = struck_off, of = due.len(), "doomed bytes removed");
            gone = struck_off;
        }
        metrics::gauge!("atropos_shreds_due").set(self.resisting.len() as f64);
        Ok(Pass {
            seen: due.len(),
            removed: gone,
        })
    }

    /// Strikes off the records of what was removed, of those that were due, and returns how many. One
    /// that resists is put off as bytes are that resist, so that it keeps no place among what is due.
    async fn strike_off(&mut self, due: &[Shred], removed: &[(BlobKey, Removal)]) -> Result<usize> {
        let outcomes = self.objects.shredded(removed).await?;
        let mut struck_off = 0;
        for ((key, _), outcome) in removed.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    self.resisting.remove(key);
                    struck_off += 1;
                }
                Err(error) => {
                    if let Some(shred) = due.iter().find(|shred| shred.key == *key) {
                        self.put_off(shred, &error, NOT_STRUCK_OFF).await;
                    }
                }
            }
        }
        Ok(struck_off)
    }

    async fn put_off(&mut self, shred: &Shred, error: &StoreError, what: &'static str) {
        self.resisting.insert(shred.key);
        let later = self.backoff.after(shred.attempts.saturating_add(1));
        put_off(&*self.objects, shred.key, later, error, what).await;
    }
}
