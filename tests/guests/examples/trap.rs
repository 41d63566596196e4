//! Panics.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};

#[expect(clippy::panic, reason = "this is what it is for")]
fn review(_: Request) -> Judgement {
    panic!("as it was told to");
}

atropos_test_guests::policy!("trap", review);
