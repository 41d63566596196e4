//! Panics of one piece of work, turned into a failure of that piece alone.
//!
//! **Invariant:** nothing of what a panic says is passed on: it may quote data.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{Result, StoreError};
use crate::parts::caught;

/// Runs `work`. A panic in it is logged and counted, and returned as
/// [`StoreError::Unavailable`]. The caller must be able to undo what `work` did.
pub fn contain<T>(what: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked(what)))
}

/// Waits for `work`, as [`contain`] runs a closure.
pub(crate) async fn contain_async<T>(
    what: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    caught(work).await.unwrap_or_else(|| Err(panicked(what)))
}

fn panicked(what: &'static str) -> StoreError {
    metrics::counter!("atropos_storage_panics_total").increment(1);
    tracing::error!(what, "the storage panicked");
    StoreError::Unavailable("the storage panicked".into())
}
