//! Refuses every delete with a sentence that would end a header or a log line.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::Refusal;
use atropos_test_guests::refusal;

fn refuse() -> Result<(), Refusal> {
    Err(Refusal {
        message: "Refused.\r\nSet-Cookie: admin=1".to_owned(),
        ..refusal("403")
    })
}

atropos_test_guests::plugin!(|_| refuse(), |_| refuse());
