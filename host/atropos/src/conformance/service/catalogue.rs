//! Uploads, holds and lists.

use super::{FIRST, Service};
use crate::conformance::objects::foreign;
use crate::domain::{ObjectPage, Position, Start};
use crate::ports::StoreError;
use crate::target::{BlobKey, Kind, Object};

pub(in crate::conformance) async fn what_was_uploaded_is_found_as_it_was(service: &Service) {
    let new = service.new_object("p1", b"bytes").await;
    assert_eq!(service.find(&new.object.target).await, None);
    service.rows.insert(new.clone()).await.unwrap();
    let found = service.find(&new.object.target).await;
    assert_eq!(found.as_ref(), Some(&new.object));
    let shown = service.rows.show(&new.object.target).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(shown.object, new.object);
    assert_eq!(shown.name, new.name);
    assert_eq!(shown.dimensions, Some((3, 2)));
    assert_eq!(shown.renditions, new.renditions);
    for rendition in &new.renditions {
        let by_blob = service.rows.by_blob(rendition.key).await.unwrap();
        assert_eq!(by_blob.unwrap().object, new.object);
        assert!(service.rows.is_named(rendition.key).await.unwrap());
    }
}

pub(in crate::conformance) async fn a_foreign_name_shows_nothing(service: &Service) {
    let object = service.upload("p1", b"bytes").await;
    for name in foreign(&object.target) {
        assert!(
            service.rows.show(&name).await.unwrap().is_none(),
            "{name:?}"
        );
    }
    let strange = BlobKey::random();
    assert!(service.rows.by_blob(strange).await.unwrap().is_none());
    assert!(!service.rows.is_named(strange).await.unwrap());
}

pub(in crate::conformance) async fn an_id_is_taken_while_its_object_lives(service: &Service) {
    let object = service.upload("p1", b"bytes").await;
    let again = service.new_object("p1", b"others").await;
    let refused = service.rows.insert(again.clone()).await;
    assert!(matches!(refused, Err(StoreError::Taken { .. })));
    service.erase(&[service.erasure(&object)]).await;
    // The refusal left the reservation as it was.
    service.rows.insert(again).await.unwrap();
}

pub(in crate::conformance) async fn an_upload_without_a_reservation_is_refused_whole(
    service: &Service,
) {
    let mut new = service.new_object("p1", b"bytes").await;
    new.renditions[1].key = BlobKey::random();
    let refused = service.rows.insert(new.clone()).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing {
            what: "reservation"
        })
    ));
    assert_eq!(service.find(&new.object.target).await, None);
    let doomed = service.due(u64::MAX, 10).await;
    assert_eq!(doomed.len(), 2, "both reservations are still there");
}

pub(in crate::conformance) async fn a_reservation_that_was_claimed_is_not_taken_back(
    service: &Service,
) {
    let new = service.new_object("p1", b"bytes").await;
    let due = service.due(service.now_ms + 7_200_000, 10).await;
    assert_eq!(due.len(), 2);
    let refused = service.rows.insert(new).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing {
            what: "reservation"
        })
    ));
}

pub(in crate::conformance) async fn several_holds_are_released_together(service: &Service) {
    let object = service.upload("p1", b"bytes").await;
    let first = service
        .rows
        .place_hold(&object.target, "one", 1)
        .await
        .unwrap();
    let second = service
        .rows
        .place_hold(&object.target, "two", 2)
        .await
        .unwrap();
    assert_ne!(first, second);
    assert_eq!(service.rows.release_holds(&object.target).await.unwrap(), 2);
    assert_eq!(service.rows.release_holds(&object.target).await.unwrap(), 0);
    let found = service.find(&object.target).await.unwrap();
    assert!(!found.held);
    let outcome = service.erase(&[service.erasure(&found)]).await;
    assert!(outcome[0].is_ok());
    let gone = service.rows.release_holds(&object.target).await;
    assert!(matches!(gone, Err(StoreError::Missing { .. })));
}

/// Makes an object live that was uploaded by this owner at this time.
async fn upload_at(service: &Service, owner: &str, id: &str, created_at_ms: u64) -> Object {
    let mut new = service.new_object(id, b"bytes").await;
    new.object.target.owner = owner.to_owned();
    new.object.created_at_ms = created_at_ms;
    service.rows.insert(new.clone()).await.unwrap();
    new.object
}

/// The names of a page: owner and id.
async fn page(service: &Service, owner: Option<&str>, start: Start, limit: u32) -> Vec<String> {
    let listed = listed(service, owner, ObjectPage { start, limit }).await;
    let name = |one: &Object| format!("{} {}", one.target.owner, one.target.id);
    listed.iter().map(name).collect()
}

