//! Describes itself with a settings schema that is not JSON.
#![cfg(target_family = "wasm")]

use atropos_sdk::{Judgement, Request};
use atropos_test_guests::allowed;

fn review(_: Request) -> Judgement {
    allowed()
}

atropos_test_guests::policy!("wrong-schema", review, "{\"type\":".to_owned());
