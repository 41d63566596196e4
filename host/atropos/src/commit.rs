//! Group commit: concurrent erasures share one transaction and one durable barrier, and so do
//! decisions that erase nothing.
//!
//! ```text
//! erase ──► queue ─► one transaction a group ─► bytes removed ─► answers ─► records struck off
//!                         next group ─► …
//! record ─► queue ─► one transaction a group ─► answers
//! ```
//!
//! While the bytes of one group are removed, the next one commits.
//!
//! **Invariant:** success is answered only after the row is durably gone and every blob is removed.
//! **Invariant:** whatever happens after the commit, the shred records name what is still to do.
//! **Invariant:** tenants take turns in the queues, and none fills one, however much it asks for.
//! **Invariant:** what waits takes no more memory than the places in the queues stand for.
//! **Invariant:** what fails or panics for one erasure fails no other of its group, and no later group.
//! **Invariant:** a panic of the commit itself ends no part of it ([`crate::parts`]).

pub mod doctor;
mod group;
mod probe;
mod record;
pub mod settle;
pub mod shred;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::group::CommitError;
use self::group::{Answer, gather};
use self::probe::{Probe, Probes};
use self::record::{Recording, Unused};
use self::settle::{Settled, Settling};
use self::shred::{Backoff, Shredder, UNREMOVED};
use crate::config;
use crate::domain::decision::{Decision, Verdict};
use crate::domain::{Doomed, Erasure, Once, Owner, Removal};
use crate::fair_queue::round_robin::{self, Receiver, Sender};
use crate::parts::{Part, Parts, Watched, Work, keep};
use crate::ports::panics::contain_async;
use crate::ports::{Blobs, EraseError, Rows, StoreError};
use crate::step::{self, Step};
use crate::target::{BlobKey, TenantId, now_ms};

/// What one of `erase.max-queued` places stands for: a decision that says more takes several.
pub const PLACE_BYTES: usize = 8 << 10;

/// Takes staged erasures and commits them in groups. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    staged: Sender<TenantId, Staged>,
    unused: Sender<TenantId, Unused>,
    probes: Probes,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// An erasure that waits for the disk, and the one who waits for it.
struct Staged {
    decision: Decision,
    once: Option<Once>,
    answer: Answer,
}

/// What the second half is given.
enum Committed {
    /// A group whose bytes must follow.
    Group(Vec<(Owed, Doomed)>),
    /// Nothing to do.
    Probe(Probe),
}

/// The answer to an erasure whose row is gone. Dropped before it is given, it says that the bytes are not
/// deleted yet.
struct Owed(Option<Answer>);

impl Owed {
    fn give(mut self, outcome: Result<(), CommitError>) {
        if let Some(answer) = self.0.take() {
            // Nobody may be waiting any more.
            let _ = answer.send(outcome);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            let _ = answer.send(Err(CommitError::Pending));
        }
    }
}

impl Committer {
    /// Starts committing, recovery and the background shredding, which are watched among `parts`. Needs a
    /// tokio runtime that has timers.
    pub fn start(
        parts: &Parts,
        rows: Arc<dyn Rows>,
        blobs: Arc<dyn Blobs>,
        config: &config::Erase,
        budget: config::Budget,
    ) -> Self {
        Self::start_with(true, parts, rows, blobs, config, budget)
    }

    /// The same beside another committer over the same storage, whose erasures under way are left to
    /// it: no recovery.
    pub fn start_beside(
        parts: &Parts,
        rows: Arc<dyn Rows>,
        blobs: Arc<dyn Blobs>,
        config: &config::Erase,
        budget: config::Budget,
    ) -> Self {
        Self::start_with(false, parts, rows, blobs, config, budget)
    }

