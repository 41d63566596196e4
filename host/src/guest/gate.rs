//! The gate: has every policy of a tenant's chain judge an object, and writes down what they said.
//!
//! **Invariant:** a decision is `Allowed` only if the chain has a policy and every one allowed.

use std::sync::Arc;

use super::GuestError;
use super::bindings::policy::exports::atropos::policy::policy::Request;
use super::component::Components;
use super::policy::{self, Policy};
use super::{convert, engine};
use crate::config::GuestLimits;
use crate::error::{Fault, FaultKind, Guest};
use crate::store::decision::{Decision, DecisionCaller, PolicyReview, Verdict};
use crate::store::{ChainEntry, Chains, StoreError};
use crate::target::{Caller, Digest, Object};

/// Asks policies.
pub(super) struct Gate {
    chains: Arc<dyn Chains>,
    policies: Components<Policy>,
    limits: GuestLimits,
}

impl Gate {
    pub(super) fn new(
        sandboxing: &engine::Sandboxing,
        chains: &Arc<dyn Chains>,
        limits: GuestLimits,
    ) -> Self {
        let engine = &sandboxing.engine;
        let prepare = policy::prepare(engine);
        Self {
            chains: Arc::clone(chains),
            policies: Components::new(engine.clone(), Arc::clone(chains), prepare),
            limits,
        }
    }

    /// Decides whether `caller` may have `object` erased.
    ///
    /// # Errors
    /// The storage cannot be asked for the chain or a component; nothing was decided.
    pub(super) async fn review(
        &self,
        caller: &Caller,
        object: &Object,
        at_ms: u64,
    ) -> Result<Decision, StoreUnavailable> {
        let mut decision = Decision {
            id: uuid::Uuid::new_v4(),
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
        let entries = chain.as_ref().map_or(&[][..], |chain| &chain.entries);

        decision.verdict = if object.held {
            Verdict::Held
        } else if object.retain_until_ms.is_some_and(|until| until > at_ms) {
            Verdict::Retained
        } else if entries.is_empty() {
            fault(FaultKind::Missing, None)
        } else {
            self.ask(entries, &mut decision, caller).await?
        };
        Ok(decision)
    }

    /// Asks each policy in turn, up to the first that does not allow.
    async fn ask(
        &self,
        entries: &[ChainEntry],
        decision: &mut Decision,
        caller: &Caller,
    ) -> Result<Verdict, StoreUnavailable> {
        let request = Request {
            tenant: caller.tenant.subdomain.to_string(),
            caller: convert::caller(caller),
            object: convert::object(&decision.object),
            at_ms: decision.at_ms,
        };
        for entry in entries {
            let (review, verdict) = self.ask_one(entry, &request).await?;
            decision.reviews.push(review);
            if verdict != Verdict::Allowed {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Allowed)
    }

    async fn ask_one(
        &self,
        entry: &ChainEntry,
        request: &Request,
    ) -> Result<(PolicyReview, Verdict), StoreUnavailable> {
        let mut review = PolicyReview {
            policy: entry.policy.clone(),
            digest: entry.digest,
            settings: entry.settings.clone(),
            outcome: String::new(),
            findings: Vec::new(),
            fuel: 0,
            duration_us: 0,
        };
        let answer = match self.policies.get(entry.digest).await {
            Ok(policy) => {
                let run = policy.review(request, &entry.settings, self.limits);
                (review.fuel, review.duration_us) = (run.fuel, run.duration_us);
                run.answer
            }
            Err(error) => {
                let kind = error.fault().ok_or(StoreUnavailable)?;
                tracing::warn!(digest = %entry.digest, error = %GuestError::one_line(&*error), "a policy cannot be loaded");
                Err(kind)
            }
        };
        let verdict = match answer {
            Ok(answer) => {
                review.findings = answer.findings;
                review.outcome = if answer.allows { "allow" } else { "deny" }.to_owned();
                if answer.allows {
                    Verdict::Allowed
                } else {
                    Verdict::Denied
                }
            }
            Err(kind) => {
                let verdict = fault(kind, Some(entry.digest));
                review.outcome = verdict.as_str().to_owned();
                verdict
            }
        };
        Ok((review, verdict))
    }
}

/// The verdict when nobody could judge: counted, and never an allowance.
fn fault(kind: FaultKind, digest: Option<Digest>) -> Verdict {
    let fault = Fault {
        guest: Guest::Policy,
        kind,
        digest,
    };
    super::count_fault(&fault);
    Verdict::Fault(fault.code().to_owned())
}

/// The storage could not be asked; what it said is in the log.
#[derive(Debug)]
pub(super) struct StoreUnavailable;

impl StoreUnavailable {
    pub(super) fn log(error: StoreError) -> Self {
        tracing::error!(error = %GuestError::one_line(&error), "the storage cannot be asked");
        Self
    }
}
