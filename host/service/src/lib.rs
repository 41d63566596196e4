//! Everything that a surface calls, put together over one data directory.
//!
//! # Code map
//! Each line imports only from lines under it.
//!
//! | module | what it is |
//! |---|---|
//! | [`status`] | what an operator sees at a glance |
//! | [`service`] | the parts of a running server: opened, warmed up, stopped |
//! | [`storage`] | rows and bytes, as configured |
//! | [`upload`] | making an object live |
//! | [`auth`] | the server's own accounts |
//! | [`config`] | what an operator sets, with its defaults |
//! | [`log`] | lines on their way to stderr |
//!
//! **Invariant:** nothing here knows HTTP or a command line.

pub mod auth;
pub mod config;
pub mod log;
pub mod service;
pub mod status;
pub mod storage;
pub mod upload;
