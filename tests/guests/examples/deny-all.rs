//! Denies everything.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request, Verdict};
use atropos_test_guests::failed;

fn review(_: Request) -> Judgement {
    Judgement {
        verdict: Verdict::Deny,
        findings: vec![failed("deny-all")],
    }
}

atropos_test_guests::policy!("deny-all", review);
