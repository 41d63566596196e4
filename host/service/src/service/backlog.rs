//! The backlog of pending removals, counted for whoever asks for figures.
//!
//! **Invariant:** at most one count is under way, however many ask and hang up.

use std::sync::Arc;
use std::time::Duration;

use atropos::domain::removals::Backlog;
use atropos::ports::Catalogue;
use atropos::ports::StoreError;
use atropos::target::now_ms;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How far is counted; a figure of this much means that many or more.
const COUNTED: u32 = 100_000;

/// How long a count serves whoever asks after it.
const FRESH: Duration = Duration::from_secs(1);

/// The latest count. Cheap to clone.
#[derive(Clone)]
pub struct Backlogs {
    catalogue: Arc<dyn Catalogue>,
    last: Arc<Mutex<Option<(Instant, Backlog)>>>,
}

impl Backlogs {
    /// Counts in this catalogue, when somebody asks.
    pub fn new(catalogue: Arc<dyn Catalogue>) -> Self {
        Self {
            catalogue,
            last: Arc::default(),
        }
    }

    /// The backlog as it was within the last second. It is counted up to 100,000.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn latest(&self) -> Result<Backlog, StoreError> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some((at, backlog)) = *last
            && at.elapsed() < FRESH
        {
            return Ok(backlog);
        }
        let catalogue = Arc::clone(&self.catalogue);
        // Who hangs up lets go of neither the lock nor the thread that counts.
        let counting = tokio::spawn(async move {
            let backlog = catalogue.backlog(now_ms(), COUNTED).await?;
            *last = Some((Instant::now(), backlog));
            Ok(backlog)
        });
        let interrupted =
            |error: tokio::task::JoinError| Err(StoreError::Unavailable(error.into()));
        counting.await.unwrap_or_else(interrupted)
    }
}

#[cfg(test)]
mod tests {
    use atropos::target::BlobKey;
    use atropos_stores::sqlite::Sqlite;

    use super::*;

    fn backlogs() -> (tempfile::TempDir, Backlogs) {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        (dir, Backlogs::new(Arc::new(sqlite)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_serves_whoever_asks_within_a_second_of_it() {
        let (_dir, backlogs) = backlogs();
        let due = async || backlogs.latest().await.unwrap().due;
        let reserve = async || {
            let key = [BlobKey::random()];
            backlogs.catalogue.reserve(&key, 1).await.unwrap();
        };
        reserve().await;
        assert_eq!(due().await, 1);
        reserve().await;
        assert_eq!(due().await, 1);
        tokio::time::advance(FRESH).await;
        assert_eq!(due().await, 2);
    }

    #[tokio::test]
    async fn whoever_hangs_up_lets_nobody_count_beside_the_count_under_way() {
        let (_dir, backlogs) = backlogs();
        let mut hung_up = Box::pin(backlogs.latest());
        assert!(futures_util::poll!(&mut hung_up).is_pending());
        drop(hung_up);
        // The count has not run so far: there is only this thread.
        assert!(backlogs.last.try_lock().is_err(), "another may count");
        assert_eq!(backlogs.latest().await.unwrap(), Backlog::default());
        assert!(backlogs.last.try_lock().unwrap().is_some());
    }
}
