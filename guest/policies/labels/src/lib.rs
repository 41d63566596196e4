//! Policy `labels`: an object that bears a forbidding label stays.
//!
//! `{"forbidden": ["in-order", "evidence"]}`

use atropos_sdk::{Findings, Policy, Problems, Request, sentence};

/// What the contract allows a label to hold, in bytes.
const LONGEST_LABEL: usize = 64;

/// What a tenant sets.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Compared byte by byte.
    forbidden: Vec<String>,
}

/// The policy.
#[derive(Debug)]
pub struct Labels;

impl Policy for Labels {
    const NAME: &'static str = "labels";
    const SUMMARY: &'static str = "Forbids the erasure of objects that bear certain labels.";
    const SCHEMA: &'static str = include_str!("settings.schema.json");
    type Settings = Settings;

    fn validate(Settings { forbidden }: &Settings, problems: &mut Problems) {
        if forbidden.is_empty() {
            problems.add("forbidden", "must name at least one label");
        }
        for (index, label) in forbidden.iter().enumerate() {
            if label.is_empty() || label.len() > LONGEST_LABEL {
                let message = format!("must be a label of 1 to {LONGEST_LABEL} bytes");
                problems.add(format!("forbidden[{index}]"), message);
            }
            problems.plain(label, || format!("forbidden[{index}]"));
        }
    }

    fn review(request: &Request, Settings { forbidden }: &Settings, findings: &mut Findings) {
        // Sorted, so that the fuel does not grow with the product of both lists.
        let mut forbidden: Vec<&String> = forbidden.iter().collect();
        forbidden.sort_unstable();
        let is_forbidden = |label: &&String| forbidden.binary_search(label).is_ok();
        let mut free = true;
        for label in request.object.labels.iter().filter(is_forbidden) {
            findings.failed(
                "forbidden-label",
                sentence!["bears the label `", label, "`"],
            );
            free = false;
        }
        if free {
            findings.passed("forbidden-label", "bears no forbidden label");
        }
    }
}

atropos_sdk::policy!(Labels);

#[cfg(test)]
mod tests {
    use atropos_sdk::{Judgement, Outcome, Verdict, check, judge, sample};

    use super::*;

    fn judgement(labels: &[&str]) -> Judgement {
        let mut photo = sample::photo();
        photo.object.labels = labels.iter().map(|&label| label.to_owned()).collect();
        judge::<Labels>(&photo, r#"{"forbidden":["in-order","evidence"]}"#)
    }

    #[test]
    fn an_object_without_a_forbidding_label_may_go() {
        for labels in [
            &[][..],
            &["holiday"],
            &["In-Order"],
            &["in-order "],
            &["evidence2"],
        ] {
            let judgement = judgement(labels);
            assert_eq!(judgement.verdict, Verdict::Allow, "{labels:?}");
            assert_eq!(judgement.findings[0].outcome, Outcome::Passed);
        }
    }

    #[test]
    fn every_forbidding_label_is_named() {
        let judgement = judgement(&["evidence", "holiday", "in-order"]);
        assert_eq!(judgement.verdict, Verdict::Deny);
        let details: Vec<_> = judgement
            .findings
            .iter()
            .map(|it| it.detail.as_str())
            .collect();
        assert_eq!(
            details,
            ["bears the label `evidence`", "bears the label `in-order`"]
        );
    }

    #[test]
    fn settings_that_would_forbid_nothing_are_refused() {
        for (settings, path) in [
            ("{}".to_owned(), ""),
            (r#"{"forbidden":[]}"#.to_owned(), "forbidden"),
            (r#"{"forbidden":"evidence"}"#.to_owned(), "forbidden"),
            (
                r#"{"forbidden":["evidence",""]}"#.to_owned(),
                "forbidden[1]",
            ),
            (
                format!(r#"{{"forbidden":["{}"]}}"#, "x".repeat(65)),
                "forbidden[0]",
            ),
            (
                r#"{"forbidden":["evidence","in\norder"]}"#.to_owned(),
                "forbidden[1]",
            ),
            (
                "{\"forbidden\":[\"in\u{200f}order\"]}".to_owned(),
                "forbidden[0]",
            ),
        ] {
            assert_eq!(
                check::<Labels>(&settings).unwrap_err()[0].path,
                path,
                "{settings}"
            );
        }
    }
}
