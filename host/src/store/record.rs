//! Records decisions that erase nothing, in batches that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::decision::Decision;
use super::{Objects, StoreError};

/// How long decisions gather, so that a stream of refusals costs few durable barriers.
const GATHER: Duration = Duration::from_millis(50);

/// How many are recorded in one transaction.
const AT_ONCE: usize = 256;

/// How long a storage that cannot be written is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the last of them are tried when nothing follows any more.
const LAST_TRIES: u32 = 4;

/// How many this process has lost, as its metrics count them.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Records until told to stop and nothing waits.
pub(super) async fn run(
    objects: Arc<dyn Objects>,
    mut decisions: mpsc::Receiver<Decision>,
    stopping: CancellationToken,
) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut tries = 0;
    while tries < LAST_TRIES {
        if batch.is_empty() {
            tokio::select! {
                biased;
                () = stopping.cancelled(), if !decisions.is_closed() => {
                    decisions.close();
                    continue;
                }
                first = decisions.recv() => match first {
                    Some(first) => batch.push(first),
                    None => return,
                },
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = sleep(GATHER) => {}
            }
        }
        while batch.len() < AT_ONCE
            && let Ok(decision) = decisions.try_recv()
        {
            batch.push(decision);
        }
        match objects.record(&batch).await {
            Ok(()) => batch.clear(),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    decisions = batch.len(),
                    "decisions are not recorded"
                );
                if !passes(&error) {
                    lost(batch.len());
                    batch.clear();
                }
                tries += u32::from(stopping.is_cancelled());
                sleep(PAUSE).await;
            }
        }
    }
    lost(batch.len() + decisions.len());
}

/// Whether trying again can help.
fn passes(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unavailable(_) | StoreError::Full(_) | StoreError::ReadOnly(_)
    )
}

/// Counts decisions that will not be recorded.
pub(super) fn lost(decisions: usize) {
    LOST.fetch_add(decisions as u64, Ordering::Relaxed);
    metrics::counter!("atropos_decisions_lost_total").increment(decisions as u64);
}

/// How many decisions of this process will not be recorded.
pub(super) fn lost_so_far() -> u64 {
    LOST.load(Ordering::Relaxed)
}
