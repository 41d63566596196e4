//! Recorded decisions, judged again: by those who judged them, which must come to the very same, or by
//! another chain, to see what would change.
//!
//! ```text
//! record ─► parts, oldest first ─► every core judges one ─► what came of them, in order
//! ```
//!
//! **Invariant:** memory does not grow with the number of decisions.
//! **Invariant:** what comes of a replay does not depend on how many cores there are.

mod compare;
mod reproduce;

use std::collections::VecDeque;
use std::sync::Arc;

pub use self::compare::{Candidate, Compared, Group};
pub use self::reproduce::{Difference, Reproduced};
use crate::config::GuestLimits;
use crate::domain::decision::Decision;
use crate::domain::{Order, Stretch, Wanted};
use crate::error::FaultKind;
use crate::guest::Sandbox;
use crate::ports::{Catalogue, StoreError};
use crate::target::{Digest, TenantId};

/// How long a policy may take that is asked again, in milliseconds. Its fuel ends it first, the same on
/// any machine.
const DEADLINE_MS: u64 = 60_000;

/// How many decisions one core judges at a time.
const AT_ONCE: u32 = 256;

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The record or a component cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A policy of the other chain cannot be asked.
    #[error("the component {digest} of policy {policy} cannot be loaded ({kind:?})")]
    Component {
        /// The policy's name in the chain.
        policy: String,
        /// Which component.
        digest: Digest,
        /// What is wrong with it.
        kind: FaultKind,
    },
    /// The process is stopping.
    #[error("the replay was interrupted")]
    Interrupted,
}

/// The decisions of a tenant that are to be judged again, and who judges.
pub struct Replay<'a> {
    /// Runs the policies.
    pub sandbox: &'a Sandbox,
    /// Has the record.
    pub catalogue: Arc<dyn Catalogue>,
    /// Whose decisions.
    pub tenant: TenantId,
    /// Which of them. Without an end, those that are recorded meanwhile are judged too.
    pub wanted: Wanted,
    /// What a policy may consume where the record or the chain does not say.
    pub limits: GuestLimits,
}

impl Replay<'_> {
    /// How many decisions there are to judge.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn count(&self) -> Result<u64, ReplayError> {
        let count = self.catalogue.count_decisions(self.tenant, &self.wanted);
        Ok(count.await?)
    }

    /// Reads the record part by part, has what `prepare` makes for each part judge it on a core of its
    /// own, and takes what came of the parts in their order.
    async fn each<W, R>(
        &self,
        mut prepare: impl AsyncFnMut(&[Decision]) -> Result<W, ReplayError>,
        mut take: impl FnMut(R),
    ) -> Result<(), ReplayError>
    where
        W: FnOnce(Vec<Decision>) -> R + Send + 'static,
        R: Send + 'static,
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut under_way = VecDeque::new();
        let mut after = None;
        loop {
            let stretch = Stretch {
                order: Order::OldestFirst,
                after,
                limit: AT_ONCE,
            };
            let part = self.catalogue.decisions(self.tenant, &self.wanted, stretch);
            let part = part.await?;
            let Some(last) = part.last() else { break };
            after = Some(last.id);
            let judge = prepare(&part).await?;
            under_way.push_back(tokio::task::spawn_blocking(move || judge(part)));
            // One more than there are cores, so that none waits for the reader.
            if under_way.len() > cores + 1
                && let Some(first) = under_way.pop_front()
            {
                take(first.await.map_err(|_| ReplayError::Interrupted)?);
            }
        }
        for rest in under_way {
            take(rest.await.map_err(|_| ReplayError::Interrupted)?);
        }
        Ok(())
    }
}
