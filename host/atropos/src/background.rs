//! Threads below the priority of those that serve, for what computes for long: a serving thread that
//! becomes ready need not wait for a core until such work is done.
//!
//! **Invariant:** nothing that a delete waits for runs here, except for the tenant's own slow policies.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinError;

/// How much less of a contended core threads get than those that serve.
#[derive(Clone, Copy, Debug)]
pub enum Priority {
    /// About a third, so that a guest still keeps to a deadline that its fuel allows it to keep.
    Lower = 5,
    /// About a tenth.
    Low = 10,
}

/// Threads of low priority, which end when this is dropped.
pub struct Background {
    threads: Handle,
    /// Taken when this is dropped: a runtime that is dropped in a task of another one panics.
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts threads for so many calls of [`Background::compute`] at once.
    ///
    /// # Errors
    /// The machine has no more threads or file descriptors.
    pub fn start(threads: usize, priority: Priority) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(threads.max(1))
            .thread_name("atropos-background")
            .on_thread_start(move || lower(priority))
            .enable_all()
            .build()?;
        Ok(Self {
            threads: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// What comes of `work`, which goes on whether or not anybody waits.
    ///
    /// # Errors
    /// It panicked.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        self.threads.spawn_blocking(work).await
    }

    /// What comes of a future that computes or blocks now and then (by `spawn_blocking`, which takes one
    /// of these threads). It goes on whether or not anybody waits.
    ///
    /// # Errors
    /// It panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.threads.spawn(work).await
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // What is under way ends by itself; nobody waits for it.
            runtime.shutdown_background();
        }
    }
}

/// On Linux this is of the calling thread alone. Where it is not to be had, the threads are like any
/// other.
fn lower(priority: Priority) {
    if cfg!(target_os = "linux") {
        let _ = rustix::process::nice(priority as i32);
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::spawn_blocking;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_job_and_no_thread() {
        let background = Background::start(1, Priority::Lower).unwrap();
        for _ in 0..3 {
            assert!(background.compute(|| panic!("as a test")).await.is_err());
            assert!(background.run(async { panic!("as a test") }).await.is_err());
        }
        assert_eq!(background.compute(|| 7).await.unwrap(), 7);
        assert_eq!(background.run(async { 7 }).await.unwrap(), 7);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_that_serve_come_first() {
        let niceness = || rustix::process::nice(0).unwrap();
        let background = Background::start(1, Priority::Lower).unwrap();
        let lower = (niceness() + Priority::Lower as i32).min(19);
        assert_eq!(background.compute(niceness).await.unwrap(), lower);
        let both = async move { (niceness(), spawn_blocking(niceness).await) };
        let (awaits, blocks) = background.run(both).await.unwrap();
        assert_eq!((awaits, blocks.unwrap()), (lower, lower));
    }
}
