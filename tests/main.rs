//! The tests of the whole: one binary, a file a theme.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::type_complexity,
    reason = "a table says the type of its cases once"
)]

// How many deletes tenants and callers may have.
mod budgets;
// The command line: exit codes, JSON, secrets, and the server beside it.
mod commands;
// The power goes in the middle.
mod crashes;
// The two documented calls, as documented.
mod deletes;
// Components that keep failing, held off for a while.
mod holding_off;
// The house: directions, sizes, and words that must agree.
mod house;
// How much memory large files take.
mod memory;
// Guests that misbehave, and what becomes of them.
mod misbehaving;
// An in-memory platform that embeds the crate.
#[path = "../host/examples/embed/platform.rs"]
mod platform;
// Plugins and policies from files: chosen, checked, refused, and failing for one tenant alone.
mod plugins;
// Chains that allow and refuse, swapped under a running server; holds and retention dates.
mod policies;
// What happens to an object between its decision and its end.
mod races;
// Requests that delete nothing, and the exact answers to them.
mod requests;
// Deletes that have a key, repeated.
mod retries;
// The server in operation: its end, its probes, clients that hang up.
mod serving;
// The real binary, and the words to speak with it.
mod support;
// What is left of a name in the files.
mod traces;
// Requests that are too large, and ids and links that lead elsewhere.
mod trespass;
