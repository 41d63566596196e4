//! Where rows and bytes are kept: SQLite and a directory of files, and backups of both.
//!
//! **Invariant:** what a table or a folder looks like is known here alone.

pub mod backup;
pub mod local;
pub mod private;
pub mod sqlite;
#[cfg(test)]
mod tests;
