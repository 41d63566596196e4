//! What a crash leaves behind, and how it is finished.

use std::sync::atomic::Ordering;

use super::commit::{Moody, committer, eventually, quick};
use super::*;
use crate::sqlite::{Sqlite, damage};

#[tokio::test]
async fn a_crash_between_commit_and_unlink_is_finished_at_once_by_the_next_start() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys(&object).await;
    // The predecessor committed with a lease that still runs, and was gone.
    backend.erase(&[erasure(&object)]).await;
    assert!(backend.readable(&keys).await);
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || !backend.readable(&keys).await).await;
    next.stop().await;
    assert!(
        backend
            .objects
            .shreds(u64::MAX, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_crash_after_the_unlink_does_not_tell_of_absent_bytes() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys(&object).await;
    backend.erase(&[erasure(&object)]).await;
    backend.blobs.remove_all(&keys).await;
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || {
        let left = backend.catalogue.backlog(u64::MAX, u32::MAX).await.unwrap();
        left.due == 0
    })
    .await;
    next.stop().await;
    let activity =
        backend
            .catalogue
            .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    assert_eq!(activity.await.unwrap()[0].bytes_absent, 0);
}

#[tokio::test]
async fn recovery_leaves_uploads_under_way_alone() {
    let backend = Backend::embedded().await;
    let erased = backend.upload("p1", b"bytes").await;
    let keys = backend.keys(&erased).await;
    let under_way = backend.new_object("p2", b"others").await;
    backend.erase(&[erasure(&erased)]).await;
    let next = committer(&backend, Arc::clone(&backend.blobs), &quick());
    eventually(async || !backend.readable(&keys).await).await;
    backend.catalogue.insert(under_way.clone()).await.unwrap();
    assert!(
        backend
            .readable(&backend.keys(&under_way.object).await)
            .await
    );
    next.stop().await;
}

#[tokio::test]
async fn an_upload_that_never_completed_leaves_nothing_once_its_time_is_over() {
    let backend = Backend::embedded().await;
    let key = BlobKey::random();
    backend
        .catalogue
        .reserve(&[key], now_ms() + 50)
        .await
        .unwrap();
    backend
        .blobs
        .put(key, &mut &b"half an upload"[..])
        .await
        .unwrap();
    let config = atropos::config::Erase {
        shred_lease_ms: 0,
        ..quick()
    };
    let next = committer(&backend, Arc::clone(&backend.blobs), &config);
    eventually(async || !backend.readable(&[key]).await).await;
    next.stop().await;
    assert!(
        backend
            .objects
            .shreds(u64::MAX, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn more_than_a_page_of_doomed_bytes_is_recovered() {
    let backend = Backend::embedded().await;
    let mut group = Vec::new();
    for n in 0..300 {
        let mut new = backend.new_object(&format!("p{n}"), b"bytes").await;
        new.renditions.truncate(1);
        backend.catalogue.insert(new.clone()).await.unwrap();
        group.push(erasure(&new.object));
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
    backend.erase(&[erasure(&old)]).await;
    let blobs = Moody::over(&backend, true);
    let next = committer(&backend, blobs.clone(), &quick());
    eventually(async || blobs.tried.load(Ordering::SeqCst) > 0).await;
    blobs.failing.store(false, Ordering::SeqCst);
    next.erase(allowed(&new), None).await.unwrap();
    eventually(async || {
        backend
            .catalogue
            .backlog(now_ms(), u32::MAX)
            .await
            .unwrap()
            .due
            == 0
    })
    .await;
    next.stop().await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let backend = Backend::embedded().await;
    let (erased, kept) = (
        backend.upload("p1", b"1").await,
        backend.upload("p2", b"2").await,
    );
    backend.erase(&[erasure(&erased)]).await;
    let reopened = Sqlite::open(backend.dir.path()).unwrap();
    assert_eq!(reopened.find(&erased.target).await.unwrap(), None);
    assert_eq!(reopened.find(&kept.target).await.unwrap(), Some(kept));
    assert_eq!(
        reopened
            .shreds(u64::MAX, 10)
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
        keys.extend(backend.keys(&object).await);
        group.push(erasure(&object));
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
        let left = backend.objects.shreds(u64::MAX, 10).await.unwrap();
        !backend.readable(&keys).await && left.len() == 1 && left[0].attempts > 1
    })
    .await;
    let overdue = backend.ledger.overdue(0, 10).await.unwrap();
    assert_eq!((overdue.len(), overdue[0].key), (1, keys[0]));
    let why = overdue[0].last_error.as_deref().unwrap_or_default();
    assert!(why.contains("damaged"), "{why}");
    next.stop().await;
}
