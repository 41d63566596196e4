//! Which of the recorded decisions somebody wants to see, and in which part of the list.

use uuid::Uuid;

use super::decision::Verdict;
use crate::target::{Digest, Kind};

/// Which decisions of a tenant: those that meet all that is set here.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// About the objects of this user, as stored.
    pub user: Option<String>,
    /// About this kind of object.
    pub kind: Option<Kind>,
    /// About the object of this id, as stored.
    pub object: Option<String>,
    /// Asked for by the key or client of this public id.
    pub caller: Option<String>,
    /// That came to this.
    pub verdict: Option<Verdict>,
    /// For which a policy of this name was asked.
    pub policy: Option<String>,
    /// For which this component was asked.
    pub digest: Option<Digest>,
    /// By this revision of the chain.
    pub revision: Option<u64>,
    /// Not made before this time.
    pub since_ms: Option<u64>,
    /// Made before this time.
    pub until_ms: Option<u64>,
}

/// A part of a list of decisions. It goes on where the part before it ended, whatever was recorded
/// meanwhile, and costs the same wherever that is.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// In which order.
    pub order: Order,
    /// The last decision of the part before; `None` for the first part.
    pub after: Option<Uuid>,
    /// How many at most.
    pub limit: u32,
}

/// By the time of the decision; of the same time, by when they were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// For people.
    LatestFirst,
    /// For machines.
    OldestFirst,
}
