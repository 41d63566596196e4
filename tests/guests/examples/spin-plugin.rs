//! Computes without end.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::Refusal;

fn spin() -> Result<(), Refusal> {
    loop {
        std::hint::spin_loop();
    }
}

atropos_test_guests::plugin!(|_| spin(), |_| spin());
