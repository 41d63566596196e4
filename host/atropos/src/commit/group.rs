//! What waits for one durable barrier: how it gathers, and how each of it is answered.

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::domain::Conflict;
use crate::fair_queue::round_robin::{Receiver, SendError};
use crate::ports::StoreError;
use crate::step;
use crate::target::TenantId;

/// Why a staged erasure did not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The row was left as it was.
    #[error("the object is not as it was judged")]
    Conflict(Conflict),
    /// The row is gone; the bytes are doomed, but not deleted yet.
    #[error("the bytes are not deleted yet")]
    Pending,
    /// The same, for as long as the volume of the bytes is not in its place.
    #[error("the bytes are not deleted yet: their volume is not in its place")]
    WrongVolume,
    /// The files of the database were removed or replaced.
    #[error("the files of the database were removed or replaced")]
    WrongDatabase,
    /// Too many wait already.
    #[error("too many wait for the disk")]
    Overloaded,
    /// Nothing new is taken on.
    #[error("the committer is stopping")]
    Stopping,
    /// The storage failed; what it said is in the log.
    #[error("the storage is not available")]
    Unavailable,
}

impl CommitError {
    /// Whether the row is gone, and the decision on record.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Pending | Self::WrongVolume)
    }
}

impl From<SendError> for CommitError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full => Self::Overloaded,
            SendError::Closed => Self::Stopping,
        }
    }
}

impl From<&StoreError> for CommitError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::WrongDatabase => Self::WrongDatabase,
            _ => Self::Unavailable,
        }
    }
}

impl From<step::Failed> for CommitError {
    fn from(_: step::Failed) -> Self {
        Self::Unavailable
    }
}

/// Where the outcome goes.
pub(super) type Answer = oneshot::Sender<Result<(), CommitError>>;

/// Takes what has queued up as one group, or waits for the first of it. While a group is written, the
/// next one gathers. False once told to stop and nothing is left.
pub(super) async fn gather<T>(
    queue: &mut Receiver<TenantId, T>,
    group: &mut Vec<T>,
    most: usize,
    stopping: &CancellationToken,
) -> bool {
    loop {
        tokio::select! {
            biased;
            () = stopping.cancelled(), if !queue.is_closed() => queue.close(),
            taken = queue.recv_many(group, most) => return taken > 0,
        }
    }
}
