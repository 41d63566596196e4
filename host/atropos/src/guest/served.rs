//! What became of one request.

use crate::domain::decision::Decision;
use crate::error::{FaultKind, Refused};
use crate::target::Caller;

/// What a call into the plugin came to.
pub struct Served {
    /// The decision to commit, if the plugin staged an object and returned success.
    pub staged: Result<Decision, Refused>,
    /// Decisions that erase nothing, to be recorded.
    pub unused: Vec<Decision>,
    /// Whom the plugin authenticated; of several, the last, and nobody if that failed.
    pub caller: Option<Caller>,
    /// Those who asked already have taken all the room that there is for the tenant or the credential.
    pub crowded: bool,
}

impl Served {
    pub(super) fn refused(refused: Refused) -> Self {
        Self {
            staged: Err(refused),
            unused: Vec::new(),
            caller: None,
            crowded: false,
        }
    }

    /// How the plugin failed, if it did.
    pub(super) fn fault(&self) -> Option<FaultKind> {
        match &self.staged {
            Err(Refused::Fault(fault)) => Some(fault.kind),
            _ => None,
        }
    }
}
