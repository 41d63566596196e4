//! Obtains photo and permit again and again, and gives no handle back.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal};
use atropos_test_guests::permitted;

fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    loop {
        std::mem::forget(permitted(&request)?);
    }
}

atropos_test_guests::plugin!(delete);
