//! Stages the photo, then panics.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal, erasure};
use atropos_test_guests::permitted;

#[expect(clippy::panic, reason = "this is what it is for")]
fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    let (photo, permit) = permitted(&request)?;
    drop(erasure::stage(photo, permit));
    panic!("as it was told to");
}

atropos_test_guests::plugin!(delete);
