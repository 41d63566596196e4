//! Irreversible deletes of user photos and user documents, decided by sandboxed components.
//!
//! # Code map
//! Each line imports only from lines under it.
//!
//! | module | what it is |
//! |---|---|
//! | `main` | parse, start telemetry, dispatch, exit code |
//! | [`cli`] | one file a noun |
//! | [`author`] | what a policy's author works with: cases, what became of them, new projects |
//! | [`http`] | routes → input of the flow, outcome → response; the only place with status codes |
//! | [`demo`] | the data of `serve --demo` |
//! | [`status`] | what an operator sees at a glance |
//! | [`service`] | everything put together over one data directory |
//! | [`upload`] | making an object live |
//! | [`replay`] | recorded decisions, judged again |
//! | [`erase`] | the flow of a delete, on one screen |
//! | [`guest`] | engine, compiler, images, limits, breakers, plugin, gate, policy: all that touches wasmtime |
//! | [`platform`] | what an embedder brings |
//! | [`auth`] | credentials → caller |
//! | [`store`] | traits, commit, shred, backup, SQLite, local files |
//! | [`config`] | what an operator sets, with its defaults |
//! | [`request`], [`error`] | what is asked, and the closed list of outcomes |
//! | [`naming`] | who can own an object, and what its id can be |
//! | [`target`] | the nouns everyone shares |
//! | [`text`] | text that guests wrote, made harmless |
//! | [`fair_queue`] | slots shared by time between tenants or callers |
//! | [`log`] | lines on their way to stderr |
//! | [`parts`] | tasks and threads that live as long as the service, each of which goes on after a panic |
//! | [`step`] | the named steps of the flow, at which tests make it fail |
//!
//! **Invariant:** the direction of the table holds. Held by `tests/house.rs`.

pub mod auth;
pub mod author;
mod background;
pub mod cli;
pub mod config;
pub mod demo;
pub mod erase;
pub mod error;
pub mod fair_cache;
pub mod fair_queue;
pub mod guest;
pub mod http;
pub mod log;
pub mod memory;
pub mod naming;
pub mod parts;
pub mod platform;
pub mod replay;
pub mod request;
pub mod service;
pub mod status;
pub mod step;
pub mod store;
pub mod target;
pub mod text;
pub mod upload;
