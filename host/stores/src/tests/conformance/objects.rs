//! Erasures, and the account of doomed bytes.

use atropos::store::catalogue::{Backlog, Change};

use crate::tests::*;

pub(super) async fn an_erasure_takes_the_row_and_dooms_every_blob(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let bystander = backend.upload("p2", b"others").await;
    let mut keys = backend.keys(&object).await;
    keys.sort();
    let mut outcome = backend.erase(&[erasure(&object)]).await;
    let mut doomed = outcome.remove(0).unwrap();
    doomed.blobs.sort();
    assert_eq!(doomed.blobs, keys);
    assert_eq!(backend.objects.find(&object.target).await.unwrap(), None);
    assert!(backend.catalogue.by_blob(keys[0]).await.unwrap().is_none());
    assert!(!backend.catalogue.is_named(keys[0]).await.unwrap());
    let mut shreds: Vec<_> = backend.objects.shreds(u64::MAX, 10).await.unwrap();
    shreds.sort_by_key(|shred| shred.key);
    assert_eq!(
        shreds.iter().map(|shred| shred.key).collect::<Vec<_>>(),
        keys
    );
    let removed: Vec<_> = keys.iter().map(|key| (*key, Removal::Removed)).collect();
    backend.objects.shredded(&removed).await.unwrap();
    assert!(
        backend
            .objects
            .shreds(u64::MAX, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        backend
            .objects
            .find(&bystander.target)
            .await
            .unwrap()
            .is_some()
    );
}

pub(super) async fn an_erasure_leaves_an_event_and_its_decision(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let erasure = erasure(&object);
    backend.erase(std::slice::from_ref(&erasure)).await;
    let activity =
        backend
            .catalogue
            .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    let activity = activity.await.unwrap();
    assert_eq!(activity.len(), 1);
    assert_eq!(activity[0].activity, "User Photo Delete");
    assert_eq!(activity[0].object_id, "p1");
    assert_eq!(activity[0].at_ms, erasure.at_ms);
    assert_eq!(activity[0].caller, "key-1");
    assert_eq!(activity[0].decision_id, Some(erasure.decision.id));
    assert_eq!(activity[0].bytes_absent, 0);
    let others = backend
        .catalogue
        .activity(backend.tenant.id, Some(Kind::Photo), "user-7", FIRST);
    assert!(others.await.unwrap().is_empty());
    let decisions = decisions(backend).await;
    assert_eq!(
        format!("{decisions:?}"),
        format!("[{:?}]", erasure.decision)
    );
}

pub(super) async fn of_two_erasures_of_one_object_in_a_group_the_first_wins(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let group = [erasure(&object), erasure(&object)];
    let outcome = backend.erase(&group).await;
    assert!(outcome[0].is_ok());
    assert_eq!(outcome[1], Err(Conflict::Gone));
    assert_eq!(decisions(backend).await.len(), 1);
}

pub(super) async fn a_hold_that_came_after_the_decision_wins(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let place = backend.catalogue.place_hold(&object.target, "a lawsuit", 1);
    place.await.unwrap();
    let outcome = backend.erase(&[erasure(&object)]).await;
    assert_eq!(outcome, [Err(Conflict::Held)]);
    let found = backend.objects.find(&object.target).await.unwrap().unwrap();
    assert!(found.held);
    assert_eq!(found.version, 2);
    // Nor does a decision that saw the hold.
    let outcome = backend.erase(&[erasure(&found)]).await;
    assert_eq!(outcome, [Err(Conflict::Held)]);
    let activity =
        backend
            .catalogue
            .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    assert!(activity.await.unwrap().is_empty());
}

pub(super) async fn a_retention_date_that_came_after_the_decision_wins(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let until = now_ms() + 60_000;
    let change = Change {
        retain_until_ms: Some(Some(until)),
        ..Change::default()
    };
    backend
        .catalogue
        .change(&object.target, change)
        .await
        .unwrap();
    let early = erasure(&object);
    let outcome = backend.erase(std::slice::from_ref(&early)).await;
    assert_eq!(outcome, [Err(Conflict::RetainedUntil(until))]);
    let found = backend.objects.find(&object.target).await.unwrap().unwrap();
    let due = Erasure {
        at_ms: until,
        ..erasure(&found)
    };
    assert!(backend.erase(&[due]).await[0].is_ok());
}

pub(super) async fn a_stale_decision_erases_nothing(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let change = Change {
        labels: Some(vec!["evidence".to_owned()]),
        ..Change::default()
    };
    backend
        .catalogue
        .change(&object.target, change)
        .await
        .unwrap();
    let outcome = backend.erase(&[erasure(&object)]).await;
    assert_eq!(outcome, [Err(Conflict::Changed)]);
    let found = backend.objects.find(&object.target).await.unwrap().unwrap();
    assert_eq!(found.labels, ["evidence"]);
    assert_eq!(found.version, 2);
    assert_eq!(found.retain_until_ms, None);
}

pub(super) async fn a_decision_on_a_predecessor_of_the_same_name_erases_nothing(backend: &Backend) {
    let predecessor = backend.upload("p1", b"bytes").await;
    let erased = backend.erase(&[erasure(&predecessor)]).await;
    assert!(erased[0].is_ok());
    let mut successor = backend.new_object("p1", b"other bytes").await;
    successor.object.created_at_ms = predecessor.created_at_ms + 1;
    backend.catalogue.insert(successor.clone()).await.unwrap();
    assert_eq!(successor.object.version, predecessor.version);
    let outcome = backend.erase(&[erasure(&predecessor)]).await;
    assert_eq!(outcome, [Err(Conflict::Changed)]);
    assert!(
        backend
            .readable(&backend.keys(&successor.object).await)
            .await
    );
}

pub(super) async fn a_doomed_blob_waits_for_its_lease(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let erasure = erasure(&object);
    let lease = erasure.lease_until_ms;
    backend.erase(&[erasure]).await;
    assert!(
        backend
            .objects
            .shreds(lease - 1, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(backend.objects.shreds(lease, 1).await.unwrap().len(), 1);
    let both = backend.objects.shreds(lease, 10).await.unwrap();
    assert_eq!(both.len(), 2, "looking does not take them off");
}

pub(super) async fn a_failed_removal_is_put_off_and_counted(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let erasure = erasure(&object);
    let lease = erasure.lease_until_ms;
    let key = backend.keys(&object).await[0];
    backend.erase(&[erasure]).await;
    assert_eq!(
        backend
            .catalogue
            .backlog(lease - 1, u32::MAX)
            .await
            .unwrap(),
        Backlog::default()
    );
    backend
        .objects
        .postpone(key, lease + 9, "EIO")
        .await
        .unwrap();
    let due = backend.objects.shreds(lease + 9, 10).await.unwrap();
    let shred = Shred {
        key,
        not_before_ms: lease + 9,
        attempts: 1,
    };
    assert_eq!(due.last(), Some(&shred), "soonest first");
    let backlog = Backlog {
        due: 2,
        most_attempts: 1,
    };
    assert_eq!(
        backend.catalogue.backlog(lease, u32::MAX).await.unwrap(),
        backlog
    );
}

pub(super) async fn what_lies_too_far_ahead_is_brought_forward(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let erasure = Erasure {
        lease_until_ms: 900,
        ..erasure(&object)
    };
    backend.erase(&[erasure]).await;
    let reserved = BlobKey::random();
    backend.catalogue.reserve(&[reserved], 900).await.unwrap();
    // Nothing lies further ahead than this.
    backend.objects.hasten(900, 900).await.unwrap();
    assert!(backend.objects.shreds(899, 10).await.unwrap().is_empty());
    backend.objects.hasten(100, 500).await.unwrap();
    assert_eq!(backend.objects.shreds(100, 10).await.unwrap().len(), 2);
    assert_eq!(backend.objects.shreds(499, 10).await.unwrap().len(), 2);
    let all = backend.objects.shreds(500, 10).await.unwrap();
    assert_eq!(all.last().unwrap().key, reserved);
    // What was tried in vain is no upload any more.
    backend
        .objects
        .postpone(reserved, 500, "EIO")
        .await
        .unwrap();
    backend.objects.hasten(100, 500).await.unwrap();
    assert_eq!(backend.objects.shreds(100, 10).await.unwrap().len(), 3);
}

pub(super) async fn bytes_that_were_absent_are_noted_at_the_event(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys(&object).await;
    backend.erase(&[erasure(&object)]).await;
    let removed = [(keys[0], Removal::Absent), (keys[1], Removal::Removed)];
    backend.objects.shredded(&removed).await.unwrap();
    backend.objects.shredded(&removed).await.unwrap();
    let activity =
        backend
            .catalogue
            .activity(backend.tenant.id, Some(Kind::Photo), "user-6", FIRST);
    assert_eq!(activity.await.unwrap()[0].bytes_absent, 1);
}

pub(super) async fn a_recorded_refusal_is_kept_and_erases_nothing(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let denied = denied(&object);
    // Of one moment, as two may be.
    let fault = Decision {
        id: Uuid::new_v4(),
        verdict: Verdict::Fault("policy-trap".to_owned()),
        ..denied.clone()
    };
    let batch = [denied, fault];
    backend.objects.record(&batch).await.unwrap();
    let decisions = decisions(backend).await;
    let verdicts: Vec<_> = decisions.iter().map(|one| one.verdict.as_str()).collect();
    assert_eq!(verdicts, ["policy-trap", "denied"], "latest first");
    assert!(
        backend
            .objects
            .find(&object.target)
            .await
            .unwrap()
            .is_some()
    );
}
