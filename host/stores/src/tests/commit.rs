//! The commit under conflicts, concurrency and failing bytes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atropos::commit::{CommitError, Committer};
use atropos::config;
use atropos::parts::Parts;
use tokio::sync::Semaphore;

use super::*;
use crate::sqlite::damage;

/// Bytes that cannot be removed, or only when let through, while the test says so.
pub(super) struct Moody {
    pub(super) inner: Arc<dyn Blobs>,
    pub(super) failing: AtomicBool,
    pub(super) gate: Option<Semaphore>,
    pub(super) tried: AtomicU64,
}

impl Moody {
    pub(super) fn over(backend: &Backend, failing: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(&backend.blobs),
            failing: AtomicBool::new(failing),
            gate: None,
            tried: AtomicU64::new(0),
        })
    }

    fn gated(backend: &Backend) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(&backend.blobs),
            failing: AtomicBool::new(false),
            gate: Some(Semaphore::new(0)),
            tried: AtomicU64::new(0),
        })
    }
}

#[async_trait]
impl Blobs for Moody {
    async fn is_absent(&self, key: BlobKey) -> Result<bool> {
        self.inner.is_absent(key).await
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("EIO".into()));
        }
        self.inner.remove(key).await
    }

    async fn sync_removals(&self) -> Result<()> {
        self.inner.sync_removals().await
    }
}

pub(super) fn committer(
    backend: &Backend,
    blobs: Arc<dyn Blobs>,
    config: &config::Erase,
) -> Committer {
    let budget = config::Budget::default();
    Committer::start(
        &Parts::default(),
        backend.rows.clone(),
        blobs,
        config,
        budget,
    )
}

pub(super) fn quick() -> config::Erase {
    config::Erase {
        shred_retry_max_ms: 20,
        ..config::Erase::default()
    }
}

/// Waits until it holds, for 10 seconds at most.
pub(super) async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to hold");
}

async fn shreds(backend: &Backend) -> usize {
    backend.rows.overdue(u64::MAX, 1000).await.unwrap().len()
}

#[tokio::test]
async fn success_means_that_row_and_bytes_are_gone_and_stopping_settles_the_account() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    committer
        .erase(backend.allowed(&object), None)
        .await
        .unwrap();
    assert_eq!(backend.rows.find(&object.target).await.unwrap(), None);
    assert!(!backend.readable(&keys).await);
    committer.stop().await;
    assert_eq!(shreds(&backend).await, 0);
    assert_eq!(
        committer.erase(backend.allowed(&object), None).await,
        Err(CommitError::Stopping)
    );
}

#[tokio::test]
async fn of_many_erasures_of_one_object_exactly_one_succeeds() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    let racing = (0..20).map(|_| committer.erase(backend.allowed(&object), None));
    let outcomes = futures_util::future::join_all(racing).await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1);
    let gone = Err(CommitError::Conflict(Conflict::Gone));
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == gone).count(),
        19
    );
    committer.stop().await;
    let activity = backend
        .rows
        .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    let activity = activity.await.unwrap();
    assert_eq!((activity.len(), activity[0].bytes_absent), (1, 0));
}

#[tokio::test]
async fn a_conflict_of_one_leaves_the_others_of_its_group_alone() {
    let backend = Backend::embedded().await;
    let (one, two) = (
        backend.upload("p1", b"1").await,
        backend.upload("p2", b"2").await,
    );
    let hold = backend.rows.place_hold(&one.target, "a lawsuit", 1);
    hold.await.unwrap();
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    let (first, second) = tokio::join!(
        committer.erase(backend.allowed(&one), None),
        committer.erase(backend.allowed(&two), None)
    );
    assert_eq!(first, Err(CommitError::Conflict(Conflict::Held)));
    assert_eq!(second, Ok(()));
    assert!(backend.readable(&backend.keys_of(&one).await).await);
    committer.stop().await;
}

#[tokio::test]
async fn a_decision_that_did_not_allow_erases_nothing() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    assert_eq!(
        committer.erase(backend.denied(&object), None).await,
        Err(CommitError::Unavailable)
    );
    assert!(backend.rows.find(&object.target).await.unwrap().is_some());
    committer.stop().await;
}

#[tokio::test]
async fn bytes_that_resist_are_pending_and_go_once_they_can() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    let blobs = Moody::over(&backend, true);
    let committer = committer(&backend, blobs.clone(), &quick());
    assert_eq!(
        committer.erase(backend.allowed(&object), None).await,
        Err(CommitError::Pending)
    );
    assert_eq!(backend.rows.find(&object.target).await.unwrap(), None);
    eventually(async || {
        backend
            .rows
            .backlog(now_ms(), u32::MAX)
            .await
            .unwrap()
            .most_attempts
            > 2
    })
    .await;
    assert!(backend.readable(&keys).await);
    blobs.failing.store(false, Ordering::SeqCst);
    eventually(async || backend.rows.backlog(now_ms(), u32::MAX).await.unwrap().due == 0).await;
    assert!(!backend.readable(&keys).await);
    committer.stop().await;
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_nothing() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    let hasty = tokio::time::timeout(
        Duration::ZERO,
        committer.erase(backend.allowed(&object), None),
    );
    assert!(hasty.await.is_err());
    committer.stop().await;
    assert!(!backend.readable(&keys).await);
    assert_eq!(shreds(&backend).await, 0);
}

