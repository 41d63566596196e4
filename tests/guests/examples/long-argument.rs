//! Passes the host a credential that is far too long.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{Refusal, auth};

fn pass() -> Result<(), Refusal> {
    drop(auth::authenticate_site(7, &"k".repeat(100_000)));
    Ok(())
}

atropos_test_guests::plugin!(|_| pass(), |_| pass());
