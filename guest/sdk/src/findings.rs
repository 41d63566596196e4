//! The "why" of a judgement.

use crate::sentence::Detail;
use crate::text;
use crate::{Finding, Judgement, Outcome, Verdict};

/// What the contract allows one judgement to hold.
const MOST: usize = 64;
const LONGEST_RULE: usize = 64;
const LONGEST_DETAIL: usize = 512;

/// Collects what each rule found. The verdict follows from it: `deny` when a rule failed or none was
/// looked at, else `allow`.
///
/// Details are cut at 512 bytes. Of more than 64 findings the first 64 are kept, and the last of
/// these gives way to the first failed one that would be lost.
///
/// Text that is not [plain](crate::text::is_plain) is kept escaped, and followed by a failed finding
/// `text` that names the rule, the character and its position: the object stays, and the author learns
/// which text to change.
#[derive(Debug)]
pub struct Findings {
    findings: Vec<Finding>,
    failed: bool,
}

impl Default for Findings {
    /// None yet, with room for a few: to make room later costs more fuel.
    fn default() -> Self {
        Self {
            findings: Vec::with_capacity(4),
            failed: false,
        }
    }
}

impl Findings {
    /// The rule looked and found nothing against the erasure.
    pub fn passed(&mut self, rule: &str, detail: impl Detail) {
        self.push(rule, Outcome::Passed, detail);
    }

    /// The rule forbids the erasure.
    pub fn failed(&mut self, rule: &str, detail: impl Detail) {
        self.push(rule, Outcome::Failed, detail);
    }

    /// The rule does not speak of such an object.
    pub fn not_applicable(&mut self, rule: &str, detail: impl Detail) {
        self.push(rule, Outcome::NotApplicable, detail);
    }

    /// [`passed`](Self::passed) or [`failed`](Self::failed), as the rule holds or not.
    pub fn check(&mut self, rule: &str, holds: bool, detail: impl Detail) {
        let outcome = if holds {
            Outcome::Passed
        } else {
            Outcome::Failed
        };
        self.push(rule, outcome, detail);
    }

    /// Inlined, so that what an author wrote as a literal is found plain when it is compiled.
    #[inline(always)]
    fn push(&mut self, rule: &str, outcome: Outcome, detail: impl Detail) {
        let plain = text::is_plain(rule) && detail.is_plain();
        let detail = detail.into_text();
        if plain {
            self.keep(rule, outcome, detail);
        } else {
            self.push_escaped(rule, outcome, &detail);
        }
    }

    #[cold]
    fn push_escaped(&mut self, rule: &str, outcome: Outcome, detail: &str) {
        let escaped = text::escape(rule, LONGEST_RULE);
        let not_plain = [("rule", rule), ("detail of the rule", detail)]
            .into_iter()
            .find_map(|(what, text)| text::position(text).map(|at| (what, at)));
        self.keep(&escaped, outcome, text::escape(detail, LONGEST_DETAIL));
        if let Some((what, (position, character))) = not_plain {
            let why = format!(
                "the {what} `{escaped}` has U+{:04X} as its character {position}; a finding is one line \
                 without control or bidirectional characters",
                u32::from(character)
            );
            self.keep("text", Outcome::Failed, why);
        }
    }

    fn keep(&mut self, rule: &str, outcome: Outcome, mut detail: String) {
        let fails = outcome == Outcome::Failed;
        if self.findings.len() == MOST {
            if self.failed || !fails {
                return;
            }
            self.findings.pop();
        }
        self.failed |= fails;
        text::cut(&mut detail, LONGEST_DETAIL);
        self.findings.push(Finding {
            rule: rule.to_owned(),
            outcome,
            detail,
        });
    }
}

impl From<Findings> for Judgement {
    fn from(mut findings: Findings) -> Self {
        if findings.findings.is_empty() {
            findings.failed("no-finding", "the policy looked at nothing");
        }
        let verdict = if findings.failed {
            Verdict::Deny
        } else {
            Verdict::Allow
        };
        Self {
            verdict,
            findings: findings.findings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(record: impl FnOnce(&mut Findings)) -> Judgement {
        let mut findings = Findings::default();
        record(&mut findings);
        findings.into()
    }

    #[test]
    fn one_failed_finding_among_others_denies() {
        let judgement = judgement(|findings| {
            findings.passed("a", "");
            findings.failed("b", "");
            findings.not_applicable("c", "");
        });
        assert_eq!(judgement.verdict, Verdict::Deny);
        assert_eq!(judgement.findings.len(), 3);
    }

    #[test]
    fn rules_that_passed_or_do_not_apply_allow() {
        let both = judgement(|findings| {
            findings.passed("a", "");
            findings.not_applicable("b", "");
        });
        let other = judgement(|findings| findings.not_applicable("b", ""));
        assert_eq!(
            (both.verdict, other.verdict),
            (Verdict::Allow, Verdict::Allow)
        );
    }

    #[test]
    fn a_policy_that_looked_at_nothing_has_not_allowed() {
        let judgement = judgement(|_| ());
        assert_eq!(judgement.verdict, Verdict::Deny);
        assert_eq!(judgement.findings[0].rule, "no-finding");
    }

    #[test]
    fn a_late_failure_is_not_lost_among_too_many_findings() {
        let judgement = judgement(|findings| {
            (0..100).for_each(|_| findings.passed("a", ""));
            (0..100).for_each(|_| findings.failed("b", ""));
        });
        assert_eq!(judgement.verdict, Verdict::Deny);
        assert_eq!(judgement.findings.len(), MOST);
        assert_eq!(judgement.findings[63].outcome, Outcome::Failed);
    }

    #[test]
    fn text_that_is_not_plain_is_escaped_and_keeps_the_object() {
        for (rule, detail, kept, why) in [
            (
                "freeze",
                "year\nend",
                ("freeze", "year\\nend"),
                "the detail of the rule `freeze` has U+000A as its character 5; ",
            ),
            (
                "fre\u{202e}eze",
                "é\u{85}",
                ("fre\\u{202e}eze", "é\\u{85}"),
                "the rule `fre\\u{202e}eze` has U+202E as its character 4; ",
            ),
        ] {
            let judgement = judgement(|findings| findings.passed(rule, detail));
            let [finding, text] = &judgement.findings[..] else {
                panic!("other findings: {judgement:?}");
            };
            assert_eq!((finding.rule.as_str(), finding.detail.as_str()), kept);
            assert_eq!(finding.outcome, Outcome::Passed);
            assert_eq!(
                (text.rule.as_str(), text.outcome),
                ("text", Outcome::Failed)
            );
            assert!(text.detail.starts_with(why), "{}", text.detail);
            assert_eq!(judgement.verdict, Verdict::Deny);
        }
    }

    #[test]
    fn text_that_is_not_plain_keeps_to_the_limits() {
        let judgement = judgement(|findings| {
            (0..100).for_each(|_| findings.passed(&"\n".repeat(64), "\u{85}".repeat(512)));
        });
        assert_eq!(judgement.verdict, Verdict::Deny);
        assert_eq!(judgement.findings.len(), MOST);
        for finding in judgement.findings {
            assert!(finding.rule.len() <= LONGEST_RULE);
            assert!(finding.detail.len() <= LONGEST_DETAIL);
            assert!(text::is_plain(&finding.rule) && text::is_plain(&finding.detail));
        }
    }

    #[test]
    fn a_long_detail_is_cut() {
        let judgement = judgement(|findings| findings.passed("a", "é".repeat(1000)));
        assert_eq!(judgement.findings[0].detail.len(), LONGEST_DETAIL);
    }
}
