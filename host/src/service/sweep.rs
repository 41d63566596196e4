//! Erases what has been in quarantine for its period, for as long as a server runs.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::local::Local;
use crate::store::quarantine::Quarantine as _;
use crate::target::now_ms;

/// How often is looked at least.
const INTERVAL: Duration = Duration::from_secs(60);

/// The task that looks, until it is told to stop. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sweep {
    stopping: CancellationToken,
    task: TaskTracker,
}

impl Sweep {
    /// Looks now and then, four times within `period` or every minute.
    pub(super) fn start(bytes: Local, period: Duration) -> Self {
        let sweep = Self::default();
        let stopping = sweep.stopping.clone();
        sweep.task.spawn(async move {
            while !stopping.is_cancelled() {
                match bytes.expire(period, now_ms()).await {
                    Ok(0) => {}
                    Ok(removed) => {
                        tracing::info!(removed, "the period of files in quarantine is over")
                    }
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the quarantine cannot be looked through"
                    ),
                }
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = sleep(INTERVAL.min(period / 4)) => {}
                }
            }
        });
        sweep
    }

    /// Returns when nothing looks any more.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        self.task.close();
        self.task.wait().await;
    }
}
