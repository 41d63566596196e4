//! What is kept of requests that have a key, for their repeats.

use crate::error::Refused;
use crate::request::IdempotencyKey;
use crate::target::{BlobKey, Caller, Digest};

/// How long outcomes are kept, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// For how many keys of one caller at once.
    pub outcomes: u64,
}

/// One request of one caller, by the key that the caller gave it. What is stored of it are digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Of the tenant, the caller and the key.
    pub id: Digest,
    /// Of the tenant and the caller.
    pub caller: Digest,
    /// Of what is asked for.
    pub meaning: Digest,
    /// When it is asked.
    pub at_ms: u64,
    /// An outcome from then or before is forgotten.
    pub forgotten_ms: u64,
    /// For how many keys of this caller outcomes are kept at once.
    pub most: u64,
}

impl Once {
    /// A request by `caller`, made at `at_ms`.
    pub fn new(
        caller: &Caller,
        key: &IdempotencyKey,
        meaning: Digest,
        at_ms: u64,
        retention: Retention,
    ) -> Self {
        let tenant = caller.tenant.id.0.to_be_bytes();
        let (kind, id) = (caller.kind.as_str(), caller.id.as_bytes());
        Self {
            id: Digest::of_parts([&tenant[..], kind.as_bytes(), id, key.as_str().as_bytes()]),
            caller: Digest::of_parts([&tenant[..], kind.as_bytes(), id]),
            meaning,
            at_ms,
            forgotten_ms: at_ms.saturating_sub(retention.for_ms),
            most: retention.outcomes,
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
    /// There was none, and nothing can be kept of this one: as many outcomes of its caller are kept as
    /// may be.
    Full {
        /// When the oldest of them is forgotten, in milliseconds since the epoch.
        until_ms: u64,
    },
}
