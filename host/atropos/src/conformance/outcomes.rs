//! What became of requests that have a key.

use super::subject::Subject;
use crate::config::{Budget, Rates};
use crate::domain::repeat::{Outcome, StoredOutcome};
use crate::domain::{Conflict, Erasure, First, Once, Removal};
use crate::error::{Reason, Refused};
use crate::target::{Digest, Object};

/// Long after the epoch, and long before now.
const AT_MS: u64 = 1_700_000_000_000;

fn once(key: &str, meaning: &str) -> Once {
    Once {
        id: Digest::of(key.as_bytes()),
        caller: Digest::of(b"a caller"),
        meaning: Digest::of(meaning.as_bytes()),
        at_ms: AT_MS,
        forgotten_ms: AT_MS - 1000,
        most: 1000,
    }
}

fn erasure_once(subject: &Subject, object: &Object, key: &str) -> Erasure {
    Erasure {
        once: Some(once(key, &object.target.id)),
        ..subject.erasure(object)
    }
}

async fn first(subject: &Subject, once: &Once) -> Option<First> {
    subject.rows.first(once).await.unwrap()
}

/// A kept refusal, without a decision.
fn refused_with(refused: Refused) -> First {
    First::Kept(StoredOutcome {
        outcome: Outcome::Refused(refused),
        decision: None,
    })
}

fn denied_by(policy: &str) -> Refused {
    Refused::Plugin {
        reason: Reason::Denied,
        code: "denied-by-policy".to_owned(),
        message: format!("Denied by policy {policy}: é \"quoted\"."),
    }
}

pub(super) async fn an_erasure_is_kept_with_what_it_doomed_until_that_is_settled(
    subject: &Subject,
) {
    let object = subject.upload("p1", b"bytes").await;
    let mut blobs = subject.keys(&object);
    blobs.sort();
    let erasure = erasure_once(subject, &object, "k");
    let once = erasure.once.clone().unwrap();
    assert_eq!(first(subject, &once).await, None);
    assert!(subject.erase(&[erasure]).await[0].is_ok());
    let left = |first| match first {
        Some(First::Kept(StoredOutcome {
            outcome: Outcome::Erased(mut left),
            decision: Some(_),
        })) => {
            left.sort();
            left
        }
        other => panic!("not erased: {other:?}"),
    };
    assert_eq!(left(first(subject, &once).await), blobs);
    let removed = [(blobs[0], Removal::Removed)];
    subject.strike_off(&removed).await;
    assert_eq!(left(first(subject, &once).await), blobs[1..]);
    let removed = [(blobs[1], Removal::Removed)];
    subject.strike_off(&removed).await;
    assert_eq!(left(first(subject, &once).await), []);
}

pub(super) async fn of_two_erasures_of_one_key_the_second_is_a_repeat(subject: &Subject) {
    let one = subject.upload("p1", b"1").await;
    let two = subject.upload("p2", b"2").await;
    let group = [
        erasure_once(subject, &one, "k"),
        erasure_once(subject, &one, "k"),
        // Whatever it asks for.
        erasure_once(subject, &two, "k"),
    ];
    let outcomes = subject.erase(&group).await;
    assert!(outcomes[0].is_ok());
    assert_eq!(
        outcomes[1..],
        [Err(Conflict::Repeated), Err(Conflict::Repeated)]
    );
    assert!(subject.find(&two.target).await.is_some());
    assert_eq!(subject.decisions().await.len(), 1);
    let another = once("k", "p2");
    assert_eq!(first(subject, &another).await, Some(First::Another));
    let other_key = erasure_once(subject, &two, "another");
    assert!(subject.erase(&[other_key]).await[0].is_ok());
}

pub(super) async fn a_new_object_of_the_same_name_is_no_matter_of_a_repeat(subject: &Subject) {
    let object = subject.upload("p1", b"old").await;
    let outcomes = subject.erase(&[erasure_once(subject, &object, "k")]).await;
    assert!(outcomes[0].is_ok());
    let new = subject.upload("p1", b"new").await;
    let outcomes = subject.erase(&[erasure_once(subject, &new, "k")]).await;
    assert_eq!(outcomes, [Err(Conflict::Repeated)]);
    assert!(subject.find(&new.target).await.is_some());
}

pub(super) async fn a_conflict_is_kept_if_it_is_final(subject: &Subject) {
    let held = subject.upload("held", b"bytes").await;
    subject.fixture.hold(&held.target).await.unwrap();
    let mut stale = subject.upload("stale", b"bytes").await;
    stale.version = 7;
    let beyond = subject.upload("beyond", b"bytes").await;
    let mut absent = beyond.clone();
    absent.target.id = "absent".to_owned();
    let tenant = Rates {
        per_day: 1,
        ..Rates::default()
    };
    let budget = Budget {
        tenant,
        ..Budget::default()
    };
    let spender = subject.upload("spender", b"bytes").await;
    let spender = Erasure {
        at_ms: AT_MS,
        budget,
        ..subject.erasure(&spender)
    };
    let beyond = Erasure {
        at_ms: AT_MS,
        budget,
        ..erasure_once(subject, &beyond, "beyond")
    };
    let group = [
        erasure_once(subject, &held, "held"),
        erasure_once(subject, &stale, "stale"),
        erasure_once(subject, &absent, "absent"),
        spender,
        beyond,
    ];
    let outcomes = subject.erase(&group).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let kept = async |name: &str| first(subject, &once(name, name)).await;
    assert_eq!(kept("held").await, Some(refused_with(Refused::Held)));
    assert_eq!(kept("absent").await, Some(refused_with(Refused::Gone)));
    assert_eq!(kept("stale").await, None);
    assert_eq!(kept("beyond").await, None);
}

