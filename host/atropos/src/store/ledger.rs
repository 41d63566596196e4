//! What rows and bytes each say there is, for those who compare the two: the doctor and the status.
//!
//! **Invariant:** nothing here removes bytes.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::Serialize;

use super::Result;
use super::objects::Conflict;
use crate::target::{BlobKey, Object, Subdomain, Target};

/// The rows' side: what bytes there must be, and which must go.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Checks the database itself, then what its rows say of one another.
    async fn verify(&self) -> Result<Soundness>;

    /// How much there is.
    async fn totals(&self) -> Result<Totals>;

    /// Those of `keys` that neither a row nor a shred record names.
    async fn unnamed(&self, keys: &[BlobKey]) -> Result<Vec<BlobKey>>;

    /// The blobs that rows name, by key, from the one after `after` on, at most `limit`. Rows that
    /// cannot be read are passed over.
    async fn named(&self, after: Option<BlobKey>, limit: u32) -> Result<Vec<Named>>;

    /// The shred records that were due at `by_ms` or were tried in vain, those with the most
    /// attempts first, at most `limit`. Those that cannot be read are left out.
    async fn overdue(&self, by_ms: u64, limit: u32) -> Result<Vec<Overdue>>;

    /// When the storage of the rows was made, in milliseconds since the epoch.
    async fn made_at_ms(&self) -> Result<u64>;

    /// Makes shred records due at `at_ms` that were tried in vain and wait for their next try.
    async fn retry(&self, at_ms: u64) -> Result<()>;

    /// Takes the row of an object away whose bytes are lost, unless it is not the one that was
    /// looked at, is held, or is to be kept until after `at_ms`. Its blobs are doomed all the same,
    /// in case they come back, and its owner's activity tells of the loss.
    async fn forget(&self, object: &Object, at_ms: u64) -> Result<Result<(), Conflict>>;
}

/// The bytes' side: what there is.
#[async_trait]
pub trait Inventory: Send + Sync + 'static {
    /// All there is, in batches of a bounded size. What comes or goes meanwhile may be missed.
    fn list(&self) -> BoxStream<'static, Result<Vec<Entry>>>;

    /// The sizes of blobs in bytes, in the same order; `None` where there is none.
    async fn sizes(&self, keys: &[BlobKey]) -> Vec<Result<Option<u64>>>;

    /// When blobs were last written, in milliseconds since the epoch and in the same order; `None` where
    /// there is none.
    async fn written_ms(&self, keys: &[BlobKey]) -> Result<Vec<Option<u64>>>;

    /// The room that is left for bytes.
    async fn room(&self) -> Result<Room>;
}

/// What is wrong with the rows, one sentence a thing, without personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soundness {
    /// The database is damaged: what its rows say cannot be trusted.
    pub damage: Vec<String>,
    /// Rows that refer to what is not there, contradict one another, or cannot be read.
    pub dangling: Vec<String>,
    /// How many blobs of live objects have a key that cannot be read. Their files are not told from
    /// those that nothing names.
    pub unreadable_keys: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Customers of the platform.
    pub tenants: u64,
    /// Live photos and documents.
    pub objects: u64,
}

/// A blob that a row names.
#[derive(Clone, Debug)]
pub struct Named {
    /// Where its bytes must be.
    pub key: BlobKey,
    /// How many there must be.
    pub size_bytes: u64,
    /// Whose they are.
    pub target: Target,
    /// The tenant's name.
    pub tenant: Subdomain,
}

/// Doomed bytes that should be gone by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overdue {
    /// What to remove.
    #[serde(serialize_with = "super::ledger::as_text")]
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

/// Something in the place where blobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A blob.
    Blob(BlobKey),
    /// What is none, by its path from the data directory.
    Foreign(String),
}

/// Room for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes that the place has in all.
    pub total_bytes: u64,
}

/// A key as its digits.
pub(super) fn as_text<S: serde::Serializer>(key: &BlobKey, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(key)
}
