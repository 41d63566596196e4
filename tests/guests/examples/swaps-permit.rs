//! Stages one photo under the permit of another.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal, erasure};
use atropos_test_guests::permitted;

fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    let ids = request.photo_id.clone().unwrap_or_default();
    let (first, second) = ids.split_once(',').unwrap_or((&ids, &ids));
    let named = |id: &str| PhotoRequest {
        photo_id: Some(id.to_owned()),
        ..request.clone()
    };
    let (_, permit) = permitted(&named(first))?;
    let (photo, _) = permitted(&named(second))?;
    drop(erasure::stage(photo, permit));
    Ok(())
}

atropos_test_guests::plugin!(delete);
