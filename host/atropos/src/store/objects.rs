//! What the flow needs of the rows: find one, erase a group, and keep account of doomed bytes.

use async_trait::async_trait;

use super::blobs::Removal;
use super::budget::Exhausted;
use super::decision::Decision;
use super::repeat::{First, Once};
use super::{Result, StoreError};
use crate::config::Budget;
use crate::error::Refused;
use crate::target::{BlobKey, Object, Target};

const KEEPS_NOTHING: StoreError = StoreError::Missing {
    what: "record of outcomes",
};

/// The rows of live objects, as the delete needs them.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// The live object of exactly this tenant, kind, owner and id.
    async fn find(&self, target: &Target) -> Result<Option<Object>>;

    /// Commits a group in one transaction with one durable barrier. For each erasure, in order: if
    /// the row is still the judged object (uploaded when that was) in the judged version, has no hold
    /// and no retention date after `at_ms`, and its budget is not used up, deletes it and writes its
    /// shred records, its activity event and its decision, and counts it; else changes nothing for
    /// that one and says why. A conflict writes neither event nor decision and is not counted.
    ///
    /// An erasure that is [`Erasure::once`] is committed only if [`Objects::first`] has no answer for its
    /// key: else it is [`Conflict::Repeated`]. In the same transaction its own outcome is kept, the
    /// erasure as well as a conflict whose refusal [is final](Refused::is_final).
    ///
    /// What counts against [`Erasure::budget`] is counted here or nowhere. A platform that keeps no
    /// count must refuse an erasure whose budget has a limit.
    ///
    /// An erasure that fails, as for a damaged row, is [`EraseError::Store`]: it leaves nothing, and
    /// the others of its group, which may be other tenants', are committed.
    ///
    /// # Errors
    /// None of the group is committed, or it is unknown whether it was; [`Objects::find`] tells.
    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>>;

    /// What is kept of the first request of this key; [`First::Full`] if nothing is, and outcomes of
    /// [`Once::most`] keys of its caller are kept. No outcome is forgotten early. A platform that keeps nothing leaves this and
    /// [`Objects::keep`] as they are: it refuses requests that have a key, and all others are served.
    async fn first(&self, _once: &Once) -> Result<Option<First>> {
        Err(KEEPS_NOTHING)
    }

    /// Keeps a refusal, unless [`Objects::first`] has an answer for the same key; either way returns
    /// what is kept, once it is durable, or [`First::Full`].
    async fn keep(&self, _once: &Once, _refused: &Refused) -> Result<First> {
        Err(KEEPS_NOTHING)
    }

    /// Records decisions that erase nothing, in one transaction with one durable barrier, and says of
    /// each, in order, whether it is recorded: one that fails does not keep the others off the record.
    /// Callers wait for it: their refusals are answered only once this returns.
    ///
    /// # Errors
    /// None of them is recorded, or it is unknown whether they are.
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>>;

    /// Takes shred records over that are due at `by_ms`, soonest first, at most `limit`: from now on
    /// [`super::Catalogue::insert`] does not take them back, so their bytes may be removed. They stay
    /// due until they are struck off or postponed. A record that cannot be read is passed over, and
    /// takes no place of the `limit`. To look without touching, there is
    /// [`super::Catalogue::backlog`].
    async fn shreds(&self, by_ms: u64, limit: usize) -> Result<Vec<Shred>>;

    /// Brings shred records forward that lie further ahead than they can while the clock only goes
    /// on, as they do once it was set back: what was erased, or tried in vain, to `erased_ms`, and
    /// what an upload reserved to `reserved_ms`.
    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()>;

    /// Strikes shred records off, notes at the event where bytes were absent already, and says of
    /// each record, in order, whether it is struck off: one that fails does not keep the others.
    /// Called once the removals are durable.
    ///
    /// # Errors
    /// None of them is struck off, or it is unknown whether they are.
    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>>;

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
    /// How many its tenant and its caller may have, where the storage knows nothing else for them.
    pub budget: Budget,
    /// The request that it serves, if that may be repeated.
    pub once: Option<Once>,
}

/// A row that is gone, and the bytes that must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// The keys of the original and of every rendition.
    pub blobs: Vec<BlobKey>,
}

/// Why one erasure of a group erased nothing.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Something stands against it.
    #[error("the object is not to be erased as it is now")]
    Conflict(Conflict),
    /// Its rows cannot be read or written. Those of the others of its group could.
    #[error("the object cannot be erased")]
    Store(#[source] StoreError),
}

impl From<Conflict> for EraseError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
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
    /// It could go, but its tenant or its caller has had all that they may have for now.
    OverBudget(Exhausted),
    /// A request of the same key came first, and what became of it is kept.
    Repeated,
}

impl Conflict {
    /// What stands against the erasure of an object as it was judged, given the live one of its name
    /// now; the most telling reason first. Budgets and repeats aside. A storage that compares under a
    /// lock needs nothing else; one that compares within its own statement tells by this why not.
    pub fn between(judged: &Object, now: Option<&Object>, at_ms: u64) -> Option<Self> {
        let Some(now) = now else {
            return Some(Self::Gone);
        };
        if now.held {
            return Some(Self::Held);
        }
        if let Some(until_ms) = now.retain_until_ms.filter(|until_ms| *until_ms > at_ms) {
            return Some(Self::RetainedUntil(until_ms));
        }
        // Versions begin anew with each object: a successor of the same name was uploaded later.
        let is_judged = (now.version, now.created_at_ms) == (judged.version, judged.created_at_ms);
        (!is_judged).then_some(Self::Changed)
    }
}

impl From<Conflict> for Refused {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Gone => Self::Gone,
            Conflict::Held => Self::Held,
            Conflict::RetainedUntil(at_ms) => Self::RetainedUntil(at_ms),
            Conflict::OverBudget(Exhausted {
                scope,
                window,
                until_ms,
            }) => Self::OverBudget {
                scope,
                window,
                until_ms,
            },
            // Both are for the flow to look at again, which says this if it never comes to an end.
            Conflict::Changed | Conflict::Repeated => Self::Changed,
        }
    }
}

/// What a request is told that needs rows which cannot be read or written.
impl From<&StoreError> for Refused {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::WrongDatabase => Self::WrongDatabase,
            _ => Self::Unavailable,
        }
    }
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
