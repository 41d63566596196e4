//! Threads for guests that compute for long, below the priority of the threads that serve, which so
//! need not wait for a core until a guest is done.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How much less of a contended core these threads get: about a third of what a serving thread gets, so
/// that a guest still keeps to a deadline that its fuel allows it to keep.
const NICENESS: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// So many threads. They end when this is dropped and nothing waits.
pub(super) struct Background {
    jobs: Sender<Job>,
}

impl Background {
    /// Starts the threads.
    ///
    /// # Errors
    /// The machine has no more threads.
    pub(super) fn start(threads: usize) -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("atropos-background".to_owned())
                .spawn(move || work(&queue))?;
        }
        Ok(Self { jobs })
    }

    /// What comes of `work`; `None` if it panicked. It goes on whether or not anybody waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        let job = move || drop(tell.send(work()));
        self.jobs.send(Box::new(job)).ok()?;
        told.await.ok()
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    // On Linux this is of the calling thread alone. Where it is not to be had, the threads are like any
    // other.
    if cfg!(target_os = "linux") {
        let _ = rustix::process::nice(NICENESS);
    }
    loop {
        let job = queue.lock().recv();
        let Ok(job) = job else { break };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        if done.is_err() {
            tracing::error!("a guest's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_job_and_no_thread() {
        let background = Background::start(1).unwrap();
        for _ in 0..3 {
            let panicked: Option<()> = background.run(|| panic!("as a test")).await;
            assert_eq!(panicked, None);
        }
        assert_eq!(background.run(|| 7).await, Some(7));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_that_serve_come_first() {
        let niceness = || rustix::process::nice(0).unwrap();
        let background = Background::start(1).unwrap();
        let there = background.run(niceness).await.unwrap();
        assert_eq!(there, niceness() + NICENESS);
    }
}
