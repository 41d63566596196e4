//! What requests that have a key came to, kept for their repeats.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::{Result, StoreError};
use crate::domain::{First, Once};
use crate::error::Refused;

const KEEPS_NOTHING: StoreError = StoreError::Missing {
    what: "record of outcomes",
};

/// Keeps outcomes. A platform that keeps none leaves this as it is: it refuses requests that have a key, and
/// serves all others. One that keeps them brings [`Blobs::is_absent`](super::Blobs::is_absent) as well.
#[async_trait]
pub trait Outcomes: Send + Sync + 'static {
    /// What [`Once::first`] says, given what is kept. No outcome is forgotten early.
    async fn first(&self, _once: &Once) -> Result<Option<First>> {
        Err(KEEPS_NOTHING)
    }

    /// Keeps a refusal, unless [`Outcomes::first`] has an answer for the same key; either way returns
    /// what is kept, once it is durable, or [`First::Full`]. `decision` is the one on record behind it.
    async fn keep(
        &self,
        _once: &Once,
        _refused: &Refused,
        _decision: Option<Uuid>,
    ) -> Result<First> {
        Err(KEEPS_NOTHING)
    }
}
