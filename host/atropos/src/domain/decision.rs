//! The recorded outcome of a chain on one request: enough to explain it and to replay it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entry::ChainEntry;
use super::limits::PolicyLimits;
use crate::config::GuestLimits;
use crate::error::{Fault, FaultKind, Guest};
use crate::target::{CallerKind, Digest, Object, Permission, Subdomain, Target};
use crate::text;

/// What the chain of a tenant said on one request, and what led to it.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its public id.
    pub id: Uuid,
    /// When the host asked, as given to every policy.
    pub at_ms: u64,
    /// Subdomain of the tenant.
    pub tenant: Subdomain,
    /// Who asked.
    pub caller: DecisionCaller,
    /// The facts as every policy saw them.
    pub object: Object,
    /// The revision of the chain.
    pub chain_revision: u64,
    /// What each policy said, in the order of the chain, up to the first that did not allow.
    pub reviews: Vec<PolicyReview>,
    /// What it came to.
    pub verdict: Verdict,
}

/// What every policy of a chain is asked: nothing else reaches one but its settings.
#[derive(Clone, Debug)]
pub struct Question {
    /// Subdomain of the tenant whose object it is.
    pub tenant: Subdomain,
    /// Who asks.
    pub caller: DecisionCaller,
    /// What is to be erased.
    pub object: Object,
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
}

impl Decision {
    /// What its policies were asked.
    pub fn question(&self) -> Question {
        Question {
            tenant: self.tenant.clone(),
            caller: self.caller.clone(),
            object: self.object.clone(),
            at_ms: self.at_ms,
        }
    }

    /// The object that was judged.
    pub fn target(&self) -> &Target {
        &self.object.target
    }

    /// How many bytes its policies said, which differ most between decisions. Settings are shared with
    /// the chain and not counted.
    pub fn findings_bytes(&self) -> usize {
        let findings = self.reviews.iter().flat_map(|review| &review.findings);
        findings
            .map(|finding| size_of_val(finding) + finding.rule.len() + finding.detail.len())
            .sum()
    }
}

/// Who asked, as every policy saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionCaller {
    /// How it proved who it is.
    pub kind: CallerKind,
    /// Public id of the key or client.
    pub id: String,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// What a chain can come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every policy allowed.
    Allowed,
    /// A policy denied.
    Denied,
    /// A legal hold is on the object; no policy was asked.
    Held,
    /// A retention date lies ahead; no policy was asked.
    Retained,
    /// A policy failed; the stable code of its fault.
    Fault(String),
}

impl Verdict {
    /// What the host says of an object itself; `None` if it is for policies to say.
    pub fn before_asking(object: &Object, at_ms: u64) -> Option<Self> {
        let retained = object.retain_until_ms.is_some_and(|until| until > at_ms);
        match object.held {
            true => Some(Self::Held),
            false => retained.then_some(Self::Retained),
        }
    }

    /// Where it is for policies to say and there is none.
    pub fn nobody_asked() -> Self {
        let missing = Fault {
            guest: Guest::Policy,
            kind: FaultKind::Missing,
            digest: None,
        };
        Self::Fault(missing.code().to_owned())
    }

    /// `allowed`, `denied`, `held`, `retained`, or the code of the fault.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Retained => "retained",
            Self::Fault(code) => code,
        }
    }

    /// The reverse of [`Verdict::as_str`]; any other word is the code of a fault.
    pub fn from_word(word: &str) -> Self {
        match word {
            "allowed" => Self::Allowed,
            "denied" => Self::Denied,
            "held" => Self::Held,
            "retained" => Self::Retained,
            code => Self::Fault(code.to_owned()),
        }
    }
}

/// One policy's part in a decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReview {
    /// The component's name.
    pub policy: String,
    /// The component that judged.
    pub digest: Digest,
    /// The settings it judged by: the JSON text as the tenant gave it. Shared with the chain, so that
    /// decisions which wait to be recorded hold no copies of it.
    #[serde(with = "super::shared_text")]
    pub settings: Arc<str>,
    /// `allow`, `deny`, or the code of its fault.
    pub outcome: String,
    /// Why.
    pub findings: Vec<Finding>,
    /// What it consumed, in wasmtime's units. The same on every replay.
    pub fuel: u64,
    /// What it might have consumed, by which a replay goes. Nothing in records of earlier versions.
    #[serde(default)]
    pub limits: PolicyLimits,
    /// How long it took, in microseconds. Differs from run to run.
    pub duration_us: u64,
}

impl PolicyReview {
    /// The part of a policy before it says anything.
    pub fn unasked(entry: &ChainEntry, limits: GuestLimits) -> Self {
        Self {
            policy: entry.policy.clone(),
            digest: entry.digest,
            settings: entry.settings.clone(),
            outcome: String::new(),
            findings: Vec::new(),
            fuel: 0,
            limits: PolicyLimits::of(limits),
            duration_us: 0,
        }
    }

    /// The findings that failed, a sentence each.
    pub fn why(&self) -> Vec<String> {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.outcome == FindingOutcome::Failed)
            .map(|finding| format!("{}: {}", finding.rule, finding.detail))
            .collect()
    }
}

/// One rule, its outcome and the figures that led there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name of the rule.
    pub rule: String,
    /// What became of it.
    pub outcome: FindingOutcome,
    /// One sentence with the figures.
    pub detail: String,
}

impl Finding {
    /// Longest name of a rule, in bytes.
    pub const MAX_RULE_BYTES: usize = 64;
    /// Longest detail, in bytes.
    pub const MAX_DETAIL_BYTES: usize = 512;

    /// Puts harmful characters into their escape form, within the limits. Findings enter the host so; in
    /// records of earlier versions they stand as the policy said them.
    pub fn escape(&mut self) {
        text::escape_within(&mut self.rule, Self::MAX_RULE_BYTES);
        text::escape_within(&mut self.detail, Self::MAX_DETAIL_BYTES);
    }
}

/// What became of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingOutcome {
    /// Nothing against it.
    Passed,
    /// The rule forbids it.
    Failed,
    /// The rule does not speak of such an object.
    NotApplicable,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Digest;

    #[test]
    fn the_why_is_what_failed() {
        let finding = |rule: &str, outcome| Finding {
            rule: rule.to_owned(),
            outcome,
            detail: "is 3 days old, must be 30".to_owned(),
        };
        let review = PolicyReview {
            policy: "retention".to_owned(),
            digest: Digest::of(b""),
            settings: "{}".into(),
            outcome: "deny".to_owned(),
            findings: vec![
                finding("label", FindingOutcome::Passed),
                finding("minimum-age", FindingOutcome::Failed),
            ],
            fuel: 1,
            limits: PolicyLimits::default(),
            duration_us: 1,
        };
        assert_eq!(review.why(), ["minimum-age: is 3 days old, must be 30"]);
    }
}
