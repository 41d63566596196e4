//! The flow of a delete, on one screen.
//!
//! ```text
//! request ─► plugin (Wasm) ─► auth ─► storage.find ─► gate.review ─► erasure.stage ─► commit ─► answer
//! ```
//!
//! **Invariant:** nothing is erased without a decision that allowed it, and only the commit erases.
//! **Invariant:** a request that was admitted runs to its end, whether or not its client waits.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::error::Refused;
use crate::guest::{GuestError, Sandbox};
use crate::step::{self, Step};
use crate::store::Conflict;
use crate::store::commit::{CommitError, Committer};
use crate::target::Kind;

pub use crate::platform::Platform;
pub use crate::request::{DocumentRequest, PhotoRequest, Request};

/// How often a request is decided again because its object changed meanwhile.
const DECISIONS: usize = 3;

/// The service itself: give it requests, it erases what may be erased. Cheap to clone.
#[derive(Clone)]
pub struct Atropos {
    flow: Arc<Flow>,
    under_way: TaskTracker,
}

impl Atropos {
    /// Starts the sandbox, the committer and recovery. Needs a tokio runtime.
    ///
    /// # Errors
    /// The engine cannot be set up on this machine, or the built-in plugin does not load.
    pub fn start(platform: Platform, config: &Config) -> Result<Self, GuestError> {
        let committer = Committer::start(
            Arc::clone(&platform.objects),
            Arc::clone(&platform.blobs),
            &config.erase,
        );
        let flow = Flow {
            sandbox: Sandbox::start(&platform, config)?,
            committer,
            admission: Semaphore::new(config.erase.max_in_flight as usize),
        };
        Ok(Self {
            flow: Arc::new(flow),
            under_way: TaskTracker::new(),
        })
    }

    /// Erases what the request names, or says why not. Success means that the row is gone and its
    /// bytes are unreadable, through any crash.
    ///
    /// # Errors
    /// [`Refused`]: nothing was erased, except for [`Refused::Pending`].
    pub async fn delete(&self, request: Request) -> Result<(), Refused> {
        if self.under_way.is_closed() {
            return Err(Refused::Stopping);
        }
        let flow = Arc::clone(&self.flow);
        // A task of its own, so that a client that hangs up does not cancel a delete half-way.
        let run = self.under_way.spawn(async move {
            let (kind, started) = (request.kind(), Instant::now());
            let outcome = flow.run(request).await;
            count(kind, &outcome, started);
            outcome
        });
        run.await.unwrap_or(Err(Refused::Unavailable))
    }

    /// The sandbox, for loading and checking components.
    pub fn sandbox(&self) -> &Sandbox {
        &self.flow.sandbox
    }

    /// Takes on nothing new, and returns when what is under way has been committed.
    pub async fn stop(&self) {
        self.under_way.close();
        self.under_way.wait().await;
        self.flow.committer.stop().await;
    }
}

struct Flow {
    sandbox: Sandbox,
    committer: Committer,
    admission: Semaphore,
}

impl Flow {
    async fn run(&self, request: Request) -> Result<(), Refused> {
        step::pass(Step::RequestAdmit).await?;
        for _ in 0..DECISIONS {
            let turn = self.admission.try_acquire();
            let turn = turn.map_err(|_| Refused::Overloaded)?;
            let served = self.sandbox.serve(&request).await;
            // The instances are gone: waiting for the disk takes no place in the sandbox.
            drop(turn);
            for decision in served.unused {
                self.committer.record(decision);
            }
            let staged = served.staged?;
            step::pass(Step::ErasureStaged).await?;
            match self.committer.erase(staged).await {
                Err(CommitError::Conflict(Conflict::Changed)) => {}
                other => return other.map_err(refused),
            }
        }
        Err(Refused::Changed)
    }
}

fn refused(error: CommitError) -> Refused {
    match error {
        CommitError::Conflict(Conflict::Gone) => Refused::Gone,
        CommitError::Conflict(Conflict::Changed) => Refused::Changed,
        CommitError::Conflict(Conflict::Held) => Refused::Held,
        CommitError::Conflict(Conflict::RetainedUntil(at_ms)) => Refused::RetainedUntil(at_ms),
        CommitError::Pending => Refused::Pending,
        CommitError::Overloaded => Refused::Overloaded,
        CommitError::Stopping => Refused::Stopping,
        CommitError::Unavailable => Refused::Unavailable,
    }
}

fn count(kind: Kind, outcome: &Result<(), Refused>, started: Instant) {
    // A plugin's own codes are not labels: a guest must not choose how many series there are.
    let outcome = match outcome {
        Ok(()) => "erased".to_owned(),
        Err(Refused::Plugin { .. }) => "refused".to_owned(),
        Err(refused) => refused.code().to_owned(),
    };
    metrics::counter!("atropos_deletes_total", "kind" => kind.as_str(), "outcome" => outcome)
        .increment(1);
    metrics::histogram!("atropos_delete_seconds", "kind" => kind.as_str())
        .record(started.elapsed().as_secs_f64());
}
