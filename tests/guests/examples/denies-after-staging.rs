//! Stages the photo, then refuses.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal, erasure};
use atropos_test_guests::{permitted, refusal};

fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    let (photo, permit) = permitted(&request)?;
    drop(erasure::stage(photo, permit));
    Err(refusal("403"))
}

atropos_test_guests::plugin!(delete);
