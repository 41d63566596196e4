//! What rows say there is, as a whole, and what waits to be removed.

use super::{FIRST, Service};
use crate::domain::ledger::{Soundness, Totals};
use crate::domain::{Claim, Conflict, Owner, Removal};
use crate::target::{BlobKey, Kind};

pub(in crate::conformance) async fn a_reservation_is_brought_forward_to_a_time_of_its_own(
    service: &Service,
) {
    let (reserved, at_ms) = (BlobKey::random(), service.now_ms);
    service
        .rows
        .reserve(&[reserved], at_ms + 900)
        .await
        .unwrap();
    service.rows.hasten(at_ms + 100, at_ms + 500).await.unwrap();
    assert!(service.due(at_ms + 499, 10).await.is_empty());
    let owner = Owner::random();
    let claim = Claim {
        owner,
        by_ms: at_ms + 500,
        until_ms: at_ms + 500,
        limit: 10,
    };
    assert_eq!(service.rows.claim(&claim).await.unwrap().len(), 1);
    // What was tried in vain is no upload any more.
    service.postpone(owner, reserved, at_ms + 500).await;
    service.rows.hasten(at_ms + 100, at_ms + 500).await.unwrap();
    assert_eq!(service.due(at_ms + 100, 10).await.len(), 1);
}

pub(in crate::conformance) async fn a_sound_storage_has_nothing_wrong_with_it(service: &Service) {
    service.upload("p1", b"bytes").await;
    let soundness = service.rows.verify().await.unwrap();
    assert_eq!(soundness, Soundness::default());
    let totals = Totals {
        tenants: 1,
        objects: 1,
    };
    assert_eq!(service.rows.totals().await.unwrap(), totals);
}

pub(in crate::conformance) async fn what_a_row_or_a_shred_record_names_is_not_unnamed(
    service: &Service,
) {
    let live = service.upload("p1", b"bytes").await;
    let erased = service.upload("p2", b"bytes").await;
    let mut keys = service.keys_of(&live).await;
    keys.extend(service.keys_of(&erased).await);
    service.erase(&[service.erasure(&erased)]).await;
    let reserved = BlobKey::random();
    service.rows.reserve(&[reserved], 1).await.unwrap();
    let strangers = [BlobKey::random(), BlobKey::random()];
    keys.push(reserved);
    keys.extend(strangers);
    let mut unnamed = service.rows.unnamed(&keys).await.unwrap();
    unnamed.sort();
    let mut expected = strangers.to_vec();
    expected.sort();
    assert_eq!(unnamed, expected);
}

pub(in crate::conformance) async fn the_blobs_of_rows_are_paged_by_key(service: &Service) {
    let mut expected = Vec::new();
    for id in ["p1", "p2", "p3"] {
        let object = service.upload(id, b"bytes").await;
        expected.extend(service.keys_of(&object).await);
    }
    expected.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = service.rows.named(after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        assert!(page.iter().all(|one| one.size_bytes == 5));
        assert!(
            page.iter()
                .all(|one| one.tenant == service.tenant.subdomain)
        );
        listed.extend(page.iter().map(|one| one.key));
    }
    assert_eq!(listed, expected);
}

pub(in crate::conformance) async fn what_is_overdue_tells_attempts_and_error(service: &Service) {
    let object = service.upload("p1", b"bytes").await;
    let erasure = service.erasure(&object);
    let (erased, lease, owner) = (erasure.at_ms, erasure.lease_until_ms, erasure.owner);
    let key = service.keys_of(&object).await[0];
    service.erase(&[erasure]).await;
    let before = service.rows.overdue(lease - 1, 10).await.unwrap();
    assert!(before.is_empty(), "{before:?}");
    service.postpone(owner, key, lease + 9).await;
    let overdue = service.rows.overdue(lease, 10).await.unwrap();
    assert_eq!(overdue.len(), 2);
    let first = &overdue[0];
    assert_eq!((first.key, first.attempts), (key, 1));
    assert_eq!(first.erased_at_ms, Some(erased));
    assert_eq!(first.next_try_at_ms, lease + 9);
    assert_eq!(first.last_error.as_deref(), Some("EIO"));
    assert_eq!(service.rows.overdue(lease, 1).await.unwrap().len(), 1);
    // Only what was tried in vain is tried again.
    service.rows.retry(5).await.unwrap();
    let due = service.due(lease - 1, 10).await;
    assert_eq!(due.iter().map(|one| one.key).collect::<Vec<_>>(), [key]);
}

