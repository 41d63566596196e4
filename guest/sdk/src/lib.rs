//! What the author of an Atropos component writes against.
//!
//! A **policy** says whether one object may be erased. It is a pure function of the request and of
//! the settings that a tenant gave it:
//!
//! ```
//! use atropos_sdk::{Findings, Policy, Request, sentence};
//!
//! /// Objects beyond a size stay.
//! struct MaximumSize;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields, rename_all = "kebab-case")]
//! struct Settings {
//!     bytes: u64,
//! }
//!
//! impl Policy for MaximumSize {
//!     const NAME: &'static str = "maximum-size";
//!     const SUMMARY: &'static str = "Objects beyond a size stay.";
//!     const SCHEMA: &'static str = r#"{"type":"object","properties":{"bytes":{"type":"integer"}}}"#;
//!     type Settings = Settings;
//!
//!     fn review(request: &Request, settings: &Settings, findings: &mut Findings) {
//!         let detail = sentence![request.object.size_bytes, " of ", settings.bytes, " bytes"];
//!         findings.check("maximum-size", request.object.size_bytes <= settings.bytes, detail);
//!     }
//! }
//!
//! atropos_sdk::policy!(MaximumSize);
//! ```
//!
//! The verdict follows from the findings, so that the two cannot contradict each other. Compiled for
//! `wasm32-unknown-unknown` as a `cdylib` and wrapped as a component, it is what the host loads.
//! Natively the same crate is plain logic, which its unit tests reach through [`judge`] and
//! [`check`].
//!
//! A **plugin** serves the deletes themselves: see [`mod@plugin`] and [`plugin!`].

#[cfg(any(test, target_family = "wasm"))]
mod arena;
pub mod bindings;
mod export;
mod findings;
pub mod plugin;
mod policy;
pub mod sample;
pub mod sentence;
mod settings;
pub mod text;

#[cfg(target_family = "wasm")]
pub use arena::Arena;

pub use bindings::policy::atropos::policy::types::{
    CallerFacts, CallerKind, Finding, ObjectFacts, ObjectKind, Outcome, Permissions,
};
pub use bindings::policy::exports::atropos::policy::policy::{
    Description, Judgement, Request, SettingsProblem, Verdict,
};
pub use findings::Findings;
pub use policy::{Policy, check, describe, judge};
pub use settings::{Problems, present};
