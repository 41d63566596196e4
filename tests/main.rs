//! The tests of the whole: one binary, a file a theme.

// The two documented calls, as documented.
mod deletes;
// The house: directions, sizes, and words that must agree.
mod house;
// Guests that misbehave, and what becomes of them.
mod misbehaving;
// An in-memory platform that embeds the crate.
#[path = "../host/examples/embed/platform.rs"]
mod platform;
// Requests that delete nothing, and the exact answers to them.
mod requests;
// The real binary, and the words to speak with it.
mod support;
