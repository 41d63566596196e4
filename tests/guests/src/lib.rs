//! Guests that misbehave, each in its own way, and a plain one, for the tests of the host.
//!
//! Each is one file in `examples/`, compiled to a component by the build script. This library, too,
//! has two sides: natively it holds the components' bytes; in WebAssembly it holds what the guests
//! share. The table of harmful characters is in both.

mod characters;
#[cfg(not(target_family = "wasm"))]
mod components;
#[cfg(target_family = "wasm")]
mod share;

pub use characters::HARMFUL;
#[cfg(not(target_family = "wasm"))]
pub use components::*;
#[cfg(target_family = "wasm")]
pub use share::*;