pub(super) async fn of_two_refusals_of_one_key_the_first_is_kept_as_it_was(subject: &Subject) {
    let refusals = [
        denied_by("retention"),
        Refused::Gone,
        Refused::Held,
        Refused::RetainedUntil(u64::MAX),
    ];
    for refused in refusals {
        let key = refused.to_string();
        let once = once(&key, "p1");
        let keep = |refused| subject.rows.keep(&once, refused, None);
        let kept = refused_with(refused.clone());
        assert_eq!(keep(&refused).await.unwrap(), kept);
        assert_eq!(keep(&denied_by("labels")).await.unwrap(), kept);
        assert_eq!(first(subject, &once).await, Some(kept));
        let another = self::once(&key, "p2");
        let told = subject.rows.keep(&another, &refused, None).await.unwrap();
        assert_eq!(told, First::Another);
    }
}

pub(super) async fn an_outcome_is_forgotten_in_time_and_its_key_is_as_new(subject: &Subject) {
    let (refused, object) = (Refused::Held, subject.upload("p1", b"bytes").await);
    for n in 0..20 {
        let old = once(&format!("old {n}"), "p1");
        subject.rows.keep(&old, &refused, None).await.unwrap();
    }
    let later = |forgotten_ms| Once {
        at_ms: AT_MS + 5000,
        forgotten_ms,
        ..once("old 7", "p1")
    };
    let kept = Some(refused_with(refused));
    assert_eq!(first(subject, &later(AT_MS - 1)).await, kept);
    assert_eq!(first(subject, &later(AT_MS)).await, None);
    let anew = Erasure {
        once: Some(later(AT_MS)),
        ..subject.erasure(&object)
    };
    assert!(subject.erase(&[anew]).await[0].is_ok());
    let found = first(subject, &later(AT_MS)).await;
    assert!(matches!(
        found,
        Some(First::Kept(StoredOutcome {
            outcome: Outcome::Erased(_),
            ..
        }))
    ));
    // Those that come later take the forgotten ones away, some at a time.
    for n in 0..3 {
        let new = Once {
            at_ms: AT_MS + 5000,
            forgotten_ms: AT_MS,
            ..once(&format!("new {n}"), "p1")
        };
        subject.rows.keep(&new, &Refused::Gone, None).await.unwrap();
    }
    for n in 0..20 {
        let old = once(&format!("old {n}"), "p1");
        let left = first(subject, &old).await.is_some();
        assert_eq!(left, n == 7, "{n}");
    }
}

pub(super) async fn a_caller_beyond_its_bound_waits_until_its_oldest_outcome_is_forgotten(
    subject: &Subject,
) {
    let object = subject.upload("p1", b"bytes").await;
    let at = |key: &str, at_ms| Once {
        at_ms,
        forgotten_ms: at_ms - 1000,
        most: 3,
        ..once(key, "p1")
    };
    let keep = async |once: &Once| subject.rows.keep(once, &Refused::Held, None).await.unwrap();
    let kept = refused_with(Refused::Held);
    for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(keep(&at(key, AT_MS + n as u64)).await, kept, "{key}");
    }
    let full = First::Full {
        until_ms: AT_MS + 1000,
    };
    let new = at("d", AT_MS + 999);
    assert_eq!(first(subject, &new).await, Some(full.clone()));
    assert_eq!(keep(&new).await, full);
    let erasure = Erasure {
        once: Some(new),
        ..subject.erasure(&object)
    };
    let outcomes = subject.erase(&[erasure]).await;
    assert_eq!(outcomes, [Err(Conflict::Repeated)]);
    assert!(subject.find(&object.target).await.is_some());
    // What is kept is told, and another caller is not concerned.
    for key in ["a", "b", "c"] {
        assert_eq!(keep(&at(key, AT_MS + 999)).await, kept, "{key}");
    }
    let other = Once {
        caller: Digest::of(b"another"),
        ..at("e", AT_MS + 999)
    };
    assert_eq!(keep(&other).await, kept);
    // As each is forgotten there is room for one more.
    for (n, key) in ["f", "g", "h"].into_iter().enumerate() {
        let new = at(key, AT_MS + 1000 + n as u64);
        assert_eq!(keep(&new).await, kept, "{key}");
        let next = first(subject, &at("next", new.at_ms)).await;
        let full = First::Full {
            until_ms: AT_MS + 1000 + (n as u64 + 1).min(3) + if n == 2 { 997 } else { 0 },
        };
        assert_eq!(next, Some(full), "{key}");
    }
    // Long after, a key that was used before counts once.
    for n in 0..5 {
        assert_eq!(keep(&at("f", AT_MS + 9000 + n)).await, kept);
    }
    assert_eq!(first(subject, &at("i", AT_MS + 9010)).await, None);
}
