//! Where files go that nothing names: out of the way of the blobs, on the same volume, for a period. They
//! may be good after all, if it is the database that lacks their rows.
//!
//! **Invariant:** what is in quarantine is served to nobody, counts as bytes that are there, and goes when
//! its period is over, or with the erasure of the object that it belongs to.

use std::time::Duration;

use async_trait::async_trait;

use super::error::Result;
use crate::domain::quarantine::Quarantined;
use crate::target::BlobKey;

/// The quarantine of one volume of bytes.
#[async_trait]
pub trait Quarantine: Send + Sync + 'static {
    /// Moves blobs into quarantine, as of `at_ms`, and returns how many were there, once that is durable.
    async fn quarantine(&self, keys: &[BlobKey], at_ms: u64) -> Result<u64>;

    /// All that is in quarantine, in no order.
    async fn quarantined(&self) -> Result<Vec<Quarantined>>;

    /// Moves blobs back from quarantine to their places, and returns how many were there, once that is
    /// durable.
    async fn release(&self, keys: &[BlobKey]) -> Result<u64>;

    /// Removes what has been in quarantine for `period` at `now_ms`, and returns how many files that were,
    /// once it is durable. What seems to have come later than `now_ms`, because the clock was set back,
    /// has come at `now_ms` from then on.
    async fn expire(&self, period: Duration, now_ms: u64) -> Result<u64>;
}
