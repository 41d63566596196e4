//! What rows say there is, as a whole.

use atropos::store::ledger::{Soundness, Totals};

use crate::tests::*;

pub(super) async fn a_sound_storage_has_nothing_wrong_with_it(backend: &Backend) {
    backend.upload("p1", b"bytes").await;
    let soundness = backend.ledger.verify().await.unwrap();
    assert_eq!(soundness, Soundness::default());
    let totals = Totals {
        tenants: 1,
        objects: 1,
    };
    assert_eq!(backend.ledger.totals().await.unwrap(), totals);
}

pub(super) async fn what_a_row_or_a_shred_record_names_is_not_unnamed(backend: &Backend) {
    let live = backend.upload("p1", b"bytes").await;
    let erased = backend.upload("p2", b"bytes").await;
    let mut keys = backend.keys(&live).await;
    keys.extend(backend.keys(&erased).await);
    backend.erase(&[erasure(&erased)]).await;
    let reserved = BlobKey::random();
    backend.catalogue.reserve(&[reserved], 1).await.unwrap();
    let strangers = [BlobKey::random(), BlobKey::random()];
    keys.push(reserved);
    keys.extend(strangers);
    let mut unnamed = backend.ledger.unnamed(&keys).await.unwrap();
    unnamed.sort();
    let mut expected = strangers.to_vec();
    expected.sort();
    assert_eq!(unnamed, expected);
}

pub(super) async fn the_blobs_of_rows_are_paged_by_key(backend: &Backend) {
    let mut expected = Vec::new();
    for id in ["p1", "p2", "p3"] {
        let object = backend.upload(id, b"bytes").await;
        expected.extend(backend.keys(&object).await);
    }
    expected.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = backend.ledger.named(after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        assert!(page.iter().all(|one| one.size_bytes == 5));
        assert!(
            page.iter()
                .all(|one| one.tenant == backend.tenant.subdomain)
        );
        listed.extend(page.iter().map(|one| one.key));
    }
    assert_eq!(listed, expected);
}

pub(super) async fn what_is_overdue_tells_attempts_and_error(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let erasure = erasure(&object);
    let (erased, lease) = (erasure.at_ms, erasure.lease_until_ms);
    let key = backend.keys(&object).await[0];
    backend.erase(&[erasure]).await;
    let before = backend.ledger.overdue(lease - 1, 10).await.unwrap();
    assert!(before.is_empty(), "{before:?}");
    backend
        .objects
        .postpone(key, lease + 9, "EIO")
        .await
        .unwrap();
    let overdue = backend.ledger.overdue(lease, 10).await.unwrap();
    assert_eq!(overdue.len(), 2);
    let first = &overdue[0];
    assert_eq!((first.key, first.attempts), (key, 1));
    assert_eq!(first.erased_at_ms, Some(erased));
    assert_eq!(first.next_try_at_ms, lease + 9);
    assert_eq!(first.last_error.as_deref(), Some("EIO"));
    assert_eq!(backend.ledger.overdue(lease, 1).await.unwrap().len(), 1);
    // Only what was tried in vain is tried again.
    backend.ledger.retry(5).await.unwrap();
    let due = backend.objects.shreds(lease - 1, 10).await.unwrap();
    assert_eq!(due.iter().map(|one| one.key).collect::<Vec<_>>(), [key]);
}

pub(super) async fn what_was_tried_comes_before_what_is_due_and_a_count_ends_where_it_is_told_to(
    backend: &Backend,
) {
    let keys: Vec<_> = (0..6).map(|_| BlobKey::random()).collect();
    let name = |key: &BlobKey| keys.iter().position(|one| one == key).unwrap();
    for (at_ms, key) in (10..).zip(&keys) {
        backend.catalogue.reserve(&[*key], at_ms).await.unwrap();
    }
    // One that was tried is due, one is not yet, and of two with as many attempts the sooner is first.
    for (key, until_ms, times) in [(1, 5, 1), (3, 99, 2), (4, 50, 1)] {
        for _ in 0..times {
            let postponed = backend.objects.postpone(keys[key], until_ms, "EIO");
            postponed.await.unwrap();
        }
    }
    let overdue = async |by_ms, limit| {
        let overdue = backend.ledger.overdue(by_ms, limit).await.unwrap();
        overdue.iter().map(|one| name(&one.key)).collect::<Vec<_>>()
    };
    assert_eq!(overdue(12, 10).await, [3, 1, 4, 0, 2]);
    assert_eq!(overdue(12, 4).await, [3, 1, 4, 0]);
    assert_eq!(overdue(12, 2).await, [3, 1]);
    assert_eq!(overdue(0, 10).await, [3, 1, 4]);
    let counted = async |by_ms, at_most| {
        let backlog = backend.catalogue.backlog(by_ms, at_most).await.unwrap();
        (backlog.due, backlog.most_attempts)
    };
    for (by_ms, due) in [(0, 3), (5, 3), (12, 5), (60, 6), (u64::MAX, 6)] {
        assert_eq!(counted(by_ms, u32::MAX).await, (due, 2), "{by_ms}");
        assert_eq!(counted(by_ms, 2).await, (2, 2), "{by_ms}");
    }
}

pub(super) async fn a_lost_object_is_forgotten_unless_something_stands_against_it(
    backend: &Backend,
) {
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys(&object).await;
    let place = backend.catalogue.place_hold(&object.target, "a lawsuit", 1);
    place.await.unwrap();
    let held = backend.objects.find(&object.target).await.unwrap().unwrap();
    for stale in [&object, &held] {
        let forgotten = backend.ledger.forget(stale, 5).await.unwrap();
        assert_eq!(forgotten, Err(Conflict::Held));
    }
    backend
        .catalogue
        .release_holds(&object.target)
        .await
        .unwrap();
    assert_eq!(
        backend.ledger.forget(&held, 5).await.unwrap(),
        Err(Conflict::Changed)
    );
    let found = backend.objects.find(&object.target).await.unwrap().unwrap();
    assert_eq!(backend.ledger.forget(&found, 5).await.unwrap(), Ok(()));
    assert_eq!(backend.objects.find(&object.target).await.unwrap(), None);
    assert_eq!(
        backend.ledger.forget(&found, 5).await.unwrap(),
        Err(Conflict::Gone)
    );
    // Should the bytes come back after all, they are doomed.
    assert!(backend.ledger.unnamed(&keys).await.unwrap().is_empty());
    let removed: Vec<_> = keys.iter().map(|key| (*key, Removal::Absent)).collect();
    backend.objects.shredded(&removed).await.unwrap();
    let activity =
        backend
            .catalogue
            .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    let activity = activity.await.unwrap();
    assert_eq!(activity.len(), 1);
    assert_eq!(activity[0].activity, "User Photo Lost");
    assert_eq!((activity[0].at_ms, activity[0].bytes_absent), (5, 2));
    assert_eq!(activity[0].decision_id, None);
}
