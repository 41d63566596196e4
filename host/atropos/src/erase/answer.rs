//! How a delete is answered.

use uuid::Uuid;

use crate::error::Refused;

/// How a delete is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Erased, or why not.
    pub outcome: Result<(), Refused>,
    /// Whether that is what became of an earlier request of the same key.
    pub repeated: bool,
    /// The decision on record behind it; of a repeat, that of the first request. An object that is not there
    /// for the caller has none, whatever was decided: that there is a decision would tell of the object.
    pub decision: Option<Uuid>,
}

impl Answer {
    /// Of a request that is no repeat.
    pub(super) fn new(outcome: Result<(), Refused>) -> Self {
        Self {
            outcome,
            repeated: false,
            decision: None,
        }
    }

    /// With the decision behind it, if it is one that may be told.
    pub(super) fn by(mut self, decision: Option<Uuid>) -> Self {
        let hidden = matches!(&self.outcome, Err(refused) if refused.hides_the_object());
        self.decision = decision.filter(|_| !hidden);
        self
    }

    /// What it came to in one stable word, which is the same for every kind of object: `erased`, the plugin's
    /// [reason](crate::error::Reason::code), or the host's [code](Refused::code). A plugin's own code may be
    /// one of a documented API, such as a number.
    pub fn code(&self) -> &str {
        match &self.outcome {
            Ok(()) => "erased",
            Err(Refused::Plugin { reason, .. }) => reason.code(),
            Err(refused) => refused.code(),
        }
    }
}
