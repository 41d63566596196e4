//! Panics at photos whose id begins with `bad`, and allows the rest.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

fn review(request: Request) -> Judgement {
    assert!(!request.object.id.starts_with("bad"), "as it was told to");
    allowed()
}

atropos_test_guests::policy!("moody", review);
