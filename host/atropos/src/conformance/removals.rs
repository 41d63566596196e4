//! Pending removals, and the bytes that they are of.

use super::subject::{LEASE_MS, Subject};
use crate::domain::{Claim, Owner, Removal, Shred};
use crate::target::BlobKey;

pub(super) async fn a_doomed_blob_waits_for_its_lease(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let erasure = subject.erasure(&object);
    let lease = erasure.lease_until_ms;
    subject.erase(&[erasure]).await;
    assert!(subject.due(lease - 1, 10).await.is_empty());
    assert_eq!(subject.due(lease, 1).await.len(), 1);
    let both = subject.due(lease, 10).await;
    assert_eq!(both.len(), 2, "to claim does not strike off");
}

pub(super) async fn what_is_claimed_is_left_to_its_owner_until_the_lease_ends(subject: &Subject) {
    for id in ["p1", "p2"] {
        let object = subject.upload(id, b"bytes").await;
        subject.erase(&[subject.erasure(&object)]).await;
    }
    let due_ms = subject.now_ms + LEASE_MS;
    let claim = async |owner, by_ms, limit| {
        let claim = Claim {
            owner,
            by_ms,
            until_ms: by_ms + 100,
            limit,
        };
        let claimed = subject.rows.claim(&claim).await.unwrap();
        claimed.iter().map(|shred| shred.key).collect::<Vec<_>>()
    };
    let (one, other) = (Owner::random(), Owner::random());
    let first = claim(one, due_ms, 3).await;
    let second = claim(other, due_ms, 3).await;
    assert_eq!((first.len(), second.len()), (3, 1));
    assert!(!first.contains(&second[0]), "claimed twice");
    assert!(claim(one, due_ms + 99, 9).await.is_empty());
    assert_eq!(claim(other, due_ms + 100, 9).await.len(), 4);
}

pub(super) async fn a_failed_removal_is_put_off_and_counted(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let erasure = subject.erasure(&object);
    let (owner, lease) = (erasure.owner, erasure.lease_until_ms);
    let key = subject.keys(&object)[0];
    subject.erase(&[erasure]).await;
    subject.postpone(owner, key, lease + 9).await;
    assert_eq!(subject.due(lease, 10).await.len(), 1);
    let due = subject.due(lease + 9, 10).await;
    let shred = Shred {
        key,
        not_before_ms: lease + 9,
        attempts: 1,
    };
    assert_eq!(due.last(), Some(&shred), "soonest first");
}

pub(super) async fn what_somebody_else_has_claimed_since_is_not_put_off(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let erasure = subject.erasure(&object);
    let (late, lease) = (erasure.owner, erasure.lease_until_ms);
    let key = subject.keys(&object)[0];
    subject.erase(&[erasure]).await;
    assert_eq!(subject.due(lease, 10).await.len(), 2);
    subject.postpone(late, key, lease + 9_000).await;
    let due = subject.due(lease, 10).await;
    let attempts: Vec<_> = due.iter().map(|shred| shred.attempts).collect();
    assert_eq!(attempts, [0, 0]);
}

pub(super) async fn what_lies_too_far_ahead_is_brought_forward(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let (erasure, at_ms) = (subject.erasure(&object), subject.now_ms);
    subject.erase(&[erasure]).await;
    let lease = at_ms + LEASE_MS;
    // Nothing lies further ahead than this.
    subject.rows.hasten(lease, lease).await.unwrap();
    assert!(subject.due(lease - 1, 10).await.is_empty());
    subject.rows.hasten(at_ms + 5, at_ms + 9).await.unwrap();
    let due = subject.due(at_ms + 5, 10).await;
    assert_eq!(due.len(), 2);
    // A lease, as well.
    let claim = Claim {
        owner: Owner::random(),
        by_ms: at_ms + 5,
        until_ms: lease,
        limit: 10,
    };
    assert_eq!(subject.rows.claim(&claim).await.unwrap().len(), 2);
    assert!(subject.due(at_ms + 5, 10).await.is_empty());
    subject.rows.hasten(at_ms + 5, at_ms + 9).await.unwrap();
    assert_eq!(subject.due(at_ms + 5, 10).await.len(), 2);
}

pub(super) async fn what_is_struck_off_is_claimed_no_more(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let keys = subject.keys(&object);
    subject.erase(&[subject.erasure(&object)]).await;
    subject.strike_off(&[(keys[0], Removal::Removed)]).await;
    let left: Vec<_> = subject.due(u64::MAX, 10).await;
    assert_eq!(
        left.iter().map(|one| one.key).collect::<Vec<_>>(),
        keys[1..]
    );
    // Twice is fine: whoever crashed in between does it again.
    let both = [(keys[0], Removal::Removed), (keys[1], Removal::Removed)];
    subject.strike_off(&both).await;
    assert!(subject.due(u64::MAX, 10).await.is_empty());
}

pub(super) async fn removed_bytes_are_absent(subject: &Subject) {
    let object = subject.upload("p1", b"bytes").await;
    let (keys, blobs) = (subject.keys(&object), &subject.blobs);
    assert!(!blobs.is_absent(keys[0]).await.unwrap());
    assert_eq!(blobs.remove(keys[0]).await.unwrap(), Removal::Removed);
    assert_eq!(blobs.remove(keys[0]).await.unwrap(), Removal::Absent);
    blobs.sync_removals().await.unwrap();
    assert!(blobs.is_absent(keys[0]).await.unwrap());
    assert!(!blobs.is_absent(keys[1]).await.unwrap(), "of another key");
    assert!(blobs.is_absent(BlobKey::random()).await.unwrap());
}

pub(super) async fn several_removals_are_answered_in_order(subject: &Subject) {
    let mut keys: Vec<_> = (0..150).map(|_| BlobKey::random()).collect();
    for (nth, id) in [(0, "p0"), (50, "p1"), (100, "p2")] {
        let object = subject.upload(id, b"bytes").await;
        keys[nth] = subject.keys(&object)[0];
    }
    let removed = subject.blobs.remove_all(&keys).await;
    assert_eq!(removed.len(), keys.len());
    for (place, removal) in removed.into_iter().enumerate() {
        let expected = match place % 50 {
            0 => Removal::Removed,
            _ => Removal::Absent,
        };
        assert_eq!(removal.unwrap(), expected, "{place}");
    }
}
