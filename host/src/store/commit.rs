//! Group commit: concurrent erasures share one transaction and one durable barrier.

use std::sync::Arc;

use super::decision::Decision;
use super::{Blobs, Conflict, Objects};
use crate::config;

/// Why a staged erasure did not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The row was left as it was.
    #[error("the object is not as it was judged")]
    Conflict(Conflict),
    /// The row is gone; the bytes are doomed, but not deleted yet.
    #[error("the bytes are not deleted yet")]
    Pending,
    /// Too many wait already.
    #[error("too many erasures wait for the disk")]
    Overloaded,
    /// Nothing new is taken on.
    #[error("the committer is stopping")]
    Stopping,
    /// The storage failed; what it said is in the log.
    #[error("the storage is not available")]
    Unavailable,
}

/// Takes staged erasures and commits them in groups. Cheap to clone.
#[derive(Clone)]
pub struct Committer {}

impl Committer {
    /// Starts committing, recovery and the background shredding. Needs a tokio runtime.
    pub fn start(
        _objects: Arc<dyn Objects>,
        _blobs: Arc<dyn Blobs>,
        _config: &config::Erase,
    ) -> Self {
        Self {}
    }

    /// Erases what the decision allowed. Returns once row and bytes are gone.
    ///
    /// # Errors
    /// Only after [`CommitError::Pending`] is the row gone.
    pub async fn erase(&self, _decision: Decision) -> Result<(), CommitError> {
        Err(CommitError::Unavailable)
    }

    /// Records a decision that erases nothing, in the next batch. Nobody waits for it.
    pub fn record(&self, _decision: Decision) {}

    /// Commits what is queued, and returns.
    pub async fn stop(&self) {}
}
