//! What is kept of requests that have a key, for their repeats.

use crate::error::Refused;
use crate::request::IdempotencyKey;
use crate::target::{BlobKey, Caller, Digest};

/// One request of one caller, by the key that the caller gave it. What is stored of it are digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Of the tenant, the caller and the key.
    pub id: Digest,
    /// Of what is asked for.
    pub meaning: Digest,
    /// When it is asked.
    pub at_ms: u64,
    /// An outcome from then or before is forgotten.
    pub forgotten_ms: u64,
}

impl Once {
    /// A request by `caller`, made at `at_ms`, whose outcome is kept for `kept_ms`.
    pub fn new(
        caller: &Caller,
        key: &IdempotencyKey,
        meaning: Digest,
        at_ms: u64,
        kept_ms: u64,
    ) -> Self {
        let tenant = caller.tenant.id.0.to_be_bytes();
        let (kind, id) = (caller.kind.as_str(), caller.id.as_bytes());
        Self {
            id: Digest::of_parts([&tenant[..], kind.as_bytes(), id, key.as_str().as_bytes()]),
            meaning,
            at_ms,
            forgotten_ms: at_ms.saturating_sub(kept_ms),
        }
    }
}

/// What became of the first request of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// It erased. What is named has a shred record still, and may or may not be gone.
    Erased(Vec<BlobKey>),
    /// It was refused.
    Refused(Refused),
    /// It asked for something else.
    Another,
}