#[tokio::test]
async fn what_is_queued_beyond_the_bound_is_refused_at_once() {
    let backend = Backend::embedded().await;
    let blobs = Moody::gated(&backend);
    let config = config::Erase {
        max_queued: 2,
        max_group: 1,
        ..quick()
    };
    let committer = committer(&backend, blobs.clone(), &config);
    let mut objects = Vec::new();
    for n in 0..12 {
        objects.push(backend.upload(&format!("p{n}"), b"bytes").await);
    }
    let waiting: Vec<_> = objects
        .iter()
        .map(|object| {
            let (committer, decision) = (committer.clone(), backend.allowed(object));
            tokio::spawn(async move { committer.erase(decision, None).await })
        })
        .collect();
    eventually(async || blobs.tried.load(Ordering::SeqCst) > 0).await;
    eventually(async || waiting.iter().any(|task| task.is_finished())).await;
    blobs.gate.as_ref().unwrap().add_permits(1000);
    let mut outcomes = Vec::new();
    for task in waiting {
        outcomes.push(task.await.unwrap());
    }
    assert!(outcomes.contains(&Err(CommitError::Overloaded)));
    assert!(outcomes.contains(&Ok(())));
    for (object, outcome) in objects.iter().zip(outcomes) {
        let left = backend.rows.find(&object.target).await.unwrap();
        assert_eq!(left.is_none(), outcome.is_ok(), "the answer is the truth");
    }
    committer.stop().await;
}

#[tokio::test]
async fn what_is_recorded_is_durable_before_the_answer() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    committer
        .record(vec![backend.denied(&object)])
        .await
        .unwrap();
    assert_eq!(backend.recorded().await.len(), 1);
    committer.stop().await;
    let late = committer.record(vec![backend.denied(&object)]).await;
    assert_eq!(late, Err(CommitError::Stopping));
}

#[tokio::test]
async fn stopping_records_what_was_taken_on() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    let recording = (0..300).map(|_| committer.record(vec![backend.denied(&object)]));
    let all = futures_util::future::join_all(recording);
    let hasty = tokio::time::timeout(Duration::ZERO, all);
    assert!(hasty.await.is_err());
    committer.stop().await;
    assert_eq!(backend.recorded().await.len(), 300);
}

#[tokio::test]
async fn refusals_that_come_together_share_a_barrier_and_beyond_the_bound_are_turned_away() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let slow = Slow::over(&backend);
    let config = config::Erase {
        // Two thirds of it are for one tenant.
        max_queued: 75,
        ..quick()
    };
    let committer = Committer::start(
        &Parts::default(),
        slow.clone(),
        Arc::clone(&backend.blobs),
        &config,
        config::Budget::default(),
    );
    let record = || {
        let (committer, decision) = (committer.clone(), backend.denied(&object));
        tokio::spawn(async move { committer.record(vec![decision]).await })
    };
    let first = record();
    eventually(async || slow.groups.lock().len() == 1).await;
    let waiting: Vec<_> = (0..60).map(|_| record()).collect();
    let turned_away = async || waiting.iter().filter(|task| task.is_finished()).count() == 10;
    eventually(turned_away).await;
    slow.gate.add_permits(1000);
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for task in waiting {
        outcomes.push(task.await.unwrap());
    }
    let of = |outcome| outcomes.iter().filter(|one| **one == outcome).count();
    assert_eq!((of(Ok(())), of(Err(CommitError::Overloaded))), (50, 10));
    assert_eq!(
        *slow.groups.lock(),
        [1, 50],
        "one barrier for all that waited"
    );
    committer.stop().await;
    assert_eq!(backend.recorded().await.len(), 51);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_told_to_everyone_who_waits() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let slow = Slow::over(&backend);
    slow.failing.store(true, Ordering::SeqCst);
    slow.gate.add_permits(1000);
    let committer = Committer::start(
        &Parts::default(),
        slow.clone(),
        Arc::clone(&backend.blobs),
        &quick(),
        config::Budget::default(),
    );
    let recording = (0..3).map(|_| committer.record(vec![backend.denied(&object)]));
    let outcomes = futures_util::future::join_all(recording).await;
    assert_eq!(outcomes, vec![Err(CommitError::Unavailable); 3]);
    slow.failing.store(false, Ordering::SeqCst);
    assert_eq!(
        committer.record(vec![backend.denied(&object)]).await,
        Ok(())
    );
    committer.stop().await;
    assert_eq!(backend.recorded().await.len(), 1);
}

