//! What the author of a deletion plugin needs: the host's interfaces, and the trait to implement and
//! hand to [`plugin!`](crate::plugin!).

pub use crate::bindings::deletion::atropos::deletion::types::{Reason, Refusal};
pub use crate::bindings::deletion::atropos::deletion::{auth, erasure, gate, storage};
pub use crate::bindings::deletion::exports::atropos::deletion::deletion::{
    DocumentRequest, Guest as Plugin, PhotoRequest,
};
