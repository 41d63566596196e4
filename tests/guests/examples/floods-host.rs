//! Tries to authenticate without end.
#![cfg(target_family = "wasm")]

use atropos_sdk::plugin::{Refusal, auth};

fn flood() -> Result<(), Refusal> {
    loop {
        drop(auth::authenticate_site(1, "guess"));
    }
}

atropos_test_guests::plugin!(|_| flood(), |_| flood());
