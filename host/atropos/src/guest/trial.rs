//! Asks chains that are tried beside the ones in force: after the decision, out of everyone's way.
//!
//! ```text
//! decision ─► queue, a part for each tenant ─► one thread, shared by time ─► what is kept, in batches
//! ```
//!
//! **Invariant:** what a shadow says has no effect on any request, nor does how long it takes.
//! **Invariant:** one policy of one shadow runs at a time, and tenants take turns by the time that their
//! shadows took: a slow shadow delays another tenant's by one run at most.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::GuestError;
use super::component::{Components, Patience};
use super::facts::Facts;
use super::failure::LoadError;
use super::policy::Answer;
use super::shadow_queue::{Seen, ShadowQueue};
use super::verdict::verdict;
use crate::config::{Allowance, GuestLimits};
use crate::domain::decision::{Decision, PolicyReview, Verdict};
use crate::domain::shadow::{Flip, Observed, Shadow};
use crate::error::FaultKind;
use crate::fair_queue::{FairQueue, Room};
use crate::parts::{Part, Parts, Watched, Work, keep};
use crate::ports::Shadows;
use crate::target::{Digest, TenantId};

/// How many policies of shadows run at once.
const THREADS: usize = 1;

/// How many tenants wait for their turn at most; the decisions of further ones are passed over.
const TENANTS: usize = 1 << 16;

/// How many decisions are kept in one transaction.
const AT_ONCE: usize = 256;

/// How long counts of what was passed over are collected before they are written.
const COLLECTED_FOR: Duration = Duration::from_millis(250);

/// How long one policy is waited for until it is compiled; only its own tenant's shadow waits.
const PATIENCE: Patience = Patience::Within(Duration::from_secs(1));

/// Shows decisions to the shadows of their tenants' chains.
pub(super) struct Trial {
    shadows: Option<Arc<dyn Shadows>>,
    components: Components,
    allowance: Allowance,
    parts: Parts,
    asking: OnceLock<Arc<Asking>>,
}

impl Trial {
    pub(super) fn new(
        shadows: Option<Arc<dyn Shadows>>,
        components: Components,
        allowance: Allowance,
        parts: &Parts,
    ) -> Self {
        Self {
            shadows,
            components,
            allowance,
            parts: parts.clone(),
            asking: OnceLock::new(),
        }
    }

    /// Has `shadow` asked about what was decided. Waits for nothing.
    pub(super) fn show(&self, shadow: &Shadow, decision: &Decision) {
        let Some(shadows) = &self.shadows else {
            return;
        };
        // Most instances never try a chain: the tasks start with the first.
        let asking = self.asking.get_or_init(|| {
            let queue = Arc::new(ShadowQueue::new());
            let (observed, seen) = mpsc::channel(AT_ONCE);
            let keeping = Keeping {
                part: self.parts.watch(Part::ShadowKeep),
                shadows: Arc::clone(shadows),
                queue: Arc::clone(&queue),
                observed: seen,
            };
            // They end with the sandbox, and nobody waits for that.
            tokio::spawn(keep(keeping, CancellationToken::new()));
            Arc::new(Asking {
                part: self.parts.watch(Part::ShadowAsk),
                queue,
                components: self.components.clone(),
                allowance: self.allowance,
                threads: FairQueue::new(THREADS, Room::new(TENANTS)),
                observed,
            })
        });
        if asking.queue.offer(shadow, decision) {
            let tenant = decision.target().tenant;
            let asking = OfTenant(Arc::clone(asking), tenant);
            tokio::spawn(keep(asking, CancellationToken::new()));
        }
    }
}

/// What a shadow said, and whose it is.
type Said = (TenantId, Uuid, Observed);

/// The tasks that ask: one for each tenant that has decisions waiting.
struct Asking {
    part: Arc<Watched>,
    queue: Arc<ShadowQueue>,
    components: Components,
    allowance: Allowance,
    threads: FairQueue<TenantId>,
    observed: mpsc::Sender<Said>,
}

/// The task of one tenant.
struct OfTenant(Arc<Asking>, TenantId);

impl Work for OfTenant {
    fn part(&self) -> &Arc<Watched> {
        &self.0.part
    }

    /// Asks until no decision of the tenant waits.
    async fn run(&mut self) {
        let Self(asking, tenant) = self;
        while let Some(seen) = asking.queue.take(*tenant) {
            let shadow = seen.shadow.shadow.id;
            let mut taken = Taken {
                queue: &asking.queue,
                unasked: Some((*tenant, shadow)),
            };
            asking.part.enter();
            if let Some(said) = asking.ask(*tenant, seen).await {
                taken.unasked = None;
                // It is taken as long as the sandbox is there.
                let _ = asking.observed.send((*tenant, shadow, said)).await;
            }
            asking.part.completed();
        }
    }
}

