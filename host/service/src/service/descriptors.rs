//! The descriptors that connections and the files behind them may have together.
//!
//! A connection takes one, and another one while a file is read or written for it. Were the files not
//! counted, as many downloads as there may be connections would need twice as many descriptors as there
//! are, and whoever came next would fail: the database, a delete, a health check.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long a file waits for its descriptor, while connections that wait for their clients are let go.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts descriptors. Cheap to clone.
#[derive(Clone)]
pub struct Descriptors {
    /// Without, there are as many as anybody wants.
    counted: Option<Arc<Counted>>,
}

struct Counted {
    free: Arc<Semaphore>,
    /// The files that began to wait for one, the first of them first; nobody was let go for them yet. One
    /// that waits no more has dropped its end.
    wanted: Mutex<VecDeque<Weak<()>>>,
    came: Notify,
}

impl Counted {
    /// One more file waits, until what is returned is dropped.
    fn want(&self) -> Arc<()> {
        let waits = Arc::new(());
        let mut wanted = self.wanted.lock();
        // All wait equally long at most, so none that waits no more stays behind for long.
        while wanted.front().is_some_and(|one| one.strong_count() == 0) {
            wanted.pop_front();
        }
        wanted.push_back(Arc::downgrade(&waits));
        drop(wanted);
        self.came.notify_one();
        waits
    }

    /// Whether a file waits, which is counted once.
    fn is_wanted(&self) -> bool {
        let mut wanted = self.wanted.lock();
        while let Some(one) = wanted.pop_front() {
            if one.strong_count() > 0 {
                return true;
            }
        }
        false
    }
}

/// One descriptor, free again when it is dropped.
pub struct Descriptor {
    _permit: Option<OwnedSemaphorePermit>,
}

/// All descriptors are taken.
#[derive(Debug, thiserror::Error)]
#[error("as many connections and files are open as may be")]
pub struct NoneLeft;

impl Descriptors {
    /// At most so many.
    pub fn new(most: Option<u32>) -> Self {
        let counted = |most: u32| Counted {
            free: Arc::new(Semaphore::new(most as usize)),
            wanted: Mutex::default(),
            came: Notify::new(),
        };
        Self {
            counted: most.map(|most| Arc::new(counted(most))),
        }
    }

    /// One, if one is left.
    pub fn try_take(&self) -> Option<Descriptor> {
        let permit = match &self.counted {
            Some(counted) => Some(Arc::clone(&counted.free).try_acquire_owned().ok()?),
            None => None,
        };
        Some(Descriptor { _permit: permit })
    }

    /// The same, as soon as one is left.
    pub async fn take(&self) -> Descriptor {
        let permit = match &self.counted {
            // Never closed; were it, connections would not be counted.
            Some(counted) => Arc::clone(&counted.free).acquire_owned().await.ok(),
            None => None,
        };
        Descriptor { _permit: permit }
    }

    /// One for a file that is read or written for a connection.
    ///
    /// # Errors
    /// There is none, and none becomes free soon.
    pub async fn take_for_file(&self) -> Result<Descriptor, NoneLeft> {
        if let Some(descriptor) = self.try_take() {
            return Ok(descriptor);
        }
        let _waits = self.counted.as_ref().map(|counted| counted.want());
        let free = tokio::time::timeout(PATIENCE, self.take()).await;
        free.map_err(|_| NoneLeft)
    }

    /// Resolves once for each file that waits for one.
    pub async fn wanted(&self) {
        let Some(counted) = &self.counted else {
            return std::future::pending().await;
        };
        loop {
            let came = counted.came.notified();
            if counted.is_wanted() {
                return;
            }
            came.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_waits_for_a_descriptor_for_a_while_and_asks_for_it_once() {
        let descriptors = Descriptors::new(Some(2));
        let connection = descriptors.take().await;
        let file = descriptors.take_for_file().await.ok();
        assert!(file.is_some() && descriptors.try_take().is_none());
        assert!(descriptors.take_for_file().await.is_err(), "none is left");
        let late = tokio::time::timeout(PATIENCE / 2, descriptors.wanted()).await;
        assert!(late.is_err(), "it waits no more");

        let beside = descriptors.clone();
        let waiting = tokio::spawn(async move { beside.take_for_file().await.is_ok() });
        descriptors.wanted().await;
        let again = tokio::time::timeout(PATIENCE / 2, descriptors.wanted()).await;
        assert!(again.is_err(), "it asks once");
        drop(connection);
        assert!(waiting.await.unwrap());
        assert!(descriptors.try_take().is_some(), "it was given back");
    }

    #[tokio::test]
    async fn where_there_is_no_limit_nothing_is_counted() {
        let descriptors = Descriptors::new(None);
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(descriptors.take().await);
            held.push(descriptors.take_for_file().await.ok().unwrap());
        }
        assert!(descriptors.try_take().is_some());
    }
}
