//! Uploads, holds and lists.

use crate::tests::*;

pub(super) async fn what_was_uploaded_is_found_as_it_was(backend: &Backend) {
    let new = backend.new_object("p1", b"bytes").await;
    assert_eq!(
        backend.objects.find(&new.object.target).await.unwrap(),
        None
    );
    backend.catalogue.insert(new.clone()).await.unwrap();
    let found = backend.objects.find(&new.object.target).await.unwrap();
    assert_eq!(found.as_ref(), Some(&new.object));
    let shown = backend.catalogue.show(&new.object.target).await.unwrap();
    let shown = shown.unwrap();
    assert_eq!(shown.object, new.object);
    assert_eq!(shown.name, new.name);
    assert_eq!(shown.dimensions, Some((3, 2)));
    assert_eq!(shown.renditions, new.renditions);
    for rendition in &new.renditions {
        let by_blob = backend.catalogue.by_blob(rendition.key).await.unwrap();
        assert_eq!(by_blob.unwrap().object, new.object);
        assert!(backend.catalogue.is_named(rendition.key).await.unwrap());
    }
}

pub(super) async fn a_foreign_name_finds_nothing(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let own = &object.target;
    let foreign = [
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
        Target {
            id: "P1".to_owned(),
            ..own.clone()
        },
        Target {
            id: "%".to_owned(),
            ..own.clone()
        },
        Target {
            id: String::new(),
            ..own.clone()
        },
    ];
    for name in foreign {
        assert_eq!(backend.objects.find(&name).await.unwrap(), None, "{name:?}");
        assert!(backend.catalogue.show(&name).await.unwrap().is_none());
    }
    assert!(
        backend
            .catalogue
            .by_blob(BlobKey::random())
            .await
            .unwrap()
            .is_none()
    );
}

pub(super) async fn an_id_is_taken_while_its_object_lives(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let again = backend.new_object("p1", b"others").await;
    let refused = backend.catalogue.insert(again.clone()).await;
    assert!(matches!(refused, Err(StoreError::Taken { .. })));
    backend.erase(&[erasure(&object)]).await;
    // The refusal left the reservation as it was.
    backend.catalogue.insert(again).await.unwrap();
}

pub(super) async fn an_upload_without_a_reservation_is_refused_whole(backend: &Backend) {
    let mut new = backend.new_object("p1", b"bytes").await;
    new.renditions[1].key = BlobKey::random();
    let refused = backend.catalogue.insert(new.clone()).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing {
            what: "reservation"
        })
    ));
    assert_eq!(
        backend.objects.find(&new.object.target).await.unwrap(),
        None
    );
    let doomed = backend.objects.shreds(u64::MAX, 10).await.unwrap();
    assert_eq!(doomed.len(), 2, "both reservations are still there");
}

pub(super) async fn a_reservation_that_ran_out_is_not_taken_back(backend: &Backend) {
    let new = backend.new_object("p1", b"bytes").await;
    let due = backend
        .objects
        .shreds(now_ms() + 7_200_000, 10)
        .await
        .unwrap();
    assert_eq!(due.len(), 2);
    let refused = backend.catalogue.insert(new).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing {
            what: "reservation"
        })
    ));
}

pub(super) async fn several_holds_are_released_together(backend: &Backend) {
    let object = backend.upload("p1", b"bytes").await;
    let first = backend
        .catalogue
        .place_hold(&object.target, "one", 1)
        .await
        .unwrap();
    let second = backend
        .catalogue
        .place_hold(&object.target, "two", 2)
        .await
        .unwrap();
    assert_ne!(first, second);
    assert_eq!(
        backend
            .catalogue
            .release_holds(&object.target)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        backend
            .catalogue
            .release_holds(&object.target)
            .await
            .unwrap(),
        0
    );
    let found = backend.objects.find(&object.target).await.unwrap().unwrap();
    assert!(!found.held);
    let outcome = backend.erase(&[erasure(&found)]).await;
    assert!(outcome[0].is_ok());
    let gone = backend.catalogue.release_holds(&object.target).await;
    assert!(matches!(gone, Err(StoreError::Missing { .. })));
}

