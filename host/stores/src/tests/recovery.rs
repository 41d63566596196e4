//! What a crash leaves behind, and how it is finished.

use std::sync::atomic::Ordering;

use atropos::commit::Committer;
use atropos::parts::Parts;

use super::commit::{Moody, committer, eventually, quick};
use super::*;
use crate::sqlite::{Sqlite, damage};

#[tokio::test]
async fn a_crash_between_commit_and_unlink_is_finished_at_once_by_the_next_start() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    // The predecessor committed with a lease that still runs, and was gone.
    backend.erase(&[backend.erasure(&object)]).await;
    assert!(backend.readable(&keys).await);
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || !backend.readable(&keys).await).await;
    next.stop().await;
    assert!(backend.due(u64::MAX, 10).await.is_empty());
}

#[tokio::test]
async fn a_crash_after_the_unlink_does_not_tell_of_absent_bytes() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    backend.erase(&[backend.erasure(&object)]).await;
    backend.blobs.remove_all(&keys).await;
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || {
        let left = backend.rows.backlog(u64::MAX, u32::MAX).await.unwrap();
        left.due == 0
    })
    .await;
    next.stop().await;
    let activity = backend
        .rows
        .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    assert_eq!(activity.await.unwrap()[0].bytes_absent, 0);
}

#[tokio::test]
async fn recovery_leaves_uploads_under_way_alone() {
    let backend = Backend::embedded().await;
    let erased = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&erased).await;
    let under_way = backend.new_object("p2", b"others").await;
    backend.erase(&[backend.erasure(&erased)]).await;
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || !backend.readable(&keys).await).await;
    backend.rows.insert(under_way.clone()).await.unwrap();
    assert!(
        backend
            .readable(&backend.keys_of(&under_way.object).await)
            .await
    );
    next.stop().await;
}

#[tokio::test]
async fn an_upload_that_never_completed_leaves_nothing_once_its_time_is_over() {
    let backend = Backend::embedded().await;
    let key = BlobKey::random();
    backend.rows.reserve(&[key], now_ms() + 50).await.unwrap();
    backend
        .bytes
        .put(key, None, &mut &b"half an upload"[..])
        .await
        .unwrap();
    let config = atropos::config::Erase {
        shred_lease_ms: 0,
        ..quick()
    };
    let next = committer(&backend, Arc::clone(&backend.blobs), &config);
    eventually(async || !backend.readable(&[key]).await).await;
    next.stop().await;
    assert!(backend.due(u64::MAX, 10).await.is_empty());
}

#[tokio::test]
async fn more_than_a_page_of_doomed_bytes_is_recovered() {
    let backend = Backend::embedded().await;
    let mut group = Vec::new();
    for n in 0..300 {
        let mut new = backend.new_object(&format!("p{n}"), b"bytes").await;
        new.renditions.truncate(1);
        backend.rows.insert(new.clone()).await.unwrap();
        group.push(backend.erasure(&new.object));
    }
    let doomed = backend.erase(&group).await;
    let keys: Vec<_> = doomed
        .into_iter()
        .flat_map(|one| one.unwrap().blobs)
        .collect();
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || !backend.readable(&keys).await).await;
    next.stop().await;
}

#[tokio::test]
async fn recovery_of_bytes_that_resist_backs_off_and_still_serves_others() {
    let backend = Backend::embedded().await;
    let (old, new) = (
        backend.upload("p1", b"1").await,
        backend.upload("p2", b"2").await,
    );
    backend.erase(&[backend.erasure(&old)]).await;
    let blobs = Moody::over(&backend, true);
    let next = committer(&backend, blobs.clone(), &quick());
    eventually(async || blobs.tried.load(Ordering::SeqCst) > 0).await;
    blobs.failing.store(false, Ordering::SeqCst);
    next.erase(backend.allowed(&new), None).await.unwrap();
    eventually(async || backend.rows.backlog(now_ms(), u32::MAX).await.unwrap().due == 0).await;
    next.stop().await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let backend = Backend::embedded().await;
    let (erased, kept) = (
        backend.upload("p1", b"1").await,
        backend.upload("p2", b"2").await,
    );
    backend.erase(&[backend.erasure(&erased)]).await;
    let reopened = Sqlite::open(backend.path()).unwrap();
    let claim = Claim {
        owner: Owner::random(),
        by_ms: u64::MAX,
        until_ms: u64::MAX,
        limit: 10,
    };
    assert_eq!(reopened.find(&erased.target).await.unwrap(), None);
    assert_eq!(reopened.find(&kept.target).await.unwrap(), Some(kept));
    assert_eq!(
        reopened
            .claim(&claim)
            .await
            .unwrap()
            .iter()
            .filter(|shred| shred.attempts == 0)
            .count(),
        2
    );
}

#[tokio::test]
async fn records_that_cannot_be_read_or_struck_off_hold_up_no_other() {
    let backend = Backend::embedded().await;
    let mut keys = Vec::new();
    let mut group = Vec::new();
    for n in 0..3 {
        let object = backend.upload(&format!("p{n}"), b"bytes").await;
        keys.extend(backend.keys_of(&object).await);
        group.push(backend.erasure(&object));
    }
    backend.erase(&group).await;
    let bad = format!(
        "UPDATE shreds SET event = -1 WHERE key = '{}';
        INSERT INTO shreds (key, not_before_ms) VALUES ('no key', 1);",
        keys[0]
    );
    damage(&backend, &bad);
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || {
        let left = backend.rows.overdue(u64::MAX, 10).await.unwrap();
        !backend.readable(&keys).await && left.len() == 1 && left[0].attempts > 1
    })
    .await;
    let overdue = backend.rows.overdue(0, 10).await.unwrap();
    assert_eq!((overdue.len(), overdue[0].key), (1, keys[0]));
    let why = overdue[0].last_error.as_deref().unwrap_or_default();
    assert!(why.contains("damaged"), "{why}");
    next.stop().await;
}

#[tokio::test]
async fn what_another_server_has_claimed_is_left_to_it_and_taken_over_by_a_recovery() {
    let backend = Backend::embedded().await;
    let (claimed, free) = (
        backend.upload("p1", b"1").await,
        backend.upload("p2", b"2").await,
    );
    let due = |object: &Object| Erasure {
        lease_until_ms: now_ms(),
        ..backend.erasure(object)
    };
    backend.erase(&[due(&claimed)]).await;
    // Another server claims it, and is gone.
    let claim = Claim {
        owner: Owner::random(),
        by_ms: now_ms(),
        until_ms: now_ms() + 3_600_000,
        limit: 10,
    };
    assert_eq!(backend.rows.claim(&claim).await.unwrap().len(), 2);
    backend.erase(&[due(&free)]).await;
    let start = |recovers| {
        let (parts, budget) = (Parts::default(), Budget::default());
        let (rows, blobs) = (backend.rows.clone(), backend.blobs.clone());
        match recovers {
            true => Committer::start(&parts, rows, blobs, &quick(), budget),
            false => Committer::start_beside(&parts, rows, blobs, &quick(), budget),
        }
    };
    let beside = start(false);
    eventually(async || !backend.readable(&backend.keys(&free)).await).await;
    assert!(backend.readable(&backend.keys(&claimed)).await);
    beside.stop().await;
    let recovering = start(true);
    eventually(async || !backend.readable(&backend.keys(&claimed)).await).await;
    recovering.stop().await;
}
