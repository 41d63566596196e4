//! Policy `allow-all`: anything its owner asks for may go. It stands in the chain of a new tenant, so
//! that even this is somebody's explicit choice.

use atropos_sdk::{Findings, Policy, Request};

/// It has nothing to set.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {}

/// The policy.
#[derive(Debug)]
pub struct AllowAll;

impl Policy for AllowAll {
    const NAME: &'static str = "allow-all";
    const SUMMARY: &'static str = "Forbids nothing.";
    const SCHEMA: &'static str = include_str!("settings.schema.json");
    type Settings = Settings;

    fn review(_: &Request, _: &Settings, findings: &mut Findings) {
        findings.passed("allow-all", "nothing is forbidden");
    }
}

atropos_sdk::policy!(AllowAll);

#[cfg(test)]
mod tests {
    use atropos_sdk::{Verdict, check, judge, sample};

    use super::*;

    #[test]
    fn everything_may_go() {
        for request in [sample::photo(), sample::document()] {
            let judgement = judge::<AllowAll>(&request, "{}");
            assert_eq!(judgement.verdict, Verdict::Allow);
            assert_eq!(judgement.findings[0].rule, "allow-all");
        }
    }

    #[test]
    fn it_takes_no_settings() {
        assert!(check::<AllowAll>("{}").is_ok());
        for settings in ["", "null", "[]", r#"{"deny":true}"#] {
            assert!(check::<AllowAll>(settings).is_err(), "{settings}");
        }
    }
}
