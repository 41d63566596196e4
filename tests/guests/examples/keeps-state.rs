//! Denies the first time and allows ever after, as far as it can remember.
#![cfg(target_family = "wasm")]

use std::sync::atomic::{AtomicU32, Ordering};

use atropos_sdk::{Judgement, Request, Verdict};
use atropos_test_guests::{allowed, failed};

static CALLS: AtomicU32 = AtomicU32::new(0);

fn review(_: Request) -> Judgement {
    if CALLS.fetch_add(1, Ordering::Relaxed) > 0 {
        return allowed();
    }
    Judgement {
        verdict: Verdict::Deny,
        findings: vec![failed("first-call")],
    }
}

atropos_test_guests::policy!("keeps-state", review);
