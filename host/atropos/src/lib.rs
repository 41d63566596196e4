//! Irreversible deletes of user photos and user documents, decided by sandboxed components.
//!
//! What a platform embeds: it brings accounts, rows, policies and bytes, and its deletes go through
//! [`erase`]. Nothing here knows SQL, HTTP or a command line.
//!
//! # Features
//! - `guests`, a default one: the plugin and the policies that come with Atropos, built from `guest/` for
//!   the target `wasm32-unknown-unknown`. Without it, every delete is refused until the platform's
//!   [`Chains`](ports::Chains) names a plugin, and a policy for its tenants.
//! - `conformance`, for the tests of an embedder: the suite that tries an implementation of the [`ports`].
//! - `failpoints`, for tests alone: named steps of the flow fail, hang or end the process.
//! - `native-gate`, for `tests/bench` alone: native code stands in for the guests.
//!
//! # Code map
//! Each line imports only from lines under it.
//!
//! | module | what it is |
//! |---|---|
//! | [`replay`] | recorded decisions, judged again |
//! | [`erase`] | the flow of a delete, on one screen |
//! | [`guest`] | engine, compiler, images, limits, breakers, plugin, gate, policy: all that touches wasmtime |
//! | [`platform`] | what an embedder brings |
//! | [`auth`] | who is asking |
//! | `conformance` | what any implementation of the ports must do, tried by one call |
//! | [`commit`] | rows and bytes made to go together, in groups; recovery, and the doctor |
//! | [`ports`] | what is asked of rows and bytes, one small trait a need |
//! | [`domain`] | the nouns of the storage, and the rules about them |
//! | [`config`] | what is set, with its defaults |
//! | [`request`], [`error`] | what is asked, and the closed list of outcomes |
//! | [`naming`] | who can own an object, and what its id can be |
//! | [`target`] | the nouns everyone shares |
//! | [`text`] | text that guests wrote, made harmless |
//! | [`fair_cache`], [`fair_queue`] | room and slots, shared between tenants or callers |
//! | [`private`] | files and directories for their owner alone |
//! | [`background`] | threads for what takes long |
//! | [`parts`] | tasks and threads that live as long as the service, each of which goes on after a panic |
//! | [`step`] | the named steps of the flow, at which tests make it fail |
//!
//! **Invariant:** the direction of the table holds. Held by `tests/house.rs`.

// So that the tests can use the platform of the example.
#[cfg(test)]
extern crate self as atropos;
#[cfg(test)]
#[expect(dead_code, reason = "the example calls more of it than the tests do")]
#[path = "../examples/embed/platform.rs"]
mod memory;

pub mod auth;
pub mod background;
pub mod commit;
pub mod config;
#[cfg(feature = "conformance")]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a behaviour fails by panicking, and the suite tells"
)]
pub mod conformance;
pub mod domain;
pub mod erase;
pub mod error;
pub mod fair_cache;
pub mod fair_queue;
pub mod guest;
pub mod naming;
pub mod parts;
pub mod platform;
pub mod ports;
pub mod private;
pub mod replay;
pub mod request;
pub mod step;
pub mod target;
pub mod text;
