//! Denies photos and allows documents, with a finding for each harmful character. Settings other than
//! `{}` have a hundred problems, and each of those and the summary hold such characters, too.
#![cfg(target_family = "wasm")]

use atropos_sdk::bindings::policy::exports::atropos::policy::policy::Guest as Policy;
use atropos_sdk::{
    Description, Finding, Judgement, ObjectKind, Outcome, Request, SettingsProblem, Verdict,
};
use atropos_test_guests::HARMFUL;

struct HostileText;

impl Policy for HostileText {
    fn describe() -> Description {
        Description {
            name: "hostile-text".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Forbids\u{2028}everything\u{202e}.".to_owned(),
            settings_schema: "{\"title\":\"a\u{202e}b\u{85}\"}".to_owned(),
        }
    }

    fn validate_settings(settings: String) -> Result<(), Vec<SettingsProblem>> {
        if settings == "{}" {
            return Ok(());
        }
        let all: String = HARMFUL.iter().map(|(harmful, _)| *harmful).collect();
        let problem = SettingsProblem {
            path: format!("path{all}"),
            message: all.repeat(10),
        };
        Err(vec![problem; 100])
    }

    fn review(request: Request, _: String) -> Judgement {
        let (verdict, outcome) = match request.object.kind {
            ObjectKind::Photo => (Verdict::Deny, Outcome::Failed),
            ObjectKind::Document => (Verdict::Allow, Outcome::Passed),
        };
        let finding = |(harmful, _): &(char, &str)| Finding {
            rule: format!("r{harmful}"),
            outcome,
            detail: format!("a{harmful}b"),
        };
        Judgement {
            verdict,
            findings: HARMFUL.iter().map(finding).collect(),
        }
    }
}

atropos_sdk::bindings::policy::export_policy!(HostileText);
atropos_sdk::allocator!();
