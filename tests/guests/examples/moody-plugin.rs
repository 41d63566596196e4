//! Authenticates, then panics at photos whose id begins with `bad`, and deletes the rest.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{PhotoRequest, Refusal, auth, erasure};
use atropos_test_guests::{permitted, refusal};

fn delete(request: PhotoRequest) -> Result<(), Refusal> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let website_id = text(&request.website_id).parse().unwrap_or_default();
    // The test watches how many calls of the host are under way.
    let caller = auth::authenticate_site(website_id, &text(&request.site_key));
    let id = text(&request.photo_id);
    assert!(!id.starts_with("bad"), "as it was told to");
    drop(caller);
    let (photo, permit) = permitted(&request)?;
    erasure::stage(photo, permit).map_err(|_| refusal("not-staged"))
}

atropos_test_guests::plugin!(delete);
