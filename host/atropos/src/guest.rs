//! All that touches wasmtime: engine, compiler, images, limits, breakers, plugin, gate, policy.
//!
//! ```text
//! Sandbox ─► plugin calls ─► serve (plugin, fresh) ─► plugin (its imports) ─► gate ─► policy (fresh,
//!            admitted?                                                        held off?        pure)
//! ```
//!
//! A policy that computes for long is asked on a thread of a pool, where it is in nobody's way.
//!
//! **Invariant:** a guest is instantiated for one call and dropped; nothing passes from one request
//! or tenant to the next. How often a component failed is the host's knowledge, not the guest's.

mod bindings;
mod breaker;
mod breakers;
mod built_in;
mod compiler;
mod component;
mod convert;
mod engine;
mod facts;
mod failure;
mod fault;
mod fit;
mod gate;
mod images;
mod judge;
mod limits;
#[cfg(feature = "native-gate")]
pub mod native;
mod permit;
mod plugin;
mod plugin_calls;
mod policy;
mod probe;
mod remedy;
mod report;
mod review;
mod sandbox;
mod serve;
mod served;
mod shadow_queue;
mod slow_policies;
mod trial;
mod verdict;
mod world;

pub use self::breakers::HeldOff;
#[cfg(feature = "guests")]
pub use self::built_in::ALLOW_ALL;
pub use self::built_in::{POLICIES as BUILT_IN_POLICIES, policy as built_in_policy};
pub use self::compiler::{VERB as COMPILE_VERB, compile};
pub use self::component::Stock;
pub use self::engine::FIBER_STACK_BYTES;
pub use self::failure::GuestError;
pub use self::judge::Judge;
pub use self::policy::{Answer, Run};
pub use self::report::{Description, MAX_SETTINGS_BYTES, Report, SettingsProblem};
pub use self::sandbox::{NotWarm, PluginMissing, Sandbox};
pub use self::served::Served;
pub use self::shadow_queue::BYTES as SHADOW_BYTES;
