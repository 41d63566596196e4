//! What a plugin is given to have an object judged, and what comes of it.

use std::time::Duration;

use async_trait::async_trait;

use super::GuestError;
use super::limits::PolicyTime;
use crate::domain::decision::Decision;
use crate::ports::StoreError;
use crate::target::{Caller, Object};

/// Has policies judge.
#[async_trait]
pub(super) trait Review: Send + Sync {
    /// Decides whether `caller` may have `object` erased. How long policies are waited for is counted
    /// in `policy_time`.
    ///
    /// # Errors
    /// Nothing was decided, and nobody is to blame.
    async fn review(
        &self,
        caller: &Caller,
        object: &Object,
        at_ms: u64,
        policy_time: &PolicyTime,
    ) -> Result<Judged, Undecided>;
}

/// What the policies came to.
pub(super) struct Judged {
    pub(super) decision: Decision,
    /// When to try again, if a policy that was to be asked is held off or being compiled.
    pub(super) wait: Option<Duration>,
}

/// Why nothing could be decided.
#[derive(Debug)]
pub(super) enum Undecided {
    /// The storage could not be asked.
    Storage,
    /// There is no slot for one of the tenant's slow policies.
    Crowded,
}

/// The storage could not be asked; what it said is in the log.
#[derive(Debug)]
pub(super) struct StoreUnavailable;

impl StoreUnavailable {
    pub(super) fn log(error: StoreError) -> Self {
        tracing::error!(error = %GuestError::one_line(&error), "the storage cannot be asked");
        Self
    }
}

impl From<StoreUnavailable> for Undecided {
    fn from(_: StoreUnavailable) -> Self {
        Self::Storage
    }
}
