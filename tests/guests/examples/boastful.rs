//! Describes itself with a schema of 100 KB.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

fn review(_: Request) -> Judgement {
    allowed()
}

atropos_test_guests::policy!("boastful", review, "x".repeat(100_000));
