//! Obtains photo and permit twice, stages both and answers with success.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal, erasure};
use atropos_test_guests::permitted;

fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    for (photo, permit) in [permitted(&request)?, permitted(&request)?] {
        drop(erasure::stage(photo, permit));
    }
    Ok(())
}

atropos_test_guests::plugin!(delete);
