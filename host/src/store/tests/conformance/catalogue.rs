//! Uploads, holds and lists.

use crate::store::tests::*;

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

pub(super) async fn lists_are_ordered_and_paged(backend: &Backend) {
    for id in ["b", "a", "c"] {
        backend.upload(id, b"bytes").await;
    }
    let page = Page {
        offset: 1,
        limit: 1,
    };
    for owner in [None, Some("user-6")] {
        let tenant = backend.tenant.id;
        let all = backend.catalogue.list(tenant, Kind::Photo, owner, FIRST);
        let all = all.await.unwrap();
        let ids: Vec<_> = all
            .iter()
            .map(|one| one.object.target.id.as_str())
            .collect();
        assert_eq!(ids, ["b", "a", "c"]);
        let some = backend.catalogue.list(tenant, Kind::Photo, owner, page);
        let some = some.await.unwrap();
        assert_eq!(some[0].object.target.id, "a");
        assert_eq!(some.len(), 1);
    }
    let none = backend
        .catalogue
        .list(backend.tenant.id, Kind::Document, None, FIRST);
    assert!(none.await.unwrap().is_empty());
}
