//! Records decisions that erase nothing, in groups: whoever was refused waits for one durable barrier
//! that the whole group shares.
//!
//! **Invariant:** a refusal is answered only after the decision behind it is durable.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Objects;
use super::commit::{Answer, CommitError, gather};
use super::decision::Decision;

/// The decisions of one request that erase nothing, and the one who waits for them.
pub(super) struct Unused {
    pub(super) decisions: Vec<Decision>,
    pub(super) answer: Answer,
}

/// Records until told to stop and nothing waits.
pub(super) async fn run(
    objects: Arc<dyn Objects>,
    mut queue: mpsc::Receiver<Unused>,
    max_group: usize,
    stopping: CancellationToken,
) {
    let mut group = Vec::with_capacity(max_group);
    while gather(&mut queue, &mut group, max_group, &stopping).await {
        let (decisions, answers): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|unused: Unused| (unused.decisions, unused.answer))
            .unzip();
        let recorded = objects.record(&decisions.concat()).await;
        let recorded = recorded.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                refused = answers.len(),
                "decisions are not recorded"
            );
            CommitError::Unavailable
        });
        for answer in answers {
            let _ = answer.send(recorded.clone());
        }
    }
}
