//! The gate: has every policy of a tenant's chain judge an object, and writes down what they said.
//!
//! A chain that is tried beside the one in force is shown what was decided, and has no say.
//!
//! **Invariant:** a policy that is held off is not asked, and the decision says so.
//! **Invariant:** a decision is `Allowed` only if the chain has a policy and every one allowed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::breakers::{Breakers, Subject};
use super::component::{Components, Patience};
use super::facts::Facts;
use super::failure::LoadError;
use super::limits::PolicyTime;
use super::policy::{Answer, Policy};
use super::review::{Judged, Review, StoreUnavailable, Undecided};
use super::slow_policies::SlowPolicies;
use super::trial::Trial;
use super::verdict::verdict;
use super::{GuestError, fault};
use crate::config::{Allowance, Config, GuestLimits};
use crate::domain::decision::{Decision, DecisionCaller, PolicyReview, Verdict};
use crate::domain::{Chain, ChainEntry};
use crate::error::FaultKind;
use crate::parts::Parts;
use crate::platform::Platform;
use crate::ports::Chains;
use crate::step::{self, Step};
use crate::target::{Caller, Object, TenantId};

/// Asks policies.
pub(super) struct Gate {
    chains: Arc<dyn Chains>,
    components: Components,
    /// How long a request waits for a policy to be loaded.
    patience: Patience,
    allowance: Allowance,
    breakers: Breakers,
    slow: SlowPolicies,
    trial: Trial,
}

/// A policy at its place in a tenant's chain.
struct Link<'chain> {
    entry: &'chain ChainEntry,
    tenant: TenantId,
    subject: Subject,
    revision: u64,
    limits: GuestLimits,
}

/// The links of a chain, in the order in which they are asked.
fn links(chain: &Chain, tenant: TenantId, allowance: Allowance) -> impl Iterator<Item = Link<'_>> {
    let limits = chain.limits.within(allowance);
    let entries = chain.entries.iter().enumerate();
    entries.map(move |(place, entry)| Link {
        entry,
        tenant,
        subject: Subject::policy(tenant, entry.digest, place),
        revision: chain.revision,
        limits,
    })
}

impl Gate {
    pub(super) fn new(
        components: &Components,
        platform: &Platform,
        config: &Config,
        breakers: Breakers,
        parts: &Parts,
    ) -> Result<Self, GuestError> {
        let allowance = config.allowance();
        let deadline = Duration::from_millis(config.plugin.deadline_ms);
        let patience = Patience::Within(deadline * 3 / 4);
        Ok(Self {
            chains: Arc::clone(&platform.chains),
            trial: Trial::new(
                platform.shadows.clone(),
                components.clone(),
                allowance,
                parts,
            ),
            components: components.clone(),
            patience,
            allowance,
            breakers,
            slow: SlowPolicies::new(config)?,
        })
    }
}

#[async_trait]
impl Review for Gate {
    async fn review(
        &self,
        caller: &Caller,
        object: &Object,
        at_ms: u64,
        policy_time: &PolicyTime,
    ) -> Result<Judged, Undecided> {
        let mut decision = Decision {
            // Of one time they are neighbours, so that those of one group change one page of the index.
            id: uuid::Uuid::now_v7(),
            at_ms,
            tenant: caller.tenant.subdomain.clone(),
            caller: DecisionCaller {
                kind: caller.kind,
                id: caller.id.clone(),
                permissions: caller.permissions.clone(),
            },
            object: object.clone(),
            chain_revision: 0,
            reviews: Vec::new(),
            verdict: Verdict::Allowed,
        };
        let chain = self.chains.chain(caller.tenant.id).await;
        let chain = chain.map_err(StoreUnavailable::log)?;
        decision.chain_revision = chain.as_ref().map_or(0, |chain| chain.revision);
        let chain = chain.filter(|chain| !chain.entries.is_empty());

        let mut wait = None;
        decision.verdict = if let Some(verdict) = Verdict::before_asking(object, at_ms) {
            verdict
        } else if let Some(chain) = &chain {
            let asked = self.ask(chain, &mut decision, caller, &mut wait);
            policy_time.spend(asked).await?
        } else {
            fault::count(&fault::of_policy(FaultKind::Missing, None));
            Verdict::nobody_asked()
        };
        let asked = !decision.reviews.is_empty();
        if let Some(shadow) = chain
            .as_ref()
            .and_then(|chain| chain.shadow.as_ref())
            .filter(|_| asked)
        {
            self.trial.show(shadow, &decision);
        }
        Ok(Judged { decision, wait })
    }
}

