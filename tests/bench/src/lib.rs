//! What the benchmarks share: the facts, the ways to decide on them, and how these are timed.
//!
//! **Invariant:** no variant is timed before it has given the verdict that the facts ask for.

pub mod facts;
pub mod harness;
pub mod machine;
pub mod sandbox;
pub mod table;
pub mod variants;
