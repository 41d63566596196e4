//! What the flow needs of the rows: find one, erase a group, and keep account of doomed bytes.

use async_trait::async_trait;

use super::Result;
use super::blobs::Removal;
use super::decision::Decision;
use crate::target::{BlobKey, Object, Target};

/// The rows of live objects, as the delete needs them.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// The live object of exactly this tenant, kind, owner and id.
    async fn find(&self, target: &Target) -> Result<Option<Object>>;

    /// Commits a group in one transaction with one durable barrier. For each erasure, in order: if
    /// the row is still the judged object (uploaded when that was) in the judged version, and has no
    /// hold and no retention date after `at_ms`, deletes it and writes its shred records, its
    /// activity event and its decision; else changes nothing for that one and says why. A conflict
    /// writes neither event nor decision.
    ///
    /// # Errors
    /// None of the group is committed, or it is unknown whether it was; [`Objects::find`] tells.
    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, Conflict>>>;

    /// Records decisions that erase nothing. No caller waits for it.
    async fn record(&self, decisions: &[Decision]) -> Result<()>;

    /// Takes shred records over that are due at `by_ms`, soonest first, at most `limit`: from now on
    /// [`super::Catalogue::insert`] does not take them back, so their bytes may be removed. They stay
    /// due until they are struck off or postponed. To look without touching, there is
    /// [`super::Catalogue::backlog`].
    async fn shreds(&self, by_ms: u64, limit: usize) -> Result<Vec<Shred>>;

    /// Strikes shred records off, and notes at the event where bytes were absent already. Called
    /// once the removals are durable.
    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<()>;

    /// Puts off a shred record whose bytes could not be removed until `not_before_ms`, and counts
    /// the attempt.
    async fn postpone(&self, key: BlobKey, not_before_ms: u64, error: &str) -> Result<()>;
}

/// One permitted erasure, ready to be committed.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The decision that allowed it; it names the object and the version that was judged.
    pub decision: Decision,
    /// The time against which retention is checked.
    pub at_ms: u64,
    /// Until when recovery leaves the shred records to the one who commits.
    pub lease_until_ms: u64,
}

/// A row that is gone, and the bytes that must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// The keys of the original and of every rendition.
    pub blobs: Vec<BlobKey>,
}

/// Why the commit left a row as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It is not there any more.
    Gone,
    /// It has another version than the one judged, or is another object of the same name.
    Changed,
    /// A legal hold is on it.
    Held,
    /// It must be kept until this time.
    RetainedUntil(u64),
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