impl Gate {
    /// Asks each policy in turn, up to the first that does not allow.
    async fn ask(
        &self,
        chain: &Chain,
        decision: &mut Decision,
        caller: &Caller,
        wait: &mut Option<Duration>,
    ) -> Result<Verdict, Undecided> {
        for link in links(chain, caller.tenant.id, self.allowance) {
            let mut review = PolicyReview::unasked(link.entry, link.limits);
            let answer = self.ask_one(&link, decision, &mut review).await?;
            if let Err(kind) = answer {
                fault::count(&fault::of_policy(kind, Some(link.entry.digest)));
                *wait = kind.retry_after();
            }
            let verdict = verdict(answer, &mut review);
            decision.reviews.push(review);
            if verdict != Verdict::Allowed {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Allowed)
    }

    /// The component of a link. Those who wait for it have a place among those who wait for policies.
    async fn policy(&self, link: &Link<'_>) -> Result<Arc<Policy>, LoadError> {
        let digest = link.entry.digest;
        if let Some(policy) = self.components.loaded_policy(digest) {
            return Ok(policy);
        }
        let place = self.slow.place(link.tenant);
        let _place = place.map_err(|_| LoadError::Compiling)?;
        self.components.policy(digest, self.patience).await
    }

    async fn ask_one(
        &self,
        link: &Link<'_>,
        decision: &Decision,
        review: &mut PolicyReview,
    ) -> Result<Result<Answer, FaultKind>, Undecided> {
        let passed = step::pass(Step::GateAsk).await;
        passed.map_err(|failed| StoreUnavailable::log(failed.into()))?;
        let mut pass = match self.breakers.admit(link.subject, link.revision) {
            Ok(pass) => pass,
            Err(left) => return Ok(Err(FaultKind::HeldOff(left))),
        };
        let mut slot = None;
        let answer = match self.policy(link).await {
            Ok(policy) => {
                // Many may have waited for one compilation, and would all be asked before any failed.
                pass = match pass.again() {
                    Ok(pass) => pass,
                    Err(left) => return Ok(Err(FaultKind::HeldOff(left))),
                };
                let settings = &link.entry.settings;
                let facts = Facts::from(decision);
                let ask = |limits| policy.review(&facts, settings, limits);
                let run = match self.slow.quickly(link.subject, link.limits, ask) {
                    Some(run) => run,
                    None => {
                        let granted = self.slow.slot(link.tenant).await;
                        let granted = granted.ok_or(Undecided::Crowded)?;
                        // As above: many may have waited for a slot.
                        pass = match pass.again() {
                            Ok(pass) => pass,
                            Err(left) => return Ok(Err(FaultKind::HeldOff(left))),
                        };
                        let asked = (decision.question(), settings.clone());
                        let slowly =
                            self.slow
                                .slowly(granted, link.subject, policy, asked, link.limits);
                        let run;
                        (run, slot) = slowly.await;
                        run
                    }
                };
                (review.fuel, review.duration_us) = (run.fuel, run.duration_us);
                run.answer
            }
            Err(error) => {
                let kind = error.fault().ok_or(Undecided::Storage)?;
                tracing::warn!(digest = %link.entry.digest, error = %GuestError::one_line(&error), "a policy cannot be loaded");
                Err(kind)
            }
        };
        pass.settle(answer.as_ref().err().copied());
        // The next one that has the slot sees whether it was one fault too many.
        drop(slot);
        Ok(answer)
    }
}