async fn listed(service: &Service, owner: Option<&str>, page: ObjectPage) -> Vec<Object> {
    let (tenant, kind) = (service.tenant.id, Kind::Photo);
    let listed = service.rows.list(tenant, kind, owner, page).await;
    listed.unwrap().into_iter().map(|one| one.object).collect()
}

pub(in crate::conformance) async fn a_list_is_ordered_by_time_and_id_however_it_was_stored(
    service: &Service,
) {
    let stored = [
        ("b", "late", 9),
        ("b", "p2", 7),
        ("a", "zero", 8),
        ("b", "p10", 7),
        ("b", "P3", 7),
        ("b", "early", 3),
        ("a", "last", 12),
    ];
    for (owner, id, at_ms) in stored {
        upload_at(service, owner, id, at_ms).await;
    }
    let of_b = ["b early", "b P3", "b p10", "b p2", "b late"];
    let of_all = [&["a zero", "a last"], &of_b[..]].concat();
    for (owner, expected) in [(Some("b"), &of_b[..]), (None, &of_all)] {
        // A page of more than 100 rows is read on another thread.
        for limit in [1, 2, 100, 1000] {
            let mut paged = Vec::new();
            loop {
                let start = Start::Offset(paged.len() as u64);
                let next = page(service, owner, start, limit).await;
                if next.is_empty() {
                    break;
                }
                paged.extend(next);
            }
            assert_eq!(paged, expected, "{owner:?} by {limit}");
        }
        let deep = u64::from(u32::MAX - 1) * 1000;
        let beyond = page(service, owner, Start::Offset(deep), 1000).await;
        assert!(beyond.is_empty(), "{beyond:?}");
    }
    let others = service
        .rows
        .list(service.tenant.id, Kind::Document, Some("b"), FIRST.into());
    assert!(others.await.unwrap().is_empty());
}

pub(in crate::conformance) async fn a_list_that_is_deleted_from_while_it_is_paged_skips_nothing(
    service: &Service,
) {
    for limit in [1, 2, 101] {
        for owner in [Some("b"), None] {
            let mut expected = Vec::new();
            let owners = ["a", "b", "b", "b", "b", "b", "c"];
            // Stored in another order than listed, and several of one millisecond.
            for (index, owner) in owners.iter().enumerate().rev() {
                let (id, at_ms) = (format!("p{index}"), 7 + index as u64 / 4);
                upload_at(service, owner, &id, at_ms).await;
                expected.insert(0, (*owner, format!("{owner} {id}")));
            }
            expected.retain(|(of, _)| owner.is_none_or(|owner| owner == *of));
            let (mut paged, mut start) = (Vec::new(), Start::Offset(0));
            loop {
                let page = listed(service, owner, ObjectPage { start, limit }).await;
                let Some(last) = page.last() else { break };
                start = Start::After(Position::of(last));
                for object in &page {
                    let erased = service
                        .rows
                        .erase(&[service.erasure(object)])
                        .await
                        .unwrap();
                    assert!(erased[0].is_ok(), "{erased:?}");
                    paged.push(format!("{} {}", object.target.owner, object.target.id));
                }
            }
            let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).collect();
            assert_eq!(paged, expected, "{owner:?} by {limit}");
            for object in listed(service, None, FIRST.into()).await {
                service
                    .rows
                    .erase(&[service.erasure(&object)])
                    .await
                    .unwrap();
            }
        }
    }
}

pub(in crate::conformance) async fn a_position_needs_no_object_that_is_there(service: &Service) {
    for (owner, id, at_ms) in [
        ("a", "p1", 7),
        ("b", "p1", 7),
        ("b", "p3", 7),
        ("b", "p0", 8),
    ] {
        upload_at(service, owner, id, at_ms).await;
    }
    let after = |owner: &str, created_at_ms, id: &str| {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        Start::After(Position {
            owner,
            created_at_ms,
            id,
        })
    };
    let table = [
        (Some("b"), after("b", 0, ""), vec!["b p1", "b p3", "b p0"]),
        (Some("b"), after("b", 7, "p2"), vec!["b p3", "b p0"]),
        (Some("b"), after("b", 7, "p3"), vec!["b p0"]),
        (Some("b"), after("b", 7, "q"), vec!["b p0"]),
        (Some("b"), after("b", u64::MAX, ""), vec![]),
        (None, after("a", 9, "x"), vec!["b p1", "b p3", "b p0"]),
        (None, after("b", 7, "p1"), vec!["b p3", "b p0"]),
        (None, after("c", 0, ""), vec![]),
    ];
    for (owner, start, expected) in table {
        let told = format!("{owner:?} {start:?}");
        assert_eq!(page(service, owner, start, 10).await, expected, "{told}");
    }
}
