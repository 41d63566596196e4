//! What the flow needs of the bytes: put them, read them, remove them for good.

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use tokio::io::AsyncRead;

use super::{Result, StoreError};
use crate::target::BlobKey;

/// How many removals are under way at once where the backend does not say otherwise.
const AT_ONCE: usize = 16;

const GOES_ANOTHER_WAY: StoreError = StoreError::Missing {
    what: "way for uploads and downloads",
};

/// The bytes of objects, by unguessable key.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Streams `content` to a new blob and returns its size in bytes once it is durable. On an
    /// error a part of it may remain; the caller's shred record takes care of that. A platform whose
    /// uploads and downloads go another way leaves this and [`Blobs::open`] as they are.
    async fn put(&self, _: BlobKey, _: &mut (dyn AsyncRead + Send + Unpin)) -> Result<u64> {
        Err(GOES_ANOTHER_WAY)
    }

    /// Opens a blob for reading; `None` if there is none.
    async fn open(&self, _: BlobKey) -> Result<Option<BlobReader>> {
        Err(GOES_ANOTHER_WAY)
    }

    /// Makes a blob unreadable. Absent already is fine, and said so.
    async fn remove(&self, key: BlobKey) -> Result<Removal>;

    /// Removes several blobs and says of each, in the same order, what became of it. A backend that
    /// can do many at once does so here.
    async fn remove_all(&self, keys: &[BlobKey]) -> Vec<Result<Removal>> {
        let removals = keys.iter().copied().map(|key| self.remove(key));
        stream::iter(removals).buffered(AT_ONCE).collect().await
    }

    /// Returns once every earlier removal survives a crash.
    async fn sync_removals(&self) -> Result<()>;
}

/// An open blob.
pub struct BlobReader {
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes, from the start. Once the blob is removed, a read fails that comes a second later at
    /// most: nobody reads an erased object to its end because they began before. The server's own
    /// downloads end by the row too, whatever this does.
    pub content: Box<dyn AsyncRead + Send + Unpin>,
}

/// What a removal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The bytes were there and are not any more.
    Removed,
    /// There were none.
    Absent,
}
