//! The committer over several lives, each ended by a crash somewhere between two calls to the
//! storage: whatever was answered is true, and the last life finishes what is left.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atropos::commit::{CommitError, Committer};
use atropos::parts::Parts;
use futures_util::future::join_all;
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::commit::{committer, eventually, quick};
use super::*;

/// What happens at once, before the life ends.
#[derive(Clone, Debug)]
struct Life {
    /// How many objects are made live first.
    uploads: usize,
    /// Which are erased, some of them several times.
    erased: Vec<Index>,
    /// Which a hold is placed on meanwhile.
    held: Option<Index>,
    /// Which removals fail, again and again.
    failing: Vec<bool>,
    /// After how many calls to the storage it crashes; if so many are never made, it stops in order.
    crash: usize,
}

fn life() -> impl Strategy<Value = Life> {
    let failing = prop_oneof![3 => Just(vec![false]), 1 => vec(any::<bool>(), 1..6)];
    let held = proptest::option::of(any::<Index>());
    (
        0..4_usize,
        vec(any::<Index>(), 0..8),
        held,
        failing,
        0..40_usize,
    )
        .prop_map(|(uploads, erased, held, failing, crash)| Life {
            uploads,
            erased,
            held,
            failing,
            crash,
        })
}

/// A storage whose process ends at one of its calls, and some of whose removals fail.
struct Mortal {
    rows: Arc<dyn Rows>,
    blobs: Arc<dyn Blobs>,
    calls: AtomicUsize,
    crash: usize,
    crashed: Notify,
    removals: AtomicUsize,
    failing: Vec<bool>,
}

impl Mortal {
    fn over(backend: &Backend, life: &Life) -> Arc<Self> {
        Arc::new(Self {
            rows: backend.rows.clone(),
            blobs: Arc::clone(&backend.blobs),
            calls: AtomicUsize::new(0),
            crash: life.crash,
            crashed: Notify::new(),
            removals: AtomicUsize::new(0),
            failing: life.failing.clone(),
        })
    }

    /// Never returns from the crash on.
    async fn live(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) >= self.crash {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Before and after `call`, as either may be where it ends.
    async fn through<T>(&self, call: impl Future<Output = T>) -> T {
        self.live().await;
        let done = call.await;
        self.live().await;
        done
    }
}

#[async_trait]
impl Objects for Mortal {
    async fn find(&self, target: &Target) -> Result<Option<Object>> {
        self.rows.find(target).await
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        self.through(self.rows.erase(group)).await
    }
}

#[async_trait]
impl Decisions for Mortal {
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        self.through(self.rows.record(decisions)).await
    }
}

impl Outcomes for Mortal {}

#[async_trait]
impl Removals for Mortal {
    async fn claim(&self, claim: &Claim) -> Result<Vec<Shred>> {
        let due = self.rows.claim(claim).await;
        // The worker looks again and again: what finds nothing does not count.
        if due.as_ref().is_ok_and(|due| !due.is_empty()) {
            self.live().await;
        }
        due
    }

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        self.through(self.rows.shredded(removed)).await
    }

    async fn postpone(
        &self,
        owner: Owner,
        key: BlobKey,
        not_before_ms: u64,
        error: &str,
    ) -> Result<()> {
        let postponed = self.rows.postpone(owner, key, not_before_ms, error);
        self.through(postponed).await
    }

    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()> {
        self.rows.hasten(erased_ms, reserved_ms).await
    }
}

#[async_trait]
impl Blobs for Mortal {
    async fn is_absent(&self, key: BlobKey) -> Result<bool> {
        self.blobs.is_absent(key).await
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        let turn = self.removals.fetch_add(1, Ordering::SeqCst);
        if self.failing[turn % self.failing.len()] {
            return Err(StoreError::Unavailable("EIO".into()));
        }
        self.through(self.blobs.remove(key)).await
    }

    async fn sync_removals(&self) -> Result<()> {
        self.through(self.blobs.sync_removals()).await
    }
}

