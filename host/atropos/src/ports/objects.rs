//! The rows of live objects, as a delete needs them.

use async_trait::async_trait;

use super::error::{EraseError, Result};
use crate::domain::{Doomed, Erasure};
use crate::target::{Object, Target};

/// Finds objects and erases them.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// The live object of exactly this tenant, kind, owner and id.
    async fn find(&self, target: &Target) -> Result<Option<Object>>;

    /// Commits a group in one transaction with one durable barrier. Of each erasure, in order, it loads
    /// what [`decide`](crate::domain::decide::decide) wants to know, under locks that keep it so until the
    /// transaction ends, and does what that decides: to erase is to delete the row, to write a pending
    /// removal for each of its blobs, an event for its owner's activity and the decision, and to count it
    /// against its budgets.
    ///
    /// What an erasure that is [`Erasure::once`](crate::domain::Erasure::once) came to is kept in the same
    /// transaction. A platform whose [`Outcomes`](super::Outcomes) keep nothing is given no such erasure.
    ///
    /// An erasure that fails, as for a damaged row, is [`EraseError::Store`]: it leaves nothing, and the
    /// others of its group, which may be other tenants', are committed.
    ///
    /// # Errors
    /// None of the group is committed, or it is unknown whether it was; [`Objects::find`] tells.
    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>>;
}
