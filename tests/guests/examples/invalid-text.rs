//! Allows, with a finding that is not UTF-8.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

use atropos_sdk::{Finding, Judgement, Outcome, Request};
use atropos_test_guests::allowed;

fn review(_: Request) -> Judgement {
    let bytes = black_box(vec![b'a', 0xff]);
    // SAFETY: there is none, which is what it is for; nothing here looks at the text.
    let detail = unsafe { String::from_utf8_unchecked(bytes) };
    let finding = Finding {
        rule: "text".to_owned(),
        outcome: Outcome::Passed,
        detail,
    };
    Judgement {
        findings: vec![finding],
        ..allowed()
    }
}

atropos_test_guests::policy!("invalid-text", review);