pub(in crate::conformance) async fn what_was_tried_comes_before_what_is_due_and_a_count_ends_where_it_is_told_to(
    service: &Service,
) {
    let keys: Vec<_> = (0..6).map(|_| BlobKey::random()).collect();
    let name = |key: &BlobKey| keys.iter().position(|one| one == key).unwrap();
    for (at_ms, key) in (10..).zip(&keys) {
        service.rows.reserve(&[*key], at_ms).await.unwrap();
    }
    // One that was tried is due, one is not yet, and of two with as many attempts the sooner is first.
    for (key, until_ms, times) in [(1, 5, 1), (3, 99, 2), (4, 50, 1)] {
        for _ in 0..times {
            service.postpone(Owner::random(), keys[key], until_ms).await;
        }
    }
    let overdue = async |by_ms, limit| {
        let overdue = service.rows.overdue(by_ms, limit).await.unwrap();
        overdue.iter().map(|one| name(&one.key)).collect::<Vec<_>>()
    };
    assert_eq!(overdue(12, 10).await, [3, 1, 4, 0, 2]);
    assert_eq!(overdue(12, 4).await, [3, 1, 4, 0]);
    assert_eq!(overdue(12, 2).await, [3, 1]);
    assert_eq!(overdue(0, 10).await, [3, 1, 4]);
    let counted = async |by_ms, at_most| {
        let backlog = service.rows.backlog(by_ms, at_most).await.unwrap();
        (backlog.due, backlog.most_attempts)
    };
    for (by_ms, due) in [(0, 3), (5, 3), (12, 5), (60, 6), (u64::MAX, 6)] {
        assert_eq!(counted(by_ms, u32::MAX).await, (due, 2), "{by_ms}");
        assert_eq!(counted(by_ms, 2).await, (2, 2), "{by_ms}");
    }
}

pub(in crate::conformance) async fn a_lost_object_is_forgotten_unless_something_stands_against_it(
    service: &Service,
) {
    let object = service.upload("p1", b"bytes").await;
    let keys = service.keys_of(&object).await;
    let place = service.rows.place_hold(&object.target, "a lawsuit", 1);
    place.await.unwrap();
    let held = service.find(&object.target).await.unwrap();
    for stale in [&object, &held] {
        let forgotten = service.rows.forget(stale, 5).await.unwrap();
        assert_eq!(forgotten, Err(Conflict::Held));
    }
    service.rows.release_holds(&object.target).await.unwrap();
    assert_eq!(
        service.rows.forget(&held, 5).await.unwrap(),
        Err(Conflict::Changed)
    );
    let found = service.find(&object.target).await.unwrap();
    assert_eq!(service.rows.forget(&found, 5).await.unwrap(), Ok(()));
    assert_eq!(service.find(&object.target).await, None);
    assert_eq!(
        service.rows.forget(&found, 5).await.unwrap(),
        Err(Conflict::Gone)
    );
    // Should the bytes come back after all, they are doomed.
    assert!(service.rows.unnamed(&keys).await.unwrap().is_empty());
    let removed: Vec<_> = keys.iter().map(|key| (*key, Removal::Absent)).collect();
    service.strike_off(&removed).await;
    let activity = service
        .rows
        .activity(service.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    let activity = activity.await.unwrap();
    assert_eq!(activity.len(), 1);
    assert_eq!(activity[0].activity, "User Photo Lost");
    assert_eq!((activity[0].at_ms, activity[0].bytes_absent), (5, 2));
    assert_eq!(activity[0].decision_id, None);
}
