//! Atropos as a server: its surfaces, each of which calls the service.
//!
//! # Code map
//! Each line imports only from lines under it.
//!
//! | module | what it is |
//! |---|---|
//! | `main` | parse, start telemetry, dispatch, exit code |
//! | [`cli`] | one file a noun |
//! | [`memory`] | what the process may take, summed up |
//! | [`http`] | routes → input of the flow, outcome → response; the only place with status codes |
//! | [`demo`] | the data of `serve --demo` |

pub mod cli;
pub mod demo;
pub mod http;
pub mod memory;
