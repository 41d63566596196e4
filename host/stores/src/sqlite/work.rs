//! What the writer runs: one closure, or a group of items that must not fail one another.
//!
//! A group is first run without savepoints of its items, which cost page copies. If an item fails, what
//! the group did is undone, and it is run once more with a savepoint for each item.
//!
//! **Invariant:** an item that fails or panics leaves nothing of its own, and all of the others'.

use atropos::ports::panics::contain;
use atropos::ports::{Result, StoreError};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::{Sql, copy, told};
use super::rows::execute;

/// What became of a [`Work`] that was run.
pub(super) enum Ran {
    /// What it changed is to be committed.
    Keep,
    /// It failed: what it changed is to be undone.
    Undo,
    /// One of its items failed, for this reason: what it changed is to be undone, and it is to be run
    /// by [`Work::run_apart`].
    Again(StoreError),
}

/// Something to be written, from its closure to its answer.
pub(super) trait Work: Send {
    /// Runs in an open transaction.
    fn run(&mut self, rows: &Connection) -> Ran;

    /// Runs again after [`Ran::Again`], each item in a savepoint. What it leaves is to be committed.
    ///
    /// # Errors
    /// It is not known what it leaves: the whole transaction must be undone.
    fn run_apart(&mut self, _rows: &Connection) -> Result<()> {
        Ok(())
    }

    /// Answers with what came of it, or with why the transaction failed.
    fn answer(self: Box<Self>, committed: Result<(), &StoreError>);
}

/// One closure.
pub(super) struct One<F, T> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> One<F, T> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T>>) -> Self {
        Self {
            work: Some(work),
            outcome: None,
            reply,
        }
    }
}

impl<F, T> Work for One<F, T>
where
    F: FnOnce(&Connection) -> Sql<T> + Send,
    T: Send,
{
    fn run(&mut self, rows: &Connection) -> Ran {
        let work = self.work.take();
        self.outcome = work.map(|work| contain("a write", || told(|| work(rows))));
        match self.outcome {
            Some(Ok(_)) => Ran::Keep,
            _ => Ran::Undo,
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), &StoreError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(copy(error)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Unavailable("it was not written".into())),
        };
        // Nobody may be waiting any more; what was committed stays committed.
        let _ = self.reply.send(outcome);
    }
}

/// The outcomes of a group, in the order of its items.
pub(super) type Outcomes<T> = Vec<Result<T>>;

/// Items that one closure writes, one after the other.
pub(super) struct Group<I, F, T> {
    items: Vec<I>,
    each: F,
    outcomes: Outcomes<T>,
    reply: oneshot::Sender<Result<Outcomes<T>>>,
}

impl<I, F, T> Group<I, F, T> {
    pub(super) fn new(items: Vec<I>, each: F, reply: oneshot::Sender<Result<Outcomes<T>>>) -> Self {
        Self {
            outcomes: Vec::with_capacity(items.len()),
            items,
            each,
            reply,
        }
    }
}

impl<I, F, T> Work for Group<I, F, T>
where
    I: Send,
    F: Fn(&Connection, &I) -> Sql<T> + Send,
    T: Send,
{
    fn run(&mut self, rows: &Connection) -> Ran {
        for item in &self.items {
            match contain("an item of a group", || told(|| (self.each)(rows, item))) {
                Ok(value) => self.outcomes.push(Ok(value)),
                // With no others to be spared, it has failed as it would apart.
                Err(error) if self.items.len() == 1 => {
                    self.outcomes.push(Err(error));
                    return Ran::Undo;
                }
                Err(error) => {
                    self.outcomes.clear();
                    return Ran::Again(error);
                }
            }
        }
        Ran::Keep
    }

    fn run_apart(&mut self, rows: &Connection) -> Result<()> {
        for item in &self.items {
            let outcome = apart(rows, || (self.each)(rows, item))?;
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), &StoreError>) {
        let outcomes = match (self.outcomes, committed) {
            (outcomes, Ok(())) => Ok(outcomes),
            // The only item says more of its failure than the transaction does.
            (outcomes, Err(_)) if matches!(*outcomes, [Err(_)]) => Ok(outcomes),
            (_, Err(error)) => Err(copy(error)),
        };
        let _ = self.reply.send(outcomes);
    }
}

/// Runs `item` in a savepoint. An error of the item is the value.
fn apart<T>(rows: &Connection, item: impl FnOnce() -> Sql<T>) -> Sql<Result<T>> {
    execute(rows, "SAVEPOINT item", [])?;
    let outcome = contain("an item of a group", || told(item));
    if let Err(error) = &outcome {
        if rows.is_autocommit() {
            // SQLite rolled everything back, as it does when the disk is full.
            return Err(copy(error).into());
        }
        execute(rows, "ROLLBACK TO item", [])?;
    }
    execute(rows, "RELEASE item", [])?;
    Ok(outcome)
}
