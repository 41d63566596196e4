//! Computes without end.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};

fn review(_: Request) -> Judgement {
    loop {
        std::hint::spin_loop();
    }
}

atropos_test_guests::policy!("spin", review);
