//! The flow of a delete, on one screen.
//!
//! ```text
//! request ─► plugin (Wasm) ─► auth ─► storage.find ─► gate.review ─► erasure.stage ─► commit ─► answer
//! ```
//!
//! **Invariant:** nothing is erased without a decision that allowed it, and only the commit erases.
//! **Invariant:** nobody is refused by a decision before it is durable.
//! **Invariant:** a request that was admitted runs to its end, whether or not its client waits.
//! **Invariant:** of the requests of one caller that have the same key, one at most has an effect, and
//! only who is authenticated, and let through by the plugin, learns what became of it.

mod answer;
mod crowds;
mod repeats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

pub use self::answer::Answer;
use self::crowds::Crowds;
use self::repeats::Repeats;
use crate::commit::{CommitError, Committer};
use crate::config::Config;
use crate::domain::Conflict;
use crate::domain::decision::Decision;
use crate::error::Refused;
use crate::guest::{GuestError, Sandbox};
use crate::parts::{Part, Parts};
pub use crate::platform::Platform;
pub use crate::request::{DocumentRequest, IdempotencyKey, PhotoRequest, Request};
use crate::step::{self, Step};
use crate::target::Kind;

/// How often a request is decided again because its object changed meanwhile, or a repeat of it was
/// quicker.
const DECISIONS: usize = 3;

/// How long the answer to a request is held back on average for which there was no room. A client that
/// asks again at once would take the time of others by being refused; by then its own earlier requests
/// are served.
const CROWDED_PAUSE: Duration = Duration::from_secs(1);

/// The service itself: give it requests, it erases what may be erased. Cheap to clone.
#[derive(Clone)]
pub struct Atropos {
    flow: Arc<Flow>,
    under_way: TaskTracker,
}

impl Atropos {
    /// Starts the sandbox, the committer and recovery. Needs a tokio runtime that has timers.
    ///
    /// # Errors
    /// The engine cannot be set up on this machine, or the built-in plugin does not load.
    pub fn start(platform: Platform, config: &Config) -> Result<Self, GuestError> {
        let sandbox = Sandbox::start(&platform, config)?;
        let (rows, blobs) = (platform.rows.clone(), platform.blobs.clone());
        let (parts, budget) = (sandbox.parts(), config.budget);
        let committer = Committer::start(parts, rows, blobs, &config.erase, budget);
        Ok(Self::over(committer, sandbox, platform, config))
    }

    /// The same beside another one over the same platform, whose erasures under way are left to it:
    /// no recovery. For a few deletes, for which less address space is enough.
    ///
    /// # Errors
    /// As of [`Atropos::start`].
    pub fn start_beside(platform: Platform, config: &Config) -> Result<Self, GuestError> {
        let sandbox = Sandbox::start_for_few(&platform, config)?;
        let (rows, blobs) = (platform.rows.clone(), platform.blobs.clone());
        let (parts, budget) = (sandbox.parts(), config.budget);
        let committer = Committer::start_beside(parts, rows, blobs, &config.erase, budget);
        Ok(Self::over(committer, sandbox, platform, config))
    }

    fn over(committer: Committer, sandbox: Sandbox, platform: Platform, config: &Config) -> Self {
        let flow = Flow {
            sandbox,
            repeats: Repeats::new(platform, &config.erase),
            committer,
            crowds: Crowds::new(),
            crowded: AtomicU32::new(0),
        };
        Self {
            flow: Arc::new(flow),
            under_way: TaskTracker::new(),
        }
    }

    /// Erases what the request names, or says why not. Success means that the row is gone and its
    /// bytes are unreadable, through any crash.
    ///
    /// # Errors
    /// [`Refused`] says of each what was erased.
    pub async fn delete(&self, request: Request) -> Result<(), Refused> {
        self.delete_once(request, None).await.outcome
    }

    /// The same, but if this caller has made the request before under the same key, it is answered as
    /// it was then and has no effect. An answer is kept if the object was erased, or the refusal
    /// [is final](Refused::is_final). Needs a platform that keeps outcomes.
    pub async fn delete_once(&self, request: Request, key: Option<IdempotencyKey>) -> Answer {
        if self.under_way.is_closed() {
            return Answer::new(Err(Refused::Stopping));
        }
        let flow = Arc::clone(&self.flow);
        // A task of its own, so that a client that hangs up does not cancel a delete half-way.
        let run = self.under_way.spawn(async move {
            let (kind, started) = (request.kind(), Instant::now());
            let answer = flow.run(&request, key.as_ref()).await;
            let answer = answer.unwrap_or_else(|refused| Answer::new(Err(refused)));
            count(kind, &answer, started);
            answer
        });
        let answer = run.await;
        answer.unwrap_or(Answer::new(Err(Refused::Unavailable)))
    }