    fn start_with(
        recovers: bool,
        parts: &Parts,
        rows: Arc<dyn Rows>,
        blobs: Arc<dyn Blobs>,
        config: &config::Erase,
        budget: config::Budget,
    ) -> Self {
        let bound = config.max_queued.max(1) as usize;
        let max_group = config.max_group.max(1) as usize;
        let (staged, queue) = round_robin::queue(bound);
        let (unused, records) = round_robin::queue(bound);
        // One group waits at most while another one's bytes are removed.
        let (committed, groups) = mpsc::channel(1);
        let (settled, removals) = mpsc::unbounded_channel();
        let (probes, committing, recording) = Probes::new();
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let backoff = Backoff::up_to(config.shred_retry_max_ms);
        let owner = Owner::random();
        let commit = Commit {
            part: parts.watch(Part::Commit),
            rows: Arc::clone(&rows),
            queue,
            probes: committing,
            stopping: stopping.clone(),
            max_group,
            owner,
            lease_ms: config.shred_lease_ms,
            budget,
            committed,
        };
        let remove = Remove {
            part: parts.watch(Part::Remove),
            owner,
            rows: Arc::clone(&rows),
            blobs: Arc::clone(&blobs),
            groups,
            backoff,
            settled,
        };
        let settling = Settling {
            part: parts.watch(Part::Settle),
            rows: Arc::clone(&rows),
            blobs: Arc::clone(&blobs),
            removals,
            waiting: Settled::new(),
            lease: Duration::from_millis(config.shred_lease_ms),
            stopping: stopping.clone(),
        };
        let recording = Recording {
            part: parts.watch(Part::Record),
            rows: Arc::clone(&rows),
            queue: records,
            probes: recording,
            max_group,
            stopping: stopping.clone(),
        };
        let shredder = Shredder::new(
            owner,
            parts.watch(Part::Shred),
            (rows, blobs),
            backoff,
            recovers,
            config.shred_lease_ms,
            stopping.clone(),
        );
        tasks.spawn(keep(commit, stopping.clone()));
        tasks.spawn(keep(remove, stopping.clone()));
        tasks.spawn(keep(settling, stopping.clone()));
        tasks.spawn(keep(recording, stopping.clone()));
        tasks.spawn(keep(shredder, stopping.clone()));
        tasks.close();
        Self {
            staged,
            unused,
            probes,
            stopping,
            tasks,
        }
    }

    /// Goes the way of an erasure and that of a decision that erases nothing, without their work.
    /// Returns the parts that it did not come through within `patience`.
    pub async fn probe(&self, patience: Duration) -> Vec<Part> {
        self.probes.send(patience).await
    }

    /// Erases what the decision allowed, unless a request of the same key came first. Returns once row and bytes are gone. Goes on to its end
    /// even if the caller does not wait.
    ///
    /// # Errors
    /// After [`CommitError::Pending`] and [`CommitError::WrongVolume`] the row is gone, after
    /// [`CommitError::Unavailable`] and [`CommitError::WrongDatabase`] it may be, and after any other it
    /// is not.
    pub async fn erase(&self, decision: Decision, once: Option<Once>) -> Result<(), CommitError> {
        if decision.verdict != Verdict::Allowed {
            tracing::error!(decision = %decision.id, "an erasure without permission was staged");
            return Err(CommitError::Unavailable);
        }
        step::pass(Step::CommitQueue).await?;
        let (answer, outcome) = oneshot::channel();
        let tenant = decision.target().tenant;
        let staged = Staged {
            decision,
            once,
            answer,
        };
        let places = places([&staged.decision]);
        self.staged.try_send(tenant, places, staged)?;
        outcome.await.unwrap_or(Err(CommitError::Unavailable))
    }

    /// Records the decisions of one request that erase nothing, and returns once they are durable. As
    /// many requests wait at most as erasures may. Goes on to its end even if the caller does not wait.
    ///
    /// # Errors
    /// They are not recorded; after [`CommitError::Unavailable`] they may be.
    pub async fn record(&self, decisions: Vec<Decision>) -> Result<(), CommitError> {
        let Some(first) = decisions.first() else {
            return Ok(());
        };
        let tenant = first.target().tenant;
        let (answer, outcome) = oneshot::channel();
        let places = places(&decisions);
        self.unused
            .try_send(tenant, places, Unused { decisions, answer })?;
        outcome.await.unwrap_or(Err(CommitError::Unavailable))
    }

    /// Takes on nothing new, commits and records what is queued, and returns.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.wait().await;
    }
}

/// How many places these have in a queue: one, and one more for each [`PLACE_BYTES`] that were said.
fn places<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> usize {
    let said = decisions.into_iter().map(Decision::findings_bytes);
    1 + said.sum::<usize>() / PLACE_BYTES
}

/// The first half: rows.
struct Commit {
    part: Arc<Watched>,
    rows: Arc<dyn Rows>,
    queue: Receiver<TenantId, Staged>,
    probes: mpsc::Receiver<Probe>,
    stopping: CancellationToken,
    max_group: usize,
    owner: Owner,
    lease_ms: u64,
    budget: config::Budget,
    committed: mpsc::Sender<Committed>,
}

