//! Computes for some milliseconds, within the default limits, and allows.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

/// Each takes a few units of fuel.
const ROUNDS: u32 = 1_000_000;

fn review(_: Request) -> Judgement {
    for round in 0..ROUNDS {
        black_box(round);
    }
    allowed()
}

atropos_test_guests::policy!("busy", review);
