//! One thread that writes: what has queued up shares one transaction and one durable barrier.
//!
//! **Invariant:** a write is answered only after the transaction that holds it is durable, in files that
//! have kept their names until then.
//! **Invariant:** a write that fails or panics leaves nothing, and does not take along those it shares
//! the transaction with: each of several has a savepoint of its own. The thread goes on.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use atropos::parts::{Part, Watched};
use atropos::ports::panics::contain;
use atropos::ports::{Result, StoreError};
use atropos::step::{self, Step};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::durability;
use super::error::{Sql, told};
use super::files::Files;
use super::open::BUSY_TIMEOUT;
use super::work::{Group, One, Outcomes, Ran, Work};

/// How soon after a write the files are freed of what it deleted.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(250);

/// How many queued writes share a transaction at most.
const SHARED: usize = 64;

/// How long one checkpoint waits for readers; meanwhile no write goes on.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(20);

/// How often the checkpoint at the end is tried.
const LAST_CHECKPOINTS: usize = 20;

pub(super) struct Writer {
    part: Arc<Watched>,
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Write(Box<dyn Work>),
    Checkpoint(oneshot::Sender<Result<()>>),
}

impl Writer {
    /// Starts the thread, which first frees the files of what an earlier run may have left there.
    pub(super) fn start(connection: Connection, files: Arc<Files>) -> Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let part = Arc::new(Watched::new(Part::Writer));
        let mut session = Session {
            part: Arc::clone(&part),
            connection,
            files,
            checkpoint_at: Some(Instant::now()),
        };
        let thread = thread::Builder::new()
            .name("atropos-writer".to_owned())
            .spawn({
                let part = Arc::clone(&part);
                move || part.keep_thread(|| session.work(&jobs))
            })
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Self {
            part,
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// The thread.
    pub(super) fn part(&self) -> &Arc<Watched> {
        &self.part
    }

    /// Runs `work` in a transaction and returns once that is durable. Goes on to its end even if
    /// the caller does not wait.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Sql<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write(Box::new(One::new(work, reply))))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs `each` on every item in one transaction, and returns the outcomes in order once that is
    /// durable. An item that fails leaves nothing, and the others are written. `each` may be run twice
    /// on an item; what it did the first time is undone before.
    ///
    /// # Errors
    /// None of them is written, or it is unknown whether they are.
    pub(super) async fn write_each<I, T, F>(&self, items: Vec<I>, each: F) -> Result<Outcomes<T>>
    where
        I: Send + 'static,
        T: Send + 'static,
        F: Fn(&Connection, &I) -> Sql<T> + Send + 'static,
    {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write(Box::new(Group::new(items, each, reply))))?;
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
    StoreError::Unavailable("the writer broke off".into())
}

/// SQLite does that by itself when the disk is full.
fn undone() -> StoreError {
    StoreError::Unavailable("the transaction was undone".into())
}

struct Session {
    part: Arc<Watched>,
    connection: Connection,
    files: Arc<Files>,
    checkpoint_at: Option<Instant>,
}

impl Session {
    fn work(&mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match self.checkpoint_at {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(job) => {
                    self.part.enter();
                    self.group(job, jobs);
                    self.part.completed();
                }
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
            let committed = contain("a transaction", || told(|| self.transact(&mut writes)));
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

    fn transact(&mut self, writes: &mut [Box<dyn Work>]) -> Sql<()> {
        let mut transaction = Self::begin(&mut self.connection)?;
        if let [only] = writes {
            // What fails alone takes nobody along: the transaction itself is undone.
            return match only.run(&transaction) {
                Ran::Keep => Self::commit(transaction, &self.files),
                Ran::Undo if transaction.is_autocommit() => Err(undone().into()),
                Ran::Undo => Ok(transaction.rollback()?),
                Ran::Again(error) if transaction.is_autocommit() => Err(error.into()),
                Ran::Again(_) => {
                    transaction.rollback()?;
                    let transaction = Self::begin(&mut self.connection)?;
                    only.run_apart(&transaction)?;
                    Self::commit(transaction, &self.files)
                }
            };
        }
        for work in writes {
            let mut savepoint = transaction.savepoint()?;
            match work.run(&savepoint) {
                Ran::Keep => savepoint.commit()?,
                // SQLite itself rolled everything back, as it does when the disk is full.
                Ran::Undo if savepoint.is_autocommit() => return Err(undone().into()),
                Ran::Undo => savepoint.finish()?,
                Ran::Again(error) if savepoint.is_autocommit() => return Err(error.into()),
                Ran::Again(_) => {
                    savepoint.rollback()?;
                    work.run_apart(&savepoint)?;
                    savepoint.commit()?;
                }
            }
        }
        Self::commit(transaction, &self.files)
    }

    fn begin(connection: &mut Connection) -> Sql<Transaction<'_>> {
        if !connection.is_autocommit() {
            // The one before could not be undone when it failed.
            connection.execute_batch("ROLLBACK")?;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step::pass_blocking(Step::WriteBegin)?;
        Ok(transaction)
    }

    fn commit(transaction: Transaction<'_>, files: &Files) -> Sql<()> {
        step::pass_blocking(Step::WriteCommit)?;
        files.unchanged()?;
        transaction.commit()?;
        // What was written meanwhile to a file without a name is not answered.
        files.unchanged()?;
        step::pass_blocking(Step::WriteCommitted)?;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        contain("a checkpoint", || told(|| self.truncate_log()))
    }

    fn truncate_log(&mut self) -> Sql<()> {
        self.checkpoint_at = Some(Instant::now() + CHECKPOINT_AFTER);
        step::pass_blocking(Step::WriteCheckpoint)?;
        self.connection.busy_timeout(CHECKPOINT_PATIENCE)?;
        let busy = durability::checkpoint(&self.connection);
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        if busy? {
            return Err(StoreError::Unavailable("a reader is in the way".into()).into());
        }
        self.checkpoint_at = None;
        Ok(())
    }
}
