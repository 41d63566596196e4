//! Strikes off the shred records of removed bytes, once the removals themselves are durable.
//!
//! **Invariant:** a record is struck off only after [`Blobs::sync_removals`] that began after its
//! bytes were removed. Until then recovery repeats the removal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Blobs, Objects, Removal, Result};
use crate::target::BlobKey;

/// How long removals gather before they are made durable together.
const GATHER: Duration = Duration::from_millis(250);

/// How many records are struck off in one transaction; more would hold up the erasures.
const STRUCK_AT_ONCE: usize = 512;

/// As many removals wait at most. Those beyond it are left to the background shredding, which finds
/// their records when the lease has run out.
const WAITING: usize = 1 << 16;

/// How often the last of them are tried when nothing follows any more.
const LAST_TRIES: u32 = 4;

/// What one group removed.
pub(super) type Settled = Vec<(BlobKey, Removal)>;

/// Settles until every sender is gone and nothing waits.
pub(super) async fn run(
    objects: Arc<dyn Objects>,
    blobs: Arc<dyn Blobs>,
    mut removals: mpsc::UnboundedReceiver<Settled>,
) {
    let mut waiting = Settled::new();
    let mut tries = 0;
    while tries < LAST_TRIES {
        if waiting.is_empty() {
            match removals.recv().await {
                Some(removed) => waiting = removed,
                None => break,
            }
        }
        if !removals.is_closed() || tries > 0 {
            sleep(GATHER).await;
        }
        while let Ok(removed) = removals.try_recv() {
            waiting.extend(removed);
        }
        waiting.truncate(WAITING);
        if let Err(error) = settle(&*objects, &*blobs, &mut waiting).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "removed bytes keep their shred records for now"
            );
            tries += u32::from(removals.is_closed());
        }
    }
}

/// Takes off `waiting` what it settled.
async fn settle(objects: &dyn Objects, blobs: &dyn Blobs, waiting: &mut Settled) -> Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    blobs.sync_removals().await?;
    while !waiting.is_empty() {
        let some = waiting.split_off(waiting.len().saturating_sub(STRUCK_AT_ONCE));
        if let Err(error) = objects.shredded(&some).await {
            waiting.extend(some);
            return Err(error);
        }
    }
    Ok(())
}
