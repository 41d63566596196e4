//! Panics of one piece of work, turned into a failure of that piece alone.
//!
//! **Invariant:** nothing of what a panic says is passed on: it may quote data.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::{Result, StoreError};

/// Runs `work`. A panic in it is logged and counted, and returned as
/// [`StoreError::Unavailable`]. The caller must be able to undo what `work` did.
pub(super) fn contain<T>(what: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked(what)))
}

/// Waits for `work`, as [`contain`] runs a closure.
pub(super) async fn contain_async<T>(
    what: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // After a panic it is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(panicked(what))))
    })
    .await
}

fn panicked(what: &'static str) -> StoreError {
    metrics::counter!("atropos_storage_panics_total").increment(1);
    tracing::error!(what, "the storage panicked");
    StoreError::Unavailable("the storage panicked".into())
}
