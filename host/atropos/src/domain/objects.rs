//! One object that is to be erased, and what stands against that.

use super::budget::Exhausted;
use super::decision::Decision;
use super::removals::Owner;
use super::repeat::Once;
use crate::config::Budget;
use crate::error::Refused;
use crate::target::{BlobKey, Object};

/// One permitted erasure, ready to be committed.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The decision that allowed it; it names the object and the version that was judged.
    pub decision: Decision,
    /// The time against which retention is checked.
    pub at_ms: u64,
    /// Who removes the bytes once the row is gone.
    pub owner: Owner,
    /// Until when everybody else leaves the removals to `owner`.
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
