//! Allows, with one finding more than a decision holds.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Finding, Judgement, Outcome, Request};
use atropos_test_guests::allowed;

fn review(_: Request) -> Judgement {
    let finding = Finding {
        rule: "many".to_owned(),
        outcome: Outcome::Passed,
        detail: String::new(),
    };
    Judgement {
        findings: vec![finding; 65],
        ..allowed()
    }
}

atropos_test_guests::policy!("many-findings", review);
