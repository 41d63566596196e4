//! Recurses without end.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

use atropos_sdk::{Judgement, Request, Verdict};

#[expect(unconditional_recursion, reason = "this is what it is for")]
fn deeper(level: [u64; 16]) -> u64 {
    let mut next = black_box(level);
    next[0] += 1;
    deeper(next) + black_box(next)[1]
}

fn review(_: Request) -> Judgement {
    black_box(deeper([0; 16]));
    Judgement {
        verdict: Verdict::Allow,
        findings: Vec::new(),
    }
}

atropos_test_guests::policy!("overflow", review);