/// A decision that was taken from the queue. Dropped before anything came of it, it counts as passed over.
struct Taken<'a> {
    queue: &'a ShadowQueue,
    unasked: Option<(TenantId, Uuid)>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some((tenant, shadow)) = self.unasked {
            self.queue.pass_over(tenant, shadow);
        }
    }
}

impl Asking {
    /// What the shadow says; `None` if it cannot be asked now.
    async fn ask(&self, tenant: TenantId, seen: Seen) -> Option<Observed> {
        let (would, last) = self.verdict(tenant, &seen).await?;
        let flip = Flip::between(&seen.was, &would);
        let label = flip.map_or("none", Flip::as_str);
        metrics::counter!("atropos_shadow_reviews_total", "flip" => label).increment(1);
        // The chain that refuses says why.
        let settled = match would {
            Verdict::Allowed => seen.settled,
            _ => last.map(|review| (review.policy.clone(), review.why())),
        };
        let (policy, why) = settled.unzip();
        Some(Observed {
            decision: seen.decision,
            at_ms: seen.question.at_ms,
            was: seen.was,
            would,
            why: why.unwrap_or_default(),
            policy,
        })
    }

    /// What the chain comes to, and the review that settled it; `None` while one of its policies is
    /// being compiled, or too many tenants wait.
    async fn verdict(
        &self,
        tenant: TenantId,
        seen: &Seen,
    ) -> Option<(Verdict, Option<PolicyReview>)> {
        let shadow = &seen.shadow.shadow;
        let limits = shadow.limits.within(self.allowance);
        let mut last = None;
        for (place, entry) in shadow.entries.iter().enumerate() {
            let mut review = PolicyReview::unasked(entry, limits);
            let answer = self.ask_one(tenant, seen, place, entry.digest, limits);
            let verdict = verdict(answer.await?, &mut review);
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

    /// Asks the policy at one place of the shadow, in its tenant's turn.
    async fn ask_one(
        &self,
        tenant: TenantId,
        seen: &Seen,
        place: usize,
        digest: Digest,
        limits: GuestLimits,
    ) -> Option<Result<Answer, FaultKind>> {
        let policy = match self.components.policy(digest, PATIENCE).await {
            Ok(policy) => policy,
            // As soon as it is there it says more than that it is not.
            Err(LoadError::Compiling) => return None,
            Err(error) => return Some(Err(error.fault().unwrap_or(FaultKind::Missing))),
        };
        let slot = self.threads.slot(tenant).await.ok()?;
        let (held, question) = (Arc::clone(&seen.shadow), Arc::clone(&seen.question));
        let run = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let entry = held.shadow.entries.get(place)?;
            Some(policy.review(&Facts::from(&*question), &entry.settings, limits))
        });
        let answer = run.await.ok().flatten().map(|run| run.answer);
        Some(answer.unwrap_or(Err(FaultKind::Trap)))
    }
}

/// The task that writes down what shadows said, and how many decisions they were not asked about.
struct Keeping {
    part: Arc<Watched>,
    shadows: Arc<dyn Shadows>,
    queue: Arc<ShadowQueue>,
    observed: mpsc::Receiver<Said>,
}

impl Work for Keeping {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    /// Writes until the sandbox is gone.
    async fn run(&mut self) {
        let mut batch = Vec::new();
        loop {
            let passed = async {
                self.queue.passed().await;
                tokio::time::sleep(COLLECTED_FOR).await;
            };
            let closed = tokio::select! {
                count = self.observed.recv_many(&mut batch, AT_ONCE) => count == 0,
                () = passed => false,
            };
            self.part.enter();
            self.keep(batch.drain(..)).await;
            self.part.completed();
            if closed {
                return;
            }
        }
    }
}

impl Keeping {
    async fn keep(&self, batch: impl Iterator<Item = Said>) {
        let mut said_of: HashMap<(TenantId, Uuid), (Vec<Observed>, u64)> = HashMap::new();
        for (tenant, shadow, said) in batch {
            said_of.entry((tenant, shadow)).or_default().0.push(said);
        }
        for (of, passed_over) in self.queue.take_passed_over() {
            said_of.entry(of).or_default().1 = passed_over;
        }
        for ((tenant, shadow), (seen, passed_over)) in said_of {
            let kept = self.shadows.observe(tenant, shadow, &seen, passed_over);
            if let Err(error) = kept.await {
                let error = GuestError::one_line(&error);
                tracing::warn!(error, "what a shadow said is not kept");
            }
        }
    }
}
