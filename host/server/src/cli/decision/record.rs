//! A decision as every surface shows it.
//!
//! **Invariant:** the names of the fields are stable; a later version may add some, and takes none
//! away. Held by `tests/decisions.rs`.

use atropos::domain::decision::{Decision, DecisionCaller, Finding, FindingOutcome, PolicyReview};
use atropos::target::{Kind, Subdomain};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// All that is on record, with the why drawn out of the reviews.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    id: Uuid,
    at_ms: u64,
    tenant: Subdomain,
    caller: DecisionCaller,
    kind: Kind,
    user: String,
    object_id: String,
    object_version: u64,
    size_bytes: u64,
    media_type: String,
    created_at_ms: u64,
    labels: Vec<String>,
    retain_until_ms: Option<u64>,
    held: bool,
    chain_revision: u64,
    verdict: String,
    /// The one that did not allow.
    policy: Option<String>,
    /// Its failed findings.
    why: Vec<String>,
    reviews: Vec<PolicyReview>,
}

impl Record {
    pub(super) fn of(decision: Decision) -> Self {
        let (policy, why) = match refusing(&decision) {
            Some(review) => (Some(review.policy.clone()), review.why()),
            None => (None, Vec::new()),
        };
        let object = decision.object;
        Self {
            id: decision.id,
            at_ms: decision.at_ms,
            tenant: decision.tenant,
            caller: decision.caller,
            kind: object.target.kind,
            user: object.target.owner,
            object_id: object.target.id,
            object_version: object.version,
            size_bytes: object.size_bytes,
            media_type: object.media_type,
            created_at_ms: object.created_at_ms,
            labels: object.labels,
            retain_until_ms: object.retain_until_ms,
            held: object.held,
            chain_revision: decision.chain_revision,
            verdict: decision.verdict.as_str().to_owned(),
            policy,
            why,
            reviews: decision.reviews,
        }
    }

    /// The same with each finding as a sentence, for people.
    pub(super) fn seen(&self) -> Value {
        let mut seen = json!(self);
        for (review, shown) in self.reviews.iter().zip(reviews(&mut seen)) {
            let findings = review.findings.iter().map(sentence);
            shown["findings"] = json!(findings.collect::<Vec<_>>());
        }
        seen
    }
}

fn reviews(record: &mut Value) -> impl Iterator<Item = &mut Value> {
    let reviews = record.get_mut("reviews").and_then(Value::as_array_mut);
    reviews.into_iter().flatten()
}

/// The part of the policy that did not allow.
pub(super) fn refusing(decision: &Decision) -> Option<&PolicyReview> {
    let mut reviews = decision.reviews.iter();
    reviews.find(|review| review.outcome != "allow")
}

/// The findings that stand against the delete.
pub(super) fn failed(review: &PolicyReview) -> impl Iterator<Item = &Finding> {
    let findings = review.findings.iter();
    findings.filter(|finding| finding.outcome == FindingOutcome::Failed)
}

/// `failed minimum-age: the photo is 3 days old and must be 30`.
pub(super) fn sentence(finding: &Finding) -> String {
    let outcome = match finding.outcome {
        FindingOutcome::Passed => "passed",
        FindingOutcome::Failed => "failed",
        FindingOutcome::NotApplicable => "not applicable",
    };
    format!("{outcome} {}: {}", finding.rule, finding.detail)
}
