//! The tests of the whole: one binary, a file a theme.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what a test does not expect ends it"
)]

// The two documented calls, as documented.
mod deletes;
// The house: directions, sizes, and words that must agree.
mod house;
// Guests that misbehave, and what becomes of them.
mod misbehaving;
// An in-memory platform that embeds the crate.
#[path = "../host/examples/embed/platform.rs"]
mod platform;
// Plugins and policies from files: chosen, checked, refused, and failing for one tenant alone.
mod plugins;
// Chains that allow and refuse, swapped under a running server; holds and retention dates.
mod policies;
// Requests that delete nothing, and the exact answers to them.
mod requests;
// The real binary, and the words to speak with it.
mod support;
