//! Panics before it can be asked anything.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

/// Run when the component is instantiated.
#[unsafe(no_mangle)]
#[expect(clippy::panic, reason = "this is what it is for")]
extern "C" fn _initialize() {
    panic!("as it was told to");
}

fn review(_: Request) -> Judgement {
    allowed()
}

atropos_test_guests::policy!("traps-at-start", review);
