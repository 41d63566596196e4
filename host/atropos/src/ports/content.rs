//! Uploads and downloads. A platform whose bytes come and go another way brings nothing of it.

use std::ops::Range;

use async_trait::async_trait;
use tokio::io::AsyncRead;

use super::error::Result;
use crate::target::BlobKey;

/// Writes blobs and reads them.
#[async_trait]
pub trait Content: Send + Sync + 'static {
    /// Streams `content` to a new blob and returns its size in bytes once it is durable. `length` is how
    /// many bytes there will be, where that is known. On an error a part of it may remain; the pending
    /// removal of whoever reserved the key takes care of that.
    ///
    /// # Errors
    /// It is not stored, also if `content` is of another length than `length`.
    async fn put(
        &self,
        key: BlobKey,
        length: Option<u64>,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<u64>;

    /// Opens a blob for reading, as much of `range` as it has; `None` if there is none.
    async fn open(&self, key: BlobKey, range: Range<u64>) -> Result<Option<BlobReader>>;
}

/// All of a blob, as a range.
pub const WHOLE: Range<u64> = 0..u64::MAX;

/// An open blob.
pub struct BlobReader {
    /// The size of the whole blob in bytes.
    pub size: u64,
    /// Its bytes, those of the range. Once the blob is removed, a read fails that comes a second later at
    /// most: nobody reads an erased object to its end because they began before. The server's own
    /// downloads end by the row too, whatever this does.
    pub content: Box<dyn AsyncRead + Send + Unpin>,
}