impl Work for Commit {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        let mut group = Vec::with_capacity(self.max_group);
        loop {
            tokio::select! {
                Some(probe) = self.probes.recv() => {
                    self.part.enter();
                    probe.came_through(Part::Commit);
                    let _ = self.committed.send(Committed::Probe(probe)).await;
                }
                more = gather(&mut self.queue, &mut group, self.max_group, &self.stopping) => {
                    if !more {
                        return;
                    }
                    self.part.enter();
                    self.commit(&mut group).await;
                }
            }
            self.part.completed();
        }
    }
}

impl Commit {
    async fn commit(&self, group: &mut Vec<Staged>) {
        let at_ms = now_ms();
        let (erasures, answers): (Vec<_>, Vec<_>) = group
            .drain(..)
            .map(|staged| {
                let erasure = Erasure {
                    decision: staged.decision,
                    at_ms,
                    owner: self.owner,
                    lease_until_ms: at_ms.saturating_add(self.lease_ms),
                    budget: self.budget,
                    once: staged.once,
                };
                (erasure, staged.answer)
            })
            .unzip();
        metrics::histogram!("atropos_commit_group").record(erasures.len() as f64);
        let erased = contain_async("a commit", self.rows.erase(&erasures)).await;
        let outcomes = match erased {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a group did not commit"
                );
                for answer in answers {
                    let _ = answer.send(Err((&error).into()));
                }
                return;
            }
        };
        let mut committed = Vec::with_capacity(answers.len());
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            match outcome {
                Ok(doomed) => committed.push((Owed(Some(answer)), doomed)),
                Err(EraseError::Conflict(conflict)) => {
                    let _ = answer.send(Err(CommitError::Conflict(conflict)));
                }
                Err(EraseError::Store(error)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "an erasure of a group did not commit"
                    );
                    let _ = answer.send(Err((&error).into()));
                }
            }
        }
        if !committed.is_empty() {
            // Without a receiver the shred records remain, and whoever waits is told so.
            let _ = self.committed.send(Committed::Group(committed)).await;
        }
    }
}

/// The second half: bytes.
struct Remove {
    part: Arc<Watched>,
    owner: Owner,
    rows: Arc<dyn Rows>,
    blobs: Arc<dyn Blobs>,
    groups: mpsc::Receiver<Committed>,
    backoff: Backoff,
    settled: mpsc::UnboundedSender<Settled>,
}

impl Work for Remove {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        while let Some(committed) = self.groups.recv().await {
            self.part.enter();
            match committed {
                Committed::Group(group) => self.remove(group).await,
                Committed::Probe(probe) => probe.came_through(Part::Remove),
            }
            self.part.completed();
        }
    }
}

impl Remove {
    async fn remove(&self, group: Vec<(Owed, Doomed)>) {
        let keys: Vec<BlobKey> = group
            .iter()
            .flat_map(|(_, doomed)| doomed.blobs.iter().copied())
            .collect();
        let removal = async { Ok(self.blobs.remove_all(&keys).await) };
        let outcomes = contain_async("removing bytes", removal).await;
        // After a panic there are none, and every key counts as failed.
        let mut outcomes = outcomes.unwrap_or_default().into_iter();
        let mut removed: Vec<(BlobKey, Removal)> = Vec::with_capacity(keys.len());
        let mut failed = Vec::new();
        for (answer, doomed) in group {
            let before = failed.len();
            for key in doomed.blobs {
                match outcomes.next() {
                    Some(Ok(removal)) => removed.push((key, removal)),
                    Some(Err(error)) => failed.push((key, error)),
                    None => failed.push((key, StoreError::Missing { what: "outcome" })),
                }
            }
            answer.give(told(failed.get(before..).unwrap_or_default()));
        }
        let _ = self.settled.send(removed);
        for (key, error) in failed {
            let later = self.backoff.after(0);
            shred::put_off(&*self.rows, self.owner, (key, later), &error, UNREMOVED).await;
        }
    }
}

/// The answer to an erasure whose row is gone, given the bytes that could not be removed.
fn told(failed: &[(BlobKey, StoreError)]) -> Result<(), CommitError> {
    let astray = |(_, error): &(BlobKey, StoreError)| matches!(error, StoreError::WrongVolume(_));
    match failed {
        [] => Ok(()),
        failed if failed.iter().any(astray) => Err(CommitError::WrongVolume),
        _ => Err(CommitError::Pending),
    }
}
