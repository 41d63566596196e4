//! One thread that writes: what has queued up shares one transaction and one durable barrier.
//!
//! **Invariant:** a write is answered only after the transaction that holds it is durable.
//! **Invariant:** a write that fails leaves nothing, and does not take along those it shares the
//! transaction with: each of several has a savepoint of its own.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::error::copy;
use super::{BUSY_TIMEOUT, CHECKPOINT_AFTER};
use crate::step::{self, Step};
use crate::store::{Result, StoreError};

/// How many queued writes share a transaction at most.
const SHARED: usize = 64;

/// How long one checkpoint waits for readers; meanwhile no write goes on.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(20);

/// How often the checkpoint at the end is tried.
const LAST_CHECKPOINTS: usize = 20;

pub(super) struct Writer {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Write(Box<dyn Work>),
    Checkpoint(oneshot::Sender<Result<()>>),
}

/// One write, from its closure to its answer.
trait Work: Send {
    /// Says whether it changed something that is to be kept.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Answers what [`Work::run`] returned, or why the transaction failed.
    fn answer(self: Box<Self>, committed: Result<(), &StoreError>);
}

struct Closure<F, T> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Work for Closure<F, T>
where
    F: FnOnce(&Connection) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), &StoreError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(copy(error)),
            (None, Ok(())) => Err(stopped()),
        };
        // Nobody may be waiting any more; what was committed stays committed.
        let _ = self.reply.send(outcome);
    }
}

impl Writer {
    /// Starts the thread, which first frees the files of what an earlier run may have left there.
    pub(super) fn start(connection: Connection) -> Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let session = Session {
            connection,
            checkpoint_at: Some(Instant::now()),
        };
        let thread = thread::Builder::new()
            .name("atropos-writer".to_owned())
            .spawn(move || session.work(&jobs))
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs `work` in a transaction and returns once that is durable. Goes on to its end even if
    /// the caller does not wait.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write(Box::new(Closure {
            work: Some(work),
            outcome: None,
            reply,
        })))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Frees the files of all that was deleted by earlier writes.
    pub(super) async fn checkpoint(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Checkpoint(reply))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn send(&self, job: Job) -> Result<()> {
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(job).map_err(|_| stopped())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread finishes what is queued, and ends.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

/// SQLite does that by itself when the disk is full.
fn undone() -> StoreError {
    StoreError::Unavailable("the transaction was undone".into())
}

struct Session {
    connection: Connection,
    checkpoint_at: Option<Instant>,
}

impl Session {
    fn work(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match self.checkpoint_at {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(job) => self.group(job, jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Also while writes keep coming, or what was deleted would stay as long as they do.
            if self.checkpoint_at.is_some_and(|at| at <= Instant::now()) {
                let _ = self.checkpoint();
            }
        }
        for _ in 0..LAST_CHECKPOINTS {
            if self.checkpoint().is_ok() {
                break;
            }
            thread::sleep(CHECKPOINT_PATIENCE);
        }
    }

    /// Takes what is queued behind `first` into the same transaction; waits for nothing.
    fn group(&mut self, first: Job, jobs: &Receiver<Job>) {
        let mut writes = Vec::new();
        let mut checkpoints = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                Job::Write(work) => writes.push(work),
                Job::Checkpoint(reply) => checkpoints.push(reply),
            }
            if writes.len() == SHARED {
                break;
            }
        }
        if !writes.is_empty() {
            let committed = self.transact(&mut writes);
            self.checkpoint_at
                .get_or_insert_with(|| Instant::now() + CHECKPOINT_AFTER);
            for work in writes {
                work.answer(committed.as_ref().copied());
            }
        }
        for reply in checkpoints {
            let _ = reply.send(self.checkpoint());
        }
    }

    fn transact(&mut self, writes: &mut [Box<dyn Work>]) -> Result<()> {
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        step::pass_blocking(Step::WriteBegin)?;
        if let [only] = writes {
            // What fails alone takes nobody along: the transaction itself is undone.
            return match only.run(&transaction) {
                true => Self::commit(transaction),
                false if transaction.is_autocommit() => Err(undone()),
                false => Ok(transaction.rollback()?),
            };
        }
        for work in writes {
            let savepoint = transaction.savepoint()?;
            if work.run(&savepoint) {
                savepoint.commit()?;
            } else if savepoint.is_autocommit() {
                // SQLite itself rolled everything back, as it does when the disk is full.
                return Err(undone());
            } else {
                savepoint.finish()?;
            }
        }
        Self::commit(transaction)
    }

    fn commit(transaction: Transaction<'_>) -> Result<()> {
        step::pass_blocking(Step::WriteCommit)?;
        transaction.commit()?;
        step::pass_blocking(Step::WriteCommitted)?;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.checkpoint_at = Some(Instant::now() + CHECKPOINT_AFTER);
        step::pass_blocking(Step::WriteCheckpoint)?;
        self.connection.busy_timeout(CHECKPOINT_PATIENCE)?;
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            });
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        if busy? != 0 {
            return Err(StoreError::Unavailable("a reader is in the way".into()));
        }
        self.checkpoint_at = None;
        Ok(())
    }
}
