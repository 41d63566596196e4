//! Computes without end before it can be asked anything.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

/// Run when the component is instantiated.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    loop {
        std::hint::spin_loop();
    }
}

fn review(_: Request) -> Judgement {
    allowed()
}

atropos_test_guests::policy!("slow-start", review);
