//! Erases what has been in quarantine for its period, for as long as a server runs.

use std::sync::Arc;
use std::time::Duration;

use atropos::parts::{Part, Parts, Watched, Work, keep};
use atropos::ports::Quarantine;
use atropos::target::now_ms;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often is looked at least.
const INTERVAL: Duration = Duration::from_secs(60);

struct Looking {
    part: Arc<Watched>,
    bytes: Arc<dyn Quarantine>,
    period: Duration,
    stopping: CancellationToken,
}

impl Work for Looking {
    fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    async fn run(&mut self) {
        while !self.stopping.is_cancelled() {
            self.part.enter();
            match self.bytes.expire(self.period, now_ms()).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "the period of files in quarantine is over"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the quarantine cannot be looked through"
                ),
            }
            self.part.completed();
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = sleep(INTERVAL.min(self.period / 4)) => {}
            }
        }
    }
}

/// The task that looks, until it is told to stop. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sweep {
    stopping: CancellationToken,
    task: TaskTracker,
}

impl Sweep {
    /// Looks now and then, four times within `period` or every minute.
    pub(super) fn start(parts: &Parts, bytes: Arc<dyn Quarantine>, period: Duration) -> Self {
        let sweep = Self::default();
        let looking = Looking {
            part: parts.watch(Part::Quarantine),
            bytes,
            period,
            stopping: sweep.stopping.clone(),
        };
        sweep.task.spawn(keep(looking, sweep.stopping.clone()));
        sweep
    }

    /// Returns when nothing looks any more.
    pub(super) async fn stop(&self) {
        self.stopping.cancel();
        self.task.close();
        self.task.wait().await;
    }
}
