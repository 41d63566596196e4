//! What has to be done so that files, and their absence, survive a crash.
//!
//! **Invariant:** a barrier returns only once every removal that came before it is durable, also if
//! another barrier has begun to make it so; where that one fails, both fail.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// Removals that may not be durable yet.
#[derive(Default)]
pub(super) struct Removals {
    /// The directories in which something was removed since their last barrier.
    touched: Mutex<HashSet<String>>,
    /// Held by the barrier that is under way.
    under_way: Arc<tokio::sync::Mutex<()>>,
    /// How many barriers have failed.
    failed: AtomicU64,
}

/// The directories of one barrier that are not durable yet. Dropped, it gives them back.
struct Unsynced<'a> {
    removals: &'a Removals,
    directories: HashSet<String>,
}

/// The right to make removals durable, which one barrier has at a time.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Removals {
    /// Something was removed from this directory.
    pub(super) fn touch(&self, directory: String) {
        self.touched.lock().insert(directory);
    }

    /// Waits for the barrier that is under way. Whoever does the work keeps the turn, however long
    /// its caller waits.
    ///
    /// # Errors
    /// A barrier failed meanwhile. It may have had the removals that this one is to make durable, and
    /// a failure is told once by some file systems: that a second try succeeds proves nothing.
    pub(super) async fn turn(&self) -> io::Result<Turn> {
        let failed = self.failed.load(Ordering::Acquire);
        let turn = Arc::clone(&self.under_way).lock_owned().await;
        if self.failed.load(Ordering::Acquire) == failed {
            return Ok(turn);
        }
        Err(io::Error::other("the barrier that was under way failed"))
    }

    /// Calls `sync` for each touched directory. Those for which it was not called, or failed, stay
    /// touched.
    pub(super) fn sync(&self, _: &Turn, sync: impl Fn(&str) -> io::Result<()>) -> io::Result<()> {
        let directories = std::mem::take(&mut *self.touched.lock());
        let mut unsynced = Unsynced {
            removals: self,
            directories,
        };
        while let Some(directory) = unsynced.directories.iter().next().cloned() {
            sync(&directory)?;
            unsynced.directories.remove(&directory);
        }
        Ok(())
    }
}

impl Drop for Unsynced<'_> {
    fn drop(&mut self) {
        if !self.directories.is_empty() {
            self.removals.failed.fetch_add(1, Ordering::AcqRel);
            let left = self.directories.drain();
            self.removals.touched.lock().extend(left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use atropos::ports::Blobs as _;
    use atropos::target::BlobKey;
    use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};

    use crate::local::{Local, at};
    use crate::sqlite::Sqlite;

    /// A pipe in place of a directory: who opens it waits until it is let go, and then cannot sync it.
    struct Stuck(PathBuf);

    impl Stuck {
        fn put(at: &Path) -> Self {
            mkfifoat(CWD, at, Mode::RUSR | Mode::WUSR).unwrap();
            Self(at.to_owned())
        }

        fn let_go(&self) {
            let _ = open(&self.0, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
        }
    }

    impl Drop for Stuck {
        fn drop(&mut self) {
            self.let_go();
        }
    }

    #[tokio::test]
    async fn of_two_barriers_at_once_neither_returns_before_the_removals_are_durable() {
        let folder = tempfile::tempdir().unwrap();
        let rows = Sqlite::open(folder.path()).unwrap();
        let local = Local::open(folder.path(), &rows).unwrap();
        let key = BlobKey::random();
        let directory = folder.path().join("blobs").join(at(key).0);
        let stuck = Stuck::put(&directory);
        assert!(local.remove(key).await.is_err(), "it is no directory");

        let barriers = [local.clone(), local.clone()]
            .map(|local| tokio::spawn(async move { local.sync_removals().await }));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let early = barriers.iter().filter(|barrier| barrier.is_finished());
        assert_eq!(early.count(), 0, "it did not wait for the other one");
        for barrier in barriers {
            while !barrier.is_finished() {
                stuck.let_go();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(
                barrier.await.unwrap().is_err(),
                "the removal is not durable"
            );
        }

        let again = tokio::spawn({
            let local = local.clone();
            async move { local.sync_removals().await }
        });
        while !again.is_finished() {
            stuck.let_go();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(again.await.unwrap().is_err(), "the directory was forgotten");
        std::fs::remove_file(&directory).unwrap();
        std::fs::create_dir(&directory).unwrap();
        local.sync_removals().await.unwrap();
    }
}
