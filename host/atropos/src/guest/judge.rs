//! One policy outside any chain: for its author's tests and benchmarks, and to ask again what was
//! decided.

use std::sync::Arc;

use super::component::Patience;
use super::policy::{Policy, Run};
use super::verdict::verdict;
use super::{Description, GuestError, Sandbox, SettingsProblem};
use crate::config::GuestLimits;
use crate::domain::ChainEntry;
use crate::domain::decision::{PolicyReview, Question, Verdict};
use crate::error::FaultKind;
use crate::ports::StoreError;
use crate::target::Digest;

/// A policy that is compiled and can be asked. Cheap to clone; each call has a fresh instance.
#[derive(Clone)]
pub struct Judge {
    policy: Arc<Policy>,
    digest: Digest,
}

impl Sandbox {
    /// Compiles a policy to ask it directly.
    ///
    /// # Errors
    /// It is none; the error says exactly what is wrong.
    pub async fn judge(&self, bytes: &[u8]) -> Result<Judge, GuestError> {
        let loaded = self.components.of_bytes(bytes).await?;
        Ok(Judge {
            policy: self.components.policy_of(&loaded)?,
            digest: Digest::of(bytes),
        })
    }
}

impl Sandbox {
    /// The policy that chains and records name by this digest, compiled once for all who ask.
    ///
    /// # Errors
    /// The storage cannot be asked for it. Inside, why it cannot be loaded.
    pub async fn recall(&self, digest: Digest) -> Result<Result<Judge, FaultKind>, StoreError> {
        match self.components.policy(digest, Patience::Endless).await {
            Ok(policy) => Ok(Ok(Judge { policy, digest })),
            Err(error) => match error.fault() {
                Some(kind) => Ok(Err(kind)),
                None => Err(StoreError::Unavailable(error.into())),
            },
        }
    }
}

impl Judge {
    /// Which component it is.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the policy says of itself.
    ///
    /// # Errors
    /// It fails, or says what the contract does not allow.
    pub fn describe(&self, limits: GuestLimits) -> Result<Description, GuestError> {
        self.policy.describe(limits)
    }

    /// Has the policy check settings; no problem is good.
    ///
    /// # Errors
    /// It fails.
    pub fn validate(
        &self,
        settings: &str,
        limits: GuestLimits,
    ) -> Result<Vec<SettingsProblem>, GuestError> {
        self.policy.validate(settings, limits)
    }

    /// Has the policy judge as at its place in a chain, and writes down what it says.
    pub fn review(
        &self,
        question: &Question,
        entry: &ChainEntry,
        limits: GuestLimits,
    ) -> (Verdict, PolicyReview) {
        let mut review = PolicyReview::unasked(entry, limits);
        let run = self.ask(question, &entry.settings, limits);
        (review.fuel, review.duration_us) = (run.fuel, run.duration_us);
        (verdict(run.answer, &mut review), review)
    }

    /// Has the policy judge. It computes on the calling thread, within its limits.
    pub fn ask(&self, question: &Question, settings: &str, limits: GuestLimits) -> Run {
        self.policy.review(&question.into(), settings, limits)
    }
}
