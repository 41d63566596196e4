//! Records decisions that erase nothing, in groups: whoever was refused waits for one durable barrier
//! that the whole group shares.
//!
//! **Invariant:** a refusal is answered only after the decision behind it is durable.
//! **Invariant:** a decision that cannot be recorded fails its own request, and no other of the group.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::commit::{Answer, CommitError, gather};
use super::decision::Decision;
use super::panics::contain_async;
use super::{Objects, Result};
use crate::fair_queue::round_robin::Receiver;
use crate::target::TenantId;

/// The decisions of one request that erase nothing, and the one who waits for them.
pub(super) struct Unused {
    pub(super) decisions: Vec<Decision>,
    pub(super) answer: Answer,
}

/// Records until told to stop and nothing waits.
pub(super) async fn run(
    objects: Arc<dyn Objects>,
    mut queue: Receiver<TenantId, Unused>,
    max_group: usize,
    stopping: CancellationToken,
) {
    let mut group = Vec::with_capacity(max_group);
    while gather(&mut queue, &mut group, max_group, &stopping).await {
        let (requests, answers): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|unused: Unused| (unused.decisions, unused.answer))
            .unzip();
        let counts: Vec<usize> = requests.iter().map(Vec::len).collect();
        let decisions: Vec<Decision> = requests.into_iter().flatten().collect();
        let recorded = contain_async("recording", objects.record(&decisions)).await;
        let mut failed = CommitError::Unavailable;
        let mut outcomes = match recorded {
            Ok(outcomes) => outcomes.into_iter(),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    refused = answers.len(),
                    "decisions are not recorded"
                );
                failed = (&error).into();
                Vec::new().into_iter()
            }
        };
        for (answer, count) in answers.into_iter().zip(counts) {
            let mut all = true;
            for _ in 0..count {
                all &= is_recorded(outcomes.next());
            }
            let _ = answer.send(all.then_some(()).ok_or(failed.clone()));
        }
    }
}

/// Of a group that failed whole there are no outcomes, and the log tells why already.
fn is_recorded(outcome: Option<Result<()>>) -> bool {
    match outcome {
        Some(Ok(())) => true,
        Some(Err(error)) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a decision is not recorded"
            );
            false
        }
        None => false,
    }
}
