//! Pending removals, as operators see them.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::removals::{Backlog, Overdue};

/// Counts and lists pending removals.
#[async_trait]
pub trait PendingRemovals: Send + Sync + 'static {
    /// How many shred records wait, and the most attempts any of them took. Counts up to `at_most`,
    /// which then means that many or more.
    async fn backlog(&self, now_ms: u64, at_most: u32) -> Result<Backlog>;

    /// The shred records that were due at `by_ms` or were tried in vain, those with the most
    /// attempts first, at most `limit`. Those that cannot be read are left out.
    async fn overdue(&self, by_ms: u64, limit: u32) -> Result<Vec<Overdue>>;

    /// Makes shred records due at `at_ms` that were tried in vain and wait for their next try.
    async fn retry(&self, at_ms: u64) -> Result<()>;
}
