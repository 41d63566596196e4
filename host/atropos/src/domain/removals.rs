//! Bytes that must go: pending removals, who works on them, and what became of them.
//!
//! A record names the bytes from before the moment at which they must go until they are durably gone. It
//! is due from a time on. Whoever works on it claims it: the claim is a lease, which others respect until
//! it ends. So several servers remove beside one another, and what one of them leaves undone when it
//! crashes is another one's when the lease has ended.

use serde::Serialize;
use uuid::Uuid;

use crate::target::BlobKey;

/// Who works on pending removals: one committer, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Uuid);

impl Owner {
    /// One that nobody else is.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Its 16 bytes, as storage keeps them.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// A claim to pending removals.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Who claims.
    pub owner: Owner,
    /// What is due by this time is claimed, unless a lease of it ends later.
    pub by_ms: u64,
    /// When the lease of what is claimed ends.
    pub until_ms: u64,
    /// How many are claimed at most.
    pub limit: usize,
}

/// Bytes that must go: the row is gone, or an upload did not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shred {
    /// What to remove.
    pub key: BlobKey,
    /// Not to be touched before.
    pub not_before_ms: u64,
    /// How often it was tried in vain.
    pub attempts: u32,
}

impl Shred {
    /// Not tried so far.
    pub fn new(key: BlobKey, not_before_ms: u64) -> Self {
        Self {
            key,
            not_before_ms,
            attempts: 0,
        }
    }
}

/// What a removal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The bytes were there and are not any more.
    Removed,
    /// There were none.
    Absent,
}

/// Doomed bytes that are not gone yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// Shred records that are due by now, or were tried in vain and wait for the next try. Neither
    /// uploads under way nor erasures within their lease count. The server's own figures stop at
    /// 100,000, which then means that many or more.
    pub due: u64,
    /// The most attempts any of them took.
    pub most_attempts: u32,
}

/// Doomed bytes that should be gone by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overdue {
    /// What to remove.
    #[serde(serialize_with = "as_text")]
    pub key: BlobKey,
    /// When the object was erased; unknown of an upload that did not complete.
    pub erased_at_ms: Option<u64>,
    /// When it is tried again, in milliseconds since the epoch.
    pub next_try_at_ms: u64,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// A key as its digits.
pub(crate) fn as_text<S: serde::Serializer>(key: &BlobKey, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(key)
}
