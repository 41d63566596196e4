//! Pending removals, as those need them who remove the bytes.

use async_trait::async_trait;

use super::error::Result;
use crate::domain::{Claim, Owner, Removal, Shred};
use crate::target::BlobKey;

/// The pending removals, which [`Objects::erase`](super::Objects::erase) and
/// [`PendingUploads::reserve`](super::PendingUploads::reserve) write.
///
/// **Invariant:** a record goes only once its bytes are durably gone, or an upload completed.
#[async_trait]
pub trait Removals: Send + Sync + 'static {
    /// KnownVolume pending removals that are due by [`Claim::by_ms`] and that nobody has a lease of beyond that
    /// time, soonest first. From now on no upload takes them back, so their bytes may be removed; and
    /// nobody else claims them before [`Claim::until_ms`]. A record that cannot be read is passed over,
    /// and takes no place of the limit.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Shred>>;

    /// Brings records forward that lie further ahead than they can while the clock only goes on, as they
    /// do once it was set back: what was erased, or tried in vain, and leases, to `erased_ms`, and what an
    /// upload reserved to `reserved_ms`.
    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()>;

    /// Strikes shred records off, notes at the event where bytes were absent already, and says of
    /// each record, in order, whether it is struck off: one that fails does not keep the others.
    /// Called once the removals are durable.
    ///
    /// # Errors
    /// None of them is struck off, or it is unknown whether they are.
    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>>;

    /// Puts off a record whose bytes could not be removed until `not_before_ms`, counts the attempt, and
    /// ends the lease of `owner`. Nothing happens if somebody else has claimed it since.
    async fn postpone(
        &self,
        owner: Owner,
        key: BlobKey,
        not_before_ms: u64,
        error: &str,
    ) -> Result<()>;
}
