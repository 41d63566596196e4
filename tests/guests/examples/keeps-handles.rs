//! Obtains photo and permit, keeps both and answers with success.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal};
use atropos_test_guests::permitted;

fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    std::mem::forget(permitted(&request)?);
    Ok(())
}

atropos_test_guests::plugin!(delete);
