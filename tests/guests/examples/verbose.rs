//! Allows, with 100 MB to say about it.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Finding, Judgement, Outcome, Request, Verdict};

fn review(_: Request) -> Judgement {
    let finding = || Finding {
        rule: "verbose".to_owned(),
        outcome: Outcome::Passed,
        detail: "x".repeat(1_000_000),
    };
    Judgement {
        verdict: Verdict::Allow,
        findings: (0..100).map(|_| finding()).collect(),
    }
}

atropos_test_guests::policy!("verbose", review);
