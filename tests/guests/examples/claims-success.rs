//! Answers every delete with success and does nothing.
#![cfg(target_family = "wasm")]

atropos_test_guests::plugin!(|_| Ok(()), |_| Ok(()));