    /// The sandbox, for loading and checking components.
    pub fn sandbox(&self) -> &Sandbox {
        &self.flow.sandbox
    }

    /// What lives as long as this does, and how each part fares.
    pub fn parts(&self) -> &Parts {
        self.flow.sandbox.parts()
    }

    /// Sends a probe the way that a delete goes, and returns the parts that it did not come through within
    /// `patience`.
    pub async fn probe(&self, patience: Duration) -> Vec<Part> {
        let ticked = tokio::time::timeout(patience, self.sandbox().ticked());
        let (mut missing, ticked) = tokio::join!(self.flow.committer.probe(patience), ticked);
        if ticked.is_err() {
            missing.push(Part::Ticker);
        }
        missing
    }

    /// How many deletes are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
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
    repeats: Repeats,
    crowds: Crowds,
    /// For how many requests there was no room.
    crowded: AtomicU32,
}

impl Flow {
    async fn run(
        &self,
        request: &Request,
        key: Option<&IdempotencyKey>,
    ) -> Result<Answer, Refused> {
        step::pass(Step::RequestAdmit).await?;
        for _ in 0..DECISIONS {
            // The instances are gone when this is done: waiting for the disk takes no place in the
            // sandbox.
            let turn = self.crowds.give_way(|| request.credential()).await;
            let served = self.sandbox.serve(request).await;
            drop(turn);
            if served.crowded {
                tokio::time::sleep(self.crowded_pause()).await;
            }
            let _refusal = match &served.staged {
                Ok(_) => None,
                Err(_) => Some(self.crowds.refused(request.credential())),
            };
            let once = self.repeats.once(request, key, &served);
            let unused = served.unused.last().map(|decision| decision.id);
            self.record(served.unused).await?;
            if let Some(answer) = self.repeats.first(once.as_ref()).await {
                self.record(served.staged).await?;
                return Ok(answer);
            }
            let staged = match served.staged {
                Ok(staged) => staged,
                Err(refused) => {
                    return Ok(self.repeats.refuse(once.as_ref(), refused, unused).await);
                }
            };
            step::pass(Step::ErasureStaged).await?;
            let decision = staged.id;
            match self.committer.erase(staged, once).await {
                Err(CommitError::Conflict(Conflict::Changed | Conflict::Repeated)) => {}
                done => {
                    let recorded = done
                        .as_ref()
                        .map_or_else(CommitError::is_committed, |()| true);
                    let answer = Answer::new(done.map_err(refused));
                    return Ok(answer.by(recorded.then_some(decision)));
                }
            }
        }
        Err(Refused::Changed)
    }

    /// Between half and one and a half of [`CROWDED_PAUSE`]. Those that were refused together do not
    /// come back together: steps of the golden ratio spread evenly, however many they are.
    fn crowded_pause(&self) -> Duration {
        let nth = self.crowded.fetch_add(1, Ordering::Relaxed);
        let part = f64::from(nth.wrapping_mul(0x9E37_79B9)) / f64::from(u32::MAX);
        CROWDED_PAUSE.mul_f64(0.5 + part)
    }

    /// Puts decisions on record that erase nothing.
    async fn record(&self, unused: impl IntoIterator<Item = Decision>) -> Result<(), Refused> {
        let recorded = self.committer.record(unused.into_iter().collect());
        recorded.await.map_err(refused)
    }
}

fn refused(error: CommitError) -> Refused {
    match error {
        CommitError::Conflict(conflict) => conflict.into(),
        CommitError::Pending => Refused::Pending,
        CommitError::WrongVolume => Refused::WrongVolume,
        CommitError::WrongDatabase => Refused::WrongDatabase,
        CommitError::Overloaded => Refused::Overloaded,
        CommitError::Stopping => Refused::Stopping,
        CommitError::Unavailable => Refused::Unavailable,
    }
}

fn count(kind: Kind, answer: &Answer, started: Instant) {
    // A plugin's own codes are not labels: a guest must not choose how many series there are.
    let outcome = match &answer.outcome {
        // What became of the first is counted already.
        _ if answer.repeated => "repeated".to_owned(),
        Ok(()) => "erased".to_owned(),
        Err(Refused::Plugin { .. }) => "refused".to_owned(),
        Err(refused) => refused.code().to_owned(),
    };
    metrics::counter!("atropos_deletes_total", "kind" => kind.as_str(), "outcome" => outcome)
        .increment(1);
    metrics::histogram!("atropos_delete_seconds", "kind" => kind.as_str())
        .record(started.elapsed().as_secs_f64());
}
