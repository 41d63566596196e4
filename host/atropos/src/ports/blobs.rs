//! What a delete needs of the bytes: to remove them for good, and to know that they are gone.

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};

use super::error::{Result, StoreError};
use crate::domain::Removal;
use crate::target::BlobKey;

/// How many removals are under way at once where the backend does not say otherwise.
const AT_ONCE: usize = 16;

const CANNOT_TELL: StoreError = StoreError::Missing {
    what: "way to tell whether bytes are absent",
};

/// The bytes of objects, by unguessable key.
///
/// What is absent counts as gone for good, so a platform answers for its place: it says that bytes are
/// absent only if it has just made sure that it looks where the rows' bytes are. A directory whose volume
/// is not mounted, a bucket of another environment and a replica that lags behind are full of absent
/// bytes. `atropos_stores::local::Local` keeps a marker with an id in its directory, which the rows know
/// ([`super::volume`]). What cannot be made sure of is [`StoreError::WrongVolume`] or
/// [`StoreError::Unavailable`]: the delete is answered as pending, and tried again until it can.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Whether there are no bytes of this key any more, wherever this platform may have put them. A
    /// repeat of a delete is told of success on this answer alone, so `true` needs the proof that
    /// [`Blobs::remove`] needs for [`Removal::Absent`]. Nothing is removed or opened.
    ///
    /// Who keeps outcomes of requests ([`super::Outcomes::first`]) brings this as well: left as it is,
    /// every repeat of a delete that succeeded is answered as pending.
    ///
    /// # Errors
    /// It cannot be told now; the asker takes the bytes to be there.
    async fn is_absent(&self, _: BlobKey) -> Result<bool> {
        Err(CANNOT_TELL)
    }

    /// Makes a blob unreadable, wherever this platform may have put it. Absent already is fine, and said
    /// so; it needs the proof that this is the place.
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
