//! What rows say there is, for those who compare it with the bytes.
//!
//! **Invariant:** nothing here removes bytes.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::Conflict;
use crate::domain::ledger::{Named, Soundness, Totals};
use crate::target::{BlobKey, Object};

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

    /// When the storage of the rows was made, in milliseconds since the epoch.
    async fn made_at_ms(&self) -> Result<u64>;

    /// Takes the row of an object away whose bytes are lost, unless [`Conflict::between`] says what
    /// stands against it. Its blobs are doomed all the same,
    /// in case they come back, and its owner's activity tells of the loss.
    async fn forget(&self, object: &Object, at_ms: u64) -> Result<Result<(), Conflict>>;
}
