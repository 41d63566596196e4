//! Allocates without end.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::Refusal;

fn eat() -> Result<(), Refusal> {
    let mut blocks = Vec::new();
    loop {
        blocks.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

atropos_test_guests::plugin!(|_| eat(), |_| eat());
