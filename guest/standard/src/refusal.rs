//! From what the host answers to the refusal that an API has for it.

use atropos_sdk::plugin::auth::AuthError;
use atropos_sdk::plugin::erasure::StageError;
use atropos_sdk::plugin::gate::{Denial, PolicyDenial};
use atropos_sdk::plugin::storage::StorageError;
use atropos_sdk::plugin::{Reason, Refusal};
use atropos_sdk::{Outcome, text};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::codes::{Code, Codes};

/// What the contract allows a message to hold, in bytes.
const LONGEST_MESSAGE: usize = 512;

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self {
            reason: code.reason,
            code: code.code.to_owned(),
            message: code.message.to_owned(),
        }
    }
}

impl Code {
    /// The refusal with more to its message, cut at 512 bytes.
    pub(crate) fn with(self, more: &str) -> Refusal {
        let mut refusal = Refusal::from(self);
        refusal.message += more;
        text::cut(&mut refusal.message, LONGEST_MESSAGE);
        refusal
    }
}

impl Codes {
    pub(crate) fn auth(&self, error: AuthError) -> Refusal {
        match error {
            AuthError::Rejected => self.rejected.clone().into(),
            AuthError::NoAccess => self.no_access.clone().into(),
            AuthError::Throttled(ms) => Code {
                reason: Reason::Throttled(ms),
                ..self.throttled.clone()
            }
            .into(),
            AuthError::Unavailable => self.unavailable.clone().into(),
        }
    }

    pub(crate) fn storage(&self, error: StorageError) -> Refusal {
        let code = match error {
            StorageError::NotFound => &self.not_found,
            StorageError::Forbidden => &self.forbidden,
            StorageError::Unavailable => &self.unavailable,
        };
        code.clone().into()
    }

    pub(crate) fn denial(&self, denial: Denial) -> Refusal {
        match denial {
            Denial::Policy(denial) => self.denied.clone().with(&explain(&denial)),
            Denial::Held => self.held.clone().into(),
            Denial::RetainedUntil(ms) => self.retained.clone().with(&until(ms)),
            Denial::Fault(code) => self.undecided.clone().with(&format!(": {code}.")),
            Denial::Unavailable => self.unavailable.clone().into(),
        }
    }

    /// Neither can come of the steps taken here; if one does, this plugin is wrong.
    pub(crate) fn stage(&self, error: StageError) -> Refusal {
        let reason = match error {
            StageError::Mismatch => "stage-mismatch",
            StageError::AlreadyStaged => "already-staged",
        };
        Code {
            reason: Reason::Other(reason.to_owned()),
            ..self.internal.clone()
        }
        .into()
    }
}

/// The policy and its failed findings, which is what the caller can do something about.
fn explain(denial: &PolicyDenial) -> String {
    let mut explanation = format!(" {}", denial.policy);
    let failed = denial
        .findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Failed);
    for (index, finding) in failed.enumerate() {
        explanation += if index == 0 { ": " } else { "; " };
        explanation += &finding.rule;
        explanation += ": ";
        explanation += &finding.detail;
    }
    explanation += ".";
    explanation
}

/// Without the time, should its year have more than four digits.
fn until(ms: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.map_or_else(|| ".".to_owned(), |text| format!(" until {text}."))
}

#[cfg(test)]
mod tests {
    use atropos_sdk::Finding;

    use super::*;
    use crate::codes::{document, photo};

    fn shown(refusal: Refusal) -> (Reason, String, String) {
        (refusal.reason, refusal.code, refusal.message)
    }

    fn denied(findings: &[(&str, Outcome, &str)]) -> Denial {
        let finding = |&(rule, outcome, detail): &(&str, Outcome, &str)| Finding {
            rule: rule.to_owned(),
            outcome,
            detail: detail.to_owned(),
        };
        let findings = findings.iter().map(finding).collect();
        Denial::Policy(PolicyDenial {
            policy: "retention".to_owned(),
            findings,
        })
    }

    #[test]
    fn a_denial_names_the_policy_and_each_failed_finding() {
        let denial = denied(&[
            ("a", Outcome::Failed, "is new"),
            ("b", Outcome::Passed, "is small"),
            ("c", Outcome::Failed, "is red"),
        ]);
        let refusal = photo::CODES.denial(denial);
        assert_eq!(
            refusal.message,
            "Denied by policy retention: a: is new; c: is red."
        );
        assert_eq!(
            (refusal.reason, refusal.code.as_str()),
            (Reason::Denied, "403")
        );
    }

    #[test]
    fn a_long_denial_is_cut_between_characters() {
        let detail = "é".repeat(400);
        let refusal = document::CODES.denial(denied(&[("a", Outcome::Failed, &detail)]));
        assert_eq!(refusal.message.len(), 511);
        assert_eq!(refusal.code, "denied-by-policy");
    }

    #[test]
    fn a_denial_without_findings_still_names_the_policy() {
        assert_eq!(
            document::CODES.denial(denied(&[])).message,
            "Denied by policy retention."
        );
    }

    #[test]
    fn a_retention_date_is_told() {
        for (ms, message) in [
            (
                1_798_848_000_000,
                "The document must be kept until 2027-01-02T00:00:00Z.",
            ),
            (u64::MAX, "The document must be kept."),
        ] {
            let refusal = document::CODES.denial(Denial::RetainedUntil(ms));
            assert_eq!(
                shown(refusal),
                (Reason::Held, "retained".into(), message.into())
            );
        }
    }

    #[test]
    fn a_fault_tells_the_host_s_code() {
        let refusal = photo::CODES.denial(Denial::Fault("policy-fuel".to_owned()));
        let message = "The policies could not decide: policy-fuel.";
        assert_eq!(
            shown(refusal),
            (Reason::Unavailable, "503".into(), message.into())
        );
    }

    #[test]
    fn how_long_to_wait_is_passed_on() {
        let refusal = photo::CODES.auth(AuthError::Throttled(1500));
        assert_eq!(
            (refusal.reason, refusal.code.as_str()),
            (Reason::Throttled(1500), "429")
        );
    }

    #[test]
    fn what_cannot_happen_is_a_server_error() {
        let refusal = photo::CODES.stage(StageError::Mismatch);
        assert_eq!(refusal.reason, Reason::Other("stage-mismatch".to_owned()));
        assert_eq!(refusal.code, "500");
    }
}