/// Makes an object live that was uploaded by this owner at this time.
async fn upload_at(backend: &Backend, owner: &str, id: &str, created_at_ms: u64) -> Object {
    let mut new = backend.new_object(id, b"bytes").await;
    new.object.target.owner = owner.to_owned();
    new.object.created_at_ms = created_at_ms;
    backend.catalogue.insert(new.clone()).await.unwrap();
    new.object
}

/// The names of a page: owner and id.
async fn page(backend: &Backend, owner: Option<&str>, start: Start, limit: u32) -> Vec<String> {
    let listed = listed(backend, owner, ObjectPage { start, limit }).await;
    let name = |one: &Object| format!("{} {}", one.target.owner, one.target.id);
    listed.iter().map(name).collect()
}

async fn listed(backend: &Backend, owner: Option<&str>, page: ObjectPage) -> Vec<Object> {
    let (tenant, kind) = (backend.tenant.id, Kind::Photo);
    let listed = backend.catalogue.list(tenant, kind, owner, page).await;
    listed.unwrap().into_iter().map(|one| one.object).collect()
}

pub(super) async fn a_list_is_ordered_by_time_and_id_however_it_was_stored(backend: &Backend) {
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
        upload_at(backend, owner, id, at_ms).await;
    }
    let of_b = ["b early", "b P3", "b p10", "b p2", "b late"];
    let of_all = [&["a zero", "a last"], &of_b[..]].concat();
    for (owner, expected) in [(Some("b"), &of_b[..]), (None, &of_all)] {
        // A page of more than 100 rows is read on another thread.
        for limit in [1, 2, 100, 1000] {
            let mut paged = Vec::new();
            loop {
                let start = Start::Offset(paged.len() as u64);
                let next = page(backend, owner, start, limit).await;
                if next.is_empty() {
                    break;
                }
                paged.extend(next);
            }
            assert_eq!(paged, expected, "{owner:?} by {limit}");
        }
        let deep = u64::from(u32::MAX - 1) * 1000;
        let beyond = page(backend, owner, Start::Offset(deep), 1000).await;
        assert!(beyond.is_empty(), "{beyond:?}");
    }
    let others = backend
        .catalogue
        .list(backend.tenant.id, Kind::Document, Some("b"), FIRST.into());
    assert!(others.await.unwrap().is_empty());
}

pub(super) async fn a_list_that_is_deleted_from_while_it_is_paged_skips_nothing(backend: &Backend) {
    for limit in [1, 2, 101] {
        for owner in [Some("b"), None] {
            let mut expected = Vec::new();
            let owners = ["a", "b", "b", "b", "b", "b", "c"];
            // Stored in another order than listed, and several of one millisecond.
            for (index, owner) in owners.iter().enumerate().rev() {
                let (id, at_ms) = (format!("p{index}"), 7 + index as u64 / 4);
                upload_at(backend, owner, &id, at_ms).await;
                expected.insert(0, (*owner, format!("{owner} {id}")));
            }
            expected.retain(|(of, _)| owner.is_none_or(|owner| owner == *of));
            let (mut paged, mut start) = (Vec::new(), Start::Offset(0));
            loop {
                let page = listed(backend, owner, ObjectPage { start, limit }).await;
                let Some(last) = page.last() else { break };
                start = Start::After(Position::of(last));
                for object in &page {
                    let erased = backend.objects.erase(&[erasure(object)]).await.unwrap();
                    assert!(erased[0].is_ok(), "{erased:?}");
                    paged.push(format!("{} {}", object.target.owner, object.target.id));
                }
            }
            let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).collect();
            assert_eq!(paged, expected, "{owner:?} by {limit}");
            for object in listed(backend, None, FIRST.into()).await {
                backend.objects.erase(&[erasure(&object)]).await.unwrap();
            }
        }
    }
}

pub(super) async fn a_position_needs_no_object_that_is_there(backend: &Backend) {
    for (owner, id, at_ms) in [
        ("a", "p1", 7),
        ("b", "p1", 7),
        ("b", "p3", 7),
        ("b", "p0", 8),
    ] {
        upload_at(backend, owner, id, at_ms).await;
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
        assert_eq!(page(backend, owner, start, 10).await, expected, "{told}");
    }
}
