//! Refuses every delete.
#![cfg(target_family = "wasm")]

use atropos_test_guests::refusal;

atropos_test_guests::plugin!(|_| Err(refusal("403")), |_| Err(refusal("403")));
