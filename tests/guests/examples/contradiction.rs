//! Allows beside a failed finding.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request, Verdict};
use atropos_test_guests::failed;

fn review(_: Request) -> Judgement {
    Judgement {
        verdict: Verdict::Allow,
        findings: vec![failed("contradiction")],
    }
}

atropos_test_guests::policy!("contradiction", review);
