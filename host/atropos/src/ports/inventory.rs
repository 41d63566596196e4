//! What bytes there are, for those who compare them with the rows.
//!
//! **Invariant:** nothing here removes bytes.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::error::Result;
use crate::domain::ledger::{Entry, Room};
use crate::target::BlobKey;

/// The bytes' side: what there is.
#[async_trait]
pub trait Inventory: Send + Sync + 'static {
    /// All there is, in batches of a bounded size. What comes or goes meanwhile may be missed.
    fn list(&self) -> BoxStream<'static, Result<Vec<Entry>>>;

    /// The sizes of blobs in bytes, in the same order; `None` where there is none.
    async fn sizes(&self, keys: &[BlobKey]) -> Vec<Result<Option<u64>>>;

    /// The room that is left for bytes; `None` where there is no such bound, which is the default.
    async fn room(&self) -> Result<Option<Room>> {
        Ok(None)
    }
}