/// Every object that ever was, and all that was said of it.
#[derive(Default)]
struct History {
    objects: Vec<Uploaded>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

struct Uploaded {
    object: Object,
    keys: Vec<BlobKey>,
    held: bool,
}

/// To which object, to which decision, and what.
type Answer = (usize, Uuid, Result<(), CommitError>);

impl History {
    /// Lives up to the crash, or to an orderly end.
    fn live(&mut self, backend: &Backend, life: &Life) {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            self.upload(backend, life.uploads).await;
            if !self.objects.is_empty() {
                self.act(backend, life).await;
            }
        });
        // Every task ends where it is.
        runtime.shutdown_timeout(Duration::from_secs(60));
    }

    async fn upload(&mut self, backend: &Backend, count: usize) {
        for _ in 0..count {
            let id = format!("p{}", self.objects.len());
            let object = backend.upload(&id, b"bytes").await;
            self.objects.push(Uploaded {
                keys: backend.keys_of(&object).await,
                object,
                held: false,
            });
        }
    }

    async fn act(&mut self, backend: &Backend, life: &Life) {
        let storage = Mortal::over(backend, life);
        let committer = Committer::start(
            &Parts::default(),
            storage.clone(),
            storage.clone(),
            &quick(),
            Budget::default(),
        );
        let picks = life.erased.iter();
        let picks = picks.map(|which| which.index(self.objects.len()));
        let erased: Vec<_> = picks
            .map(|which| self.erase(backend, &committer, which))
            .collect();
        if let Some(which) = life.held {
            let uploaded = which.index(self.objects.len());
            let uploaded = &mut self.objects[uploaded];
            let target = &uploaded.object.target;
            let placed = backend.rows.place_hold(target, "a lawsuit", 1);
            uploaded.held |= placed.await.is_ok();
        }
        let orderly = async {
            join_all(erased).await;
            committer.stop().await;
        };
        tokio::select! {
            () = orderly => {}
            () = storage.crashed.notified() => {}
        }
    }

    /// Asks for an erasure, whose answer is written down when it comes.
    fn erase(&self, backend: &Backend, committer: &Committer, which: usize) -> JoinHandle<()> {
        let decision = backend.allowed(&self.objects[which].object);
        let (committer, answers) = (committer.clone(), Arc::clone(&self.answers));
        tokio::spawn(async move {
            let id = decision.id;
            let answer = committer.erase(decision, None).await;
            answers.lock().push((which, id, answer));
        })
    }

    /// The last life: nothing fails any more, and each caller asks again.
    async fn finish(&self, backend: &Backend) {
        let committer = committer(backend, Arc::clone(&backend.blobs), &quick());
        let settled = async || backend.rows.backlog(u64::MAX, u32::MAX).await.unwrap().due == 0;
        eventually(settled).await;
        for (which, uploaded) in self.objects.iter().enumerate() {
            let found = backend.rows.find(&uploaded.object.target).await.unwrap();
            self.check(backend, uploaded, which, found.is_some()).await;
            self.erase(backend, &committer, which).await.unwrap();
            let answers = self.answers.lock();
            let (_, _, retry) = answers.last().unwrap();
            let expected = match found {
                None => Err(CommitError::Conflict(Conflict::Gone)),
                Some(_) if uploaded.held => Err(CommitError::Conflict(Conflict::Held)),
                Some(_) => Ok(()),
            };
            assert_eq!(*retry, expected, "the retry learns the truth");
        }
        committer.stop().await;
    }

    async fn check(&self, backend: &Backend, uploaded: &Uploaded, which: usize, live: bool) {
        let answers = self.answers.lock().clone();
        let mine = answers.iter().filter(|(object, ..)| *object == which);
        let gone = |answer: &&Answer| matches!(answer.2, Ok(()) | Err(CommitError::Pending));
        let told = mine.clone().filter(gone).count();
        assert!(
            told <= usize::from(!live),
            "{told} were told, and it is live: {live}"
        );
        assert!(live || !uploaded.held, "a hold was placed, and it is gone");
        for key in &uploaded.keys {
            assert_eq!(
                backend.readable(&[*key]).await,
                live,
                "bytes and row differ"
            );
        }
        let (tenant, owner) = (backend.tenant.id, &uploaded.object.target.owner);
        let events = backend.rows.activity(tenant, None, owner, FIRST);
        let events = events.await.unwrap();
        let id = &uploaded.object.target.id;
        let events: Vec<_> = events
            .iter()
            .filter(|event| event.object_id == *id)
            .collect();
        assert_eq!(events.len(), usize::from(!live), "one event an erasure");
        for (_, decision, _) in mine.filter(gone) {
            assert_eq!(events[0].decision_id, Some(*decision));
        }
    }
}

/// How many files lie beneath `folder`.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
    entries.map(|entry| count(entry.unwrap().path())).sum()
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn whatever_was_answered_is_true_after_any_crash(lives in vec(life(), 1..4)) {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let mut backend = runtime.block_on(Backend::embedded());
        let mut history = History::default();
        for life in &lives {
            history.live(&backend, life);
            backend.reopen();
        }
        runtime.block_on(history.finish(&backend));
        let held = history.objects.iter().filter(|uploaded| uploaded.held);
        let left: usize = held.map(|uploaded| uploaded.keys.len()).sum();
        let marker = 1;
        let files = files(&backend.path().join("blobs"));
        assert_eq!(files, left + marker, "bytes that nothing names");
    }
}
