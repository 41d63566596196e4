//! By those who judged them: the same components, settings and limits must come to the same verdict,
//! outcomes, findings and fuel. Findings are compared as the host keeps them, which is escaped: records of
//! earlier versions have them as the policy said them.
//!
//! **Invariant:** what depends on the clock, or on what the storage has by now, is told apart and never
//! counts as the same.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use uuid::Uuid;

use super::{DEADLINE_MS, Replay, ReplayError};
use crate::config::GuestLimits;
use crate::domain::ChainEntry;
use crate::domain::decision::{Decision, Finding, PolicyReview, Verdict};
use crate::error::{Fault, Guest};
use crate::guest::Judge;
use crate::target::Digest;

/// Faults that say something about the moment, the machine, or what could be loaded: another run may
/// fare otherwise.
const OF_THE_MOMENT: [&str; 8] = [
    "policy-deadline",
    "policy-held-off",
    "policy-missing",
    "policy-unreadable",
    "policy-compiling",
    "policy-compile-deadline",
    "policy-compile-crash",
    "policy-too-large",
];

/// How many differences are told; further ones are counted.
const MOST_TOLD: usize = 10_000;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reproduced {
    /// How many decisions were judged again.
    pub decisions: u64,
    /// How many of them came out the same, bit for bit, findings after escaping.
    pub identical: u64,
    /// How many did not.
    pub differing: u64,
    /// How many depend on the clock, or on a component that cannot be had now.
    pub not_reproducible: u64,
    /// Where they differ, in the order of the record; the first ten thousand.
    pub differences: Vec<Difference>,
    /// The components that cannot be had now, and the code of what is wrong with each.
    pub components: BTreeMap<String, &'static str>,
}

/// One figure that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Of which decision.
    pub decision: Uuid,
    /// When that was made, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What which policy said; `None` of the verdict of the whole.
    pub policy: Option<String>,
    /// `verdict`, `outcome`, `findings` or `fuel`.
    pub what: &'static str,
    /// As recorded.
    pub recorded: String,
    /// As it is now.
    pub replayed: String,
}

/// What came of one decision.
enum Outcome {
    Identical,
    Differing(Vec<Difference>),
    NotReproducible,
}

/// Whoever judged, by digest; `None` if that cannot be had now.
type Judges = HashMap<Digest, Option<Judge>>;

impl Replay<'_> {
    /// Has the decisions judged by those who judged them. `tell` hears how many are done.
    ///
    /// # Errors
    /// The record or a component cannot be read.
    pub async fn reproduce(&self, tell: impl Fn(u64)) -> Result<Reproduced, ReplayError> {
        let mut judges = Judges::new();
        let mut components = BTreeMap::new();
        let mut all = Reproduced::default();
        let limits = self.limits;
        let prepare = async |part: &[Decision]| {
            for review in part.iter().flat_map(|decision| &decision.reviews) {
                if judges.contains_key(&review.digest) {
                    continue;
                }
                let judge = self.sandbox.recall(review.digest).await?;
                if let Err(kind) = judge {
                    let fault = Fault {
                        guest: Guest::Policy,
                        kind,
                        digest: Some(review.digest),
                    };
                    components.insert(review.digest.to_string(), fault.code());
                }
                judges.insert(review.digest, judge.ok());
            }
            let judges = judges.clone();
            Ok(move |part: Vec<Decision>| -> Vec<Outcome> {
                let part = part.iter();
                part.map(|decision| reproduce(decision, &judges, limits))
                    .collect()
            })
        };
        let take = |outcomes: Vec<Outcome>| {
            for outcome in outcomes {
                all.count(outcome);
            }
            tell(all.decisions);
        };
        self.each(prepare, take).await?;
        all.components = components;
        Ok(all)
    }
}

impl Reproduced {
    fn count(&mut self, outcome: Outcome) {
        self.decisions += 1;
        match outcome {
            Outcome::Identical => self.identical += 1,
            Outcome::NotReproducible => self.not_reproducible += 1,
            Outcome::Differing(differences) => {
                self.differing += 1;
                let room = MOST_TOLD.saturating_sub(self.differences.len());
                self.differences.extend(differences.into_iter().take(room));
            }
        }
    }
}

fn reproduce(decision: &Decision, judges: &Judges, limits: GuestLimits) -> Outcome {
    let mut differences = Vec::new();
    let mut differs = |policy: Option<&str>, what, recorded: String, replayed: String| {
        if recorded != replayed {
            differences.push(Difference {
                decision: decision.id,
                at_ms: decision.at_ms,
                policy: policy.map(str::to_owned),
                what,
                recorded,
                replayed,
            });
        }
    };
    let question = decision.question();
    let mut verdict = Verdict::before_asking(&decision.object, decision.at_ms);
    for review in &decision.reviews {
        if !matches!(verdict, None | Some(Verdict::Allowed)) {
            break;
        }
        let judge = judges.get(&review.digest).and_then(Option::as_ref);
        let Some(judge) = judge.filter(|_| !of_the_moment(review)) else {
            return settled(differences, Outcome::NotReproducible);
        };
        let entry = ChainEntry {
            policy: review.policy.clone(),
            digest: review.digest,
            settings: review.settings.clone(),
        };
        let limits = GuestLimits {
            deadline_ms: DEADLINE_MS,
            ..review.limits.over(limits)
        };
        let (came_to, again) = judge.review(&question, &entry, limits);
        if of_the_moment(&again) {
            return settled(differences, Outcome::NotReproducible);
        }
        let policy = Some(review.policy.as_str());
        let (was, is) = (review.outcome.clone(), again.outcome);
        differs(policy, "outcome", was, is);
        let (was, is) = (words(&review.findings), words(&again.findings));
        differs(policy, "findings", was, is);
        let (was, is) = (review.fuel.to_string(), again.fuel.to_string());
        differs(policy, "fuel", was, is);
        verdict = Some(came_to);
    }
    let verdict = verdict.unwrap_or_else(Verdict::nobody_asked);
    let (was, is) = (decision.verdict.as_str(), verdict.as_str());
    differs(None, "verdict", was.to_owned(), is.to_owned());
    settled(differences, Outcome::Identical)
}

fn settled(differences: Vec<Difference>, otherwise: Outcome) -> Outcome {
    match differences.is_empty() {
        true => otherwise,
        false => Outcome::Differing(differences),
    }
}

fn of_the_moment(review: &PolicyReview) -> bool {
    OF_THE_MOMENT.contains(&review.outcome.as_str())
}

/// Findings as they are recorded now, which is how they are compared.
fn words(findings: &[Finding]) -> String {
    let mut findings = findings.to_vec();
    findings.iter_mut().for_each(Finding::escape);
    serde_json::to_string(&findings).unwrap_or_default()
}
