//! Asks chains that are tried beside the ones in force: after the decision, out of everyone's way.
//!
//! **Invariant:** what a shadow says has no effect on any request, nor does how long it takes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::component::{Components, Patience};
use super::facts::Facts;
use super::failure::LoadError;
use super::{GuestError, gate};
use crate::config::Allowance;
use crate::error::FaultKind;
use crate::store::decision::{Decision, PolicyReview, Question, Verdict};
use crate::store::shadow::{Flip, Observed, Shadow, Shadows};
use crate::target::TenantId;

/// How many decisions wait at most to be looked at; further ones are passed over, which is counted.
const QUEUED: usize = 4096;

/// How many are kept in one transaction.
const AT_ONCE: usize = 256;

/// How long one policy is waited for, while the others of all tenants wait behind it.
const PATIENCE: Patience = Patience::Within(Duration::from_secs(1));

/// Shows decisions to the shadows of their tenants' chains.
pub(super) struct Trial {
    shadows: Option<Arc<dyn Shadows>>,
    components: Components,
    allowance: Allowance,
    queue: OnceLock<mpsc::Sender<Seen>>,
}

/// A decision, and the chain that is to be asked about it too.
struct Seen {
    tenant: TenantId,
    shadow: Shadow,
    question: Question,
    decision: Uuid,
    was: Verdict,
    /// What settled it.
    last: Option<PolicyReview>,
}

impl Trial {
    pub(super) fn new(
        shadows: Option<Arc<dyn Shadows>>,
        components: Components,
        allowance: Allowance,
    ) -> Self {
        Self {
            shadows,
            components,
            allowance,
            queue: OnceLock::new(),
        }
    }

    /// Has `shadow` asked about what was decided. Waits for nothing.
    pub(super) fn show(&self, shadow: &Shadow, decision: &Decision) {
        let Some(shadows) = &self.shadows else {
            return;
        };
        // Most instances never try a chain: the task starts with the first.
        let queue = self.queue.get_or_init(|| {
            let (queue, seen) = mpsc::channel(QUEUED);
            let asking = Asking {
                shadows: Arc::clone(shadows),
                components: self.components.clone(),
                allowance: self.allowance,
            };
            tokio::spawn(asking.run(seen));
            queue
        });
        let seen = Seen {
            tenant: decision.target().tenant,
            shadow: shadow.clone(),
            question: decision.question(),
            decision: decision.id,
            was: decision.verdict.clone(),
            last: decision.reviews.last().cloned(),
        };
        if queue.try_send(seen).is_err() {
            skipped();
        }
    }
}

fn skipped() {
    metrics::counter!("atropos_shadow_skipped_total").increment(1);
}

/// The task that asks, one decision at a time.
struct Asking {
    shadows: Arc<dyn Shadows>,
    components: Components,
    allowance: Allowance,
}

impl Asking {
    /// Asks until the sandbox is gone.
    async fn run(self, mut queue: mpsc::Receiver<Seen>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, AT_ONCE).await > 0 {
            let mut observed: HashMap<(TenantId, Uuid), Vec<Observed>> = HashMap::new();
            for seen in batch.drain(..) {
                let said_of = (seen.tenant, seen.shadow.id);
                match self.ask(seen).await {
                    Some(said) => observed.entry(said_of).or_default().push(said),
                    None => skipped(),
                }
            }
            for ((tenant, shadow), seen) in observed {
                if let Err(error) = self.shadows.observe(tenant, shadow, &seen).await {
                    let error = GuestError::one_line(&error);
                    tracing::warn!(error, "what a shadow said is not kept");
                }
            }
        }
    }

    /// What the shadow says; `None` while one of its policies is being compiled.
    async fn ask(&self, seen: Seen) -> Option<Observed> {
        let (would, last) = self.verdict(seen.shadow, seen.question.clone()).await?;
        let flip = Flip::between(&seen.was, &would);
        let label = flip.map_or("none", Flip::as_str);
        metrics::counter!("atropos_shadow_reviews_total", "flip" => label).increment(1);
        // Whoever refuses says why.
        let settled = match would {
            Verdict::Allowed => seen.last,
            _ => last,
        };
        Some(Observed {
            decision: seen.decision,
            at_ms: seen.question.at_ms,
            was: seen.was,
            would,
            why: settled.as_ref().map(PolicyReview::why).unwrap_or_default(),
            policy: settled.map(|review| review.policy),
        })
    }

    /// What the chain comes to, and the review that settled it.
    async fn verdict(
        &self,
        shadow: Shadow,
        question: Question,
    ) -> Option<(Verdict, Option<PolicyReview>)> {
        let limits = shadow.limits.within(self.allowance);
        let question = Arc::new(question);
        let mut last = None;
        for entry in shadow.entries {
            let mut review = PolicyReview::unasked(&entry, limits);
            let answer = match self.components.policy(entry.digest, PATIENCE).await {
                Ok(policy) => {
                    let question = Arc::clone(&question);
                    let run = move || {
                        let facts = Facts::from(&*question);
                        policy.review(&facts, &entry.settings, limits)
                    };
                    let run = tokio::task::spawn_blocking(run).await;
                    run.map_or(Err(FaultKind::Trap), |run| run.answer)
                }
                // As soon as it is there it says more than that it is not.
                Err(LoadError::Compiling) => return None,
                Err(error) => Err(error.fault().unwrap_or(FaultKind::Missing)),
            };
            let verdict = gate::verdict(answer, &mut review);
            last = Some(review);
            if verdict != Verdict::Allowed {
                return Some((verdict, last));
            }
        }
        Some(match last {
            Some(_) => (Verdict::Allowed, last),
            None => (Verdict::nobody_asked(), None),
        })
    }
}
