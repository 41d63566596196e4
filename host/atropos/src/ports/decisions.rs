//! The record of decisions that erase nothing. What erases is recorded by the erasure itself.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::decision::Decision;

/// Records decisions.
#[async_trait]
pub trait Decisions: Send + Sync + 'static {
    /// Records decisions that erase nothing, in one transaction with one durable barrier, and says of
    /// each, in order, whether it is recorded: one that fails does not keep the others off the record.
    /// Callers wait for it: their refusals are answered only once this returns.
    ///
    /// # Errors
    /// None of them is recorded, or it is unknown whether they are.
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>>;
}