#[tokio::test]
async fn a_damaged_row_fails_its_own_request_and_no_other_of_the_group() {
    let backend = Backend::embedded().await;
    let mut objects = Vec::new();
    for n in 0..8 {
        objects.push(backend.upload(&format!("p{n}"), b"bytes").await);
    }
    let bad = "UPDATE blobs SET key = 'no key' WHERE ordinal = 0 AND object =
        (SELECT id FROM objects WHERE public_id = 'p5')";
    damage(&backend, bad);
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    let erasing = objects
        .iter()
        .map(|one| committer.erase(backend.allowed(one), None));
    let outcomes = futures_util::future::join_all(erasing).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let expected = if n == 5 {
            Err(CommitError::Unavailable)
        } else {
            Ok(())
        };
        assert_eq!(*outcome, expected, "p{n}");
    }
    // Of the decisions of one request one fails: so does the request, and no other.
    let on_record = backend.denied(&objects[5]);
    committer.record(vec![on_record.clone()]).await.unwrap();
    let (before, broken, after) = tokio::join!(
        committer.record(vec![backend.denied(&objects[5])]),
        committer.record(vec![backend.denied(&objects[5]), on_record]),
        committer.record(vec![
            backend.denied(&objects[5]),
            backend.denied(&objects[5])
        ]),
    );
    assert_eq!((before, after), (Ok(()), Ok(())));
    assert_eq!(broken, Err(CommitError::Unavailable));
    committer.stop().await;
    assert_eq!(backend.recorded().await.len(), 7 + 5);
}

#[tokio::test]
async fn a_platform_that_panics_fails_what_it_was_asked_and_nothing_after_it() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let slow = Slow::over(&backend);
    slow.gate.add_permits(1000);
    let committer = Committer::start(
        &Parts::default(),
        slow.clone(),
        Arc::clone(&backend.blobs),
        &quick(),
        config::Budget::default(),
    );
    slow.panicking.store(true, Ordering::SeqCst);
    let unavailable = Err(CommitError::Unavailable);
    assert_eq!(
        committer.record(vec![backend.denied(&object)]).await,
        unavailable
    );
    assert_eq!(
        committer.erase(backend.allowed(&object), None).await,
        unavailable
    );
    slow.panicking.store(false, Ordering::SeqCst);
    assert_eq!(
        committer.record(vec![backend.denied(&object)]).await,
        Ok(())
    );
    assert_eq!(
        committer.erase(backend.allowed(&object), None).await,
        Ok(())
    );
    // The background removal, which panicked meanwhile, goes on.
    let doomed = BlobKey::random();
    backend.rows.reserve(&[doomed], 1).await.unwrap();
    eventually(async || backend.rows.backlog(now_ms(), 1000).await.unwrap().due == 0).await;
    committer.stop().await;
}

/// Rows that record only when let through, or not at all, or panic.
struct Slow {
    rows: Arc<dyn Rows>,
    gate: Semaphore,
    failing: AtomicBool,
    panicking: AtomicBool,
    /// How many decisions each call had.
    groups: parking_lot::Mutex<Vec<usize>>,
}

impl Slow {
    fn over(backend: &Backend) -> Arc<Self> {
        Arc::new(Self {
            rows: backend.rows.clone(),
            gate: Semaphore::new(0),
            failing: AtomicBool::new(false),
            panicking: AtomicBool::new(false),
            groups: parking_lot::Mutex::default(),
        })
    }

    fn panic_if_told(&self) {
        assert!(!self.panicking.load(Ordering::SeqCst), "as a test");
    }
}

#[async_trait]
impl Objects for Slow {
    async fn find(&self, target: &Target) -> Result<Option<Object>> {
        self.rows.find(target).await
    }

    async fn erase(&self, group: &[Erasure]) -> Result<Vec<Result<Doomed, EraseError>>> {
        self.panic_if_told();
        self.rows.erase(group).await
    }
}

#[async_trait]
impl Decisions for Slow {
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        self.panic_if_told();
        self.groups.lock().push(decisions.len());
        self.gate.acquire().await.unwrap().forget();
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("EIO".into()));
        }
        self.rows.record(decisions).await
    }
}

impl Outcomes for Slow {}

#[async_trait]
impl Removals for Slow {
    async fn claim(&self, claim: &Claim) -> Result<Vec<Shred>> {
        self.panic_if_told();
        self.rows.claim(claim).await
    }

    async fn hasten(&self, erased_ms: u64, reserved_ms: u64) -> Result<()> {
        self.rows.hasten(erased_ms, reserved_ms).await
    }

    async fn shredded(&self, removed: &[(BlobKey, Removal)]) -> Result<Vec<Result<()>>> {
        self.rows.shredded(removed).await
    }

    async fn postpone(
        &self,
        owner: Owner,
        key: BlobKey,
        not_before_ms: u64,
        error: &str,
    ) -> Result<()> {
        self.rows.postpone(owner, key, not_before_ms, error).await
    }
}
