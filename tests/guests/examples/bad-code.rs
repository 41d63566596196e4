//! Refuses every delete with a code that is far too long and full of line breaks.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::Refusal;
use atropos_test_guests::refusal;

fn refuse() -> Result<(), Refusal> {
    Err(refusal(&"a\r\n b".repeat(2_000_000)))
}

atropos_test_guests::plugin!(|_| refuse(), |_| refuse());
