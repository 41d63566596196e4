//! Records decisions that erase nothing, in groups: whoever was refused waits for one durable barrier
//! that the whole group shares.
//!
//! **Invariant:** a refusal is answered only after the decision behind it is durable.
//! **Invariant:** a decision that cannot be recorded fails its own request, and no other of the group.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::group::{Answer, CommitError, gather};
use super::probe::Probe;
use crate::domain::decision::Decision;
use crate::fair_queue::round_robin::Receiver;
use crate::parts::{Part, Watched, Work};
use crate::ports::panics::contain_async;
use crate::ports::{Result, Rows};
use crate::target::TenantId;

/// The decisions of one request that erase nothing, and the one who waits for them.
pub(super) struct Unused {
    pub(super) decisions: Vec<Decision>,
    pub(super) answer: Answer,
}

/// Records until told to stop and nothing waits.
pub(super) struct Recording {
    pub(super) part: Arc<Watched>,
    pub(super) rows: Arc<dyn Rows>,
    pub(super) queue: Receiver<TenantId, Unused>,
    pub(super) probes: mpsc::Receiver<Probe>,
    pub(super) max_group: usize,
    pub(super) stopping: CancellationToken,
}

impl Work for Recording {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        let mut group = Vec::with_capacity(self.max_group);
        loop {
            tokio::select! {
                Some(probe) = self.probes.recv() => {
                    self.part.enter();
                    probe.came_through(Part::Record);
                }
                more = gather(&mut self.queue, &mut group, self.max_group, &self.stopping) => {
                    if !more {
                        return;
                    }
                    self.part.enter();
                    self.record(&mut group).await;
                }
            }
            self.part.completed();
        }
    }
}

impl Recording {
    async fn record(&self, group: &mut Vec<Unused>) {
        let (requests, answers): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|unused: Unused| (unused.decisions, unused.answer))
            .unzip();
        let counts: Vec<usize> = requests.iter().map(Vec::len).collect();
        let decisions: Vec<Decision> = requests.into_iter().flatten().collect();
        let recorded = contain_async("recording", self.rows.record(&decisions)).await;
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
