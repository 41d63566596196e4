//! How a delete is answered.

use crate::error::Refused;

/// How a delete is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Erased, or why not.
    pub outcome: Result<(), Refused>,
    /// Whether that is what became of an earlier request of the same key.
    pub repeated: bool,
}

impl Answer {
    /// Of a request that is no repeat.
    pub(super) fn new(outcome: Result<(), Refused>) -> Self {
        Self {
            outcome,
            repeated: false,
        }
    }
}
