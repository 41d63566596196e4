//! Erasures.

use super::subject::Subject;
use crate::domain::{Conflict, Erasure};
use crate::target::{Kind, Target, TenantId};

pub(super) async fn an_erasure_takes_the_row_and_dooms_every_blob(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let bystander = subject.upload("p2", b"others").await;
    let mut keys = subject.keys(&object);
    keys.sort();
    assert_eq!(subject.find(&object.target).await.as_ref(), Some(&object));
    let mut outcome = subject.erase(&[subject.erasure(&object)]).await;
    let mut doomed = outcome.remove(0).unwrap();
    doomed.blobs.sort();
    assert_eq!(doomed.blobs, keys);
    assert_eq!(subject.find(&object.target).await, None);
    let mut due: Vec<_> = subject.due(u64::MAX, 10).await;
    due.sort_by_key(|shred| shred.key);
    assert_eq!(due.iter().map(|shred| shred.key).collect::<Vec<_>>(), keys);
    assert_eq!(subject.find(&bystander.target).await, Some(bystander));
}

pub(super) async fn an_erasure_leaves_its_decision(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let erasure = subject.erasure(&object);
    subject.erase(std::slice::from_ref(&erasure)).await;
    let decisions = subject.decisions().await;
    assert_eq!(
        format!("{decisions:?}"),
        format!("[{:?}]", erasure.decision)
    );
}

pub(super) async fn of_two_erasures_of_one_object_in_a_group_the_first_wins(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let group = [subject.erasure(&object), subject.erasure(&object)];
    let outcome = subject.erase(&group).await;
    assert!(outcome[0].is_ok());
    assert_eq!(outcome[1], Err(Conflict::Gone));
    assert_eq!(subject.decisions().await.len(), 1);
}

pub(super) async fn an_erasure_that_conflicts_keeps_no_other_of_its_group(subject: &Subject) {
    let (one, held) = (
        subject.upload("p1", b"1").await,
        subject.upload("p2", b"2").await,
    );
    let other = subject.upload("p3", b"3").await;
    subject.fixture.hold(&held.target).await.unwrap();
    let group = [&one, &held, &other].map(|object| subject.erasure(object));
    let outcomes = subject.erase(&group).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!(outcomes[1], Err(Conflict::Held));
    assert_eq!(subject.decisions().await.len(), 2);
}

pub(super) async fn a_hold_that_came_after_the_decision_wins(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    subject.fixture.hold(&object.target).await.unwrap();
    let outcome = subject.erase(&[subject.erasure(&object)]).await;
    assert_eq!(outcome, [Err(Conflict::Held)]);
    let found = subject.find(&object.target).await.unwrap();
    assert!(found.held);
    assert_eq!(found.version, 2);
    // Nor does a decision that saw the hold.
    let outcome = subject.erase(&[subject.erasure(&found)]).await;
    assert_eq!(outcome, [Err(Conflict::Held)]);
    assert!(subject.decisions().await.is_empty());
}

pub(super) async fn a_retention_date_that_came_after_the_decision_wins(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let until = subject.now_ms + 60_000;
    subject.fixture.retain(&object.target, until).await.unwrap();
    let outcome = subject.erase(&[subject.erasure(&object)]).await;
    assert_eq!(outcome, [Err(Conflict::RetainedUntil(until))]);
    let found = subject.find(&object.target).await.unwrap();
    let due = Erasure {
        at_ms: until,
        ..subject.erasure(&found)
    };
    assert!(subject.erase(&[due]).await[0].is_ok());
}

pub(super) async fn a_stale_decision_erases_nothing(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let relabelled = subject.fixture.relabel(&object.target, &["evidence"]);
    relabelled.await.unwrap();
    let outcome = subject.erase(&[subject.erasure(&object)]).await;
    assert_eq!(outcome, [Err(Conflict::Changed)]);
    let found = subject.find(&object.target).await.unwrap();
    assert_eq!(found.labels, ["evidence"]);
    assert_eq!(found.version, 2);
    assert_eq!(found.retain_until_ms, None);
}

pub(super) async fn a_decision_on_a_predecessor_of_the_same_name_erases_nothing(subject: &Subject) {
    let predecessor = subject.upload("p1", b"bytes").await;
    let erased = subject.erase(&[subject.erasure(&predecessor)]).await;
    assert!(erased[0].is_ok());
    let mut successor = subject.object("p1", b"other bytes");
    successor.created_at_ms = predecessor.created_at_ms + 1;
    let successor = subject.add(successor, b"other bytes").await;
    assert_eq!(successor.version, predecessor.version);
    let outcome = subject.erase(&[subject.erasure(&predecessor)]).await;
    assert_eq!(outcome, [Err(Conflict::Changed)]);
    assert_eq!(subject.find(&successor.target).await, Some(successor));
}

pub(super) async fn a_foreign_name_finds_nothing(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    for name in foreign(&object.target) {
        assert_eq!(subject.find(&name).await, None, "{name:?}");
    }
}

/// Names that differ from this one in a single thing.
pub(super) fn foreign(own: &Target) -> Vec<Target> {
    let id = |id: &str| Target {
        id: id.to_owned(),
        ..own.clone()
    };
    vec![
        Target {
            tenant: TenantId(own.tenant.0 + 1),
            ..own.clone()
        },
        Target {
            kind: Kind::Document,
            ..own.clone()
        },
        Target {
            owner: "user-60".to_owned(),
            ..own.clone()
        },
        id("P1"),
        id("%"),
        id(""),
    ]
}
