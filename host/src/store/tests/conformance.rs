//! The suite that every backend passes. [`suite!`] runs it over one.

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::store::catalogue::{Backlog, Change};
use crate::store::tenants::NewCredential;
use crate::target::{Caller, Subdomain};

macro_rules! suite {
    ($backend:expr; $($sentence:ident)*) => {
        $(
            #[tokio::test]
            async fn $sentence() {
                sentences::$sentence(&$backend.await).await;
            }
        )*
    };
}

suite! { Backend::embedded();
    what_was_uploaded_is_found_as_it_was
    a_foreign_name_finds_nothing
    an_id_is_taken_while_its_object_lives
    an_upload_without_a_reservation_is_refused_whole
    a_reservation_that_ran_out_is_not_taken_back
    an_erasure_takes_the_row_and_dooms_every_blob
    an_erasure_leaves_an_event_and_its_decision
    of_two_erasures_of_one_object_in_a_group_the_first_wins
    a_hold_that_came_after_the_decision_wins
    several_holds_are_released_together
    a_retention_date_that_came_after_the_decision_wins
    a_stale_decision_erases_nothing
    a_doomed_blob_waits_for_its_lease
    a_failed_removal_is_put_off_and_counted
    bytes_that_were_absent_are_noted_at_the_event
    a_recorded_refusal_is_kept_and_erases_nothing
    lists_are_ordered_and_paged
    a_blob_is_read_as_written_until_it_is_removed
    an_absent_blob_is_said_to_be_absent
    several_removals_are_answered_in_order
    a_chain_is_in_force_once_assigned
    a_chain_names_only_components_that_are_kept
    the_operator_chooses_the_plugin
    a_site_key_speaks_for_its_website_until_revoked_or_expired
    a_client_reaches_only_where_it_has_a_grant
    a_token_speaks_for_its_client_until_revoked_or_expired
    names_of_tenants_are_taken_once
}

mod sentences {
    use super::*;

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
        backend.objects.erase(&[erasure(&object)]).await.unwrap();
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

    pub(super) async fn an_erasure_takes_the_row_and_dooms_every_blob(backend: &Backend) {
        let object = backend.upload("p1", b"bytes").await;
        let bystander = backend.upload("p2", b"others").await;
        let mut keys = backend.keys(&object).await;
        keys.sort();
        let mut outcome = backend.objects.erase(&[erasure(&object)]).await.unwrap();
        let mut doomed = outcome.remove(0).unwrap();
        doomed.blobs.sort();
        assert_eq!(doomed.blobs, keys);
        assert_eq!(backend.objects.find(&object.target).await.unwrap(), None);
        assert!(backend.catalogue.by_blob(keys[0]).await.unwrap().is_none());
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
        backend
            .objects
            .erase(std::slice::from_ref(&erasure))
            .await
            .unwrap();
        let activity = backend
            .catalogue
            .activity(backend.tenant.id, "user-6", FIRST);
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
            .activity(backend.tenant.id, "user-7", FIRST);
        assert!(others.await.unwrap().is_empty());
        let decisions = backend.catalogue.decisions(backend.tenant.id, FIRST);
        let decisions = decisions.await.unwrap();
        assert_eq!(
            format!("{decisions:?}"),
            format!("[{:?}]", erasure.decision)
        );
    }

    pub(super) async fn of_two_erasures_of_one_object_in_a_group_the_first_wins(backend: &Backend) {
        let object = backend.upload("p1", b"bytes").await;
        let group = [erasure(&object), erasure(&object)];
        let outcome = backend.objects.erase(&group).await.unwrap();
        assert!(outcome[0].is_ok());
        assert_eq!(outcome[1], Err(Conflict::Gone));
        let decisions = backend.catalogue.decisions(backend.tenant.id, FIRST);
        assert_eq!(decisions.await.unwrap().len(), 1);
    }

    pub(super) async fn a_hold_that_came_after_the_decision_wins(backend: &Backend) {
        let object = backend.upload("p1", b"bytes").await;
        let place = backend.catalogue.place_hold(&object.target, "a lawsuit", 1);
        place.await.unwrap();
        let outcome = backend.objects.erase(&[erasure(&object)]).await.unwrap();
        assert_eq!(outcome, [Err(Conflict::Held)]);
        let found = backend.objects.find(&object.target).await.unwrap().unwrap();
        assert!(found.held);
        assert_eq!(found.version, 2);
        // Nor does a decision that saw the hold.
        let outcome = backend.objects.erase(&[erasure(&found)]).await.unwrap();
        assert_eq!(outcome, [Err(Conflict::Held)]);
        let activity = backend
            .catalogue
            .activity(backend.tenant.id, "user-6", FIRST);
        assert!(activity.await.unwrap().is_empty());
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
        let outcome = backend.objects.erase(&[erasure(&found)]).await.unwrap();
        assert!(outcome[0].is_ok());
        let gone = backend.catalogue.release_holds(&object.target).await;
        assert!(matches!(gone, Err(StoreError::Missing { .. })));
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
        let outcome = backend
            .objects
            .erase(std::slice::from_ref(&early))
            .await
            .unwrap();
        assert_eq!(outcome, [Err(Conflict::RetainedUntil(until))]);
        let found = backend.objects.find(&object.target).await.unwrap().unwrap();
        let due = Erasure {
            at_ms: until,
            ..erasure(&found)
        };
        assert!(backend.objects.erase(&[due]).await.unwrap()[0].is_ok());
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
        let outcome = backend.objects.erase(&[erasure(&object)]).await.unwrap();
        assert_eq!(outcome, [Err(Conflict::Changed)]);
        let found = backend.objects.find(&object.target).await.unwrap().unwrap();
        assert_eq!(found.labels, ["evidence"]);
        assert_eq!(found.version, 2);
        assert_eq!(found.retain_until_ms, None);
    }

    pub(super) async fn a_doomed_blob_waits_for_its_lease(backend: &Backend) {
        let object = backend.upload("p1", b"bytes").await;
        let erasure = erasure(&object);
        let lease = erasure.lease_until_ms;
        backend.objects.erase(&[erasure]).await.unwrap();
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
        backend.objects.erase(&[erasure]).await.unwrap();
        assert_eq!(
            backend.catalogue.backlog(lease - 1).await.unwrap(),
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
        assert_eq!(backend.catalogue.backlog(lease).await.unwrap(), backlog);
    }

    pub(super) async fn bytes_that_were_absent_are_noted_at_the_event(backend: &Backend) {
        let object = backend.upload("p1", b"bytes").await;
        let keys = backend.keys(&object).await;
        backend.objects.erase(&[erasure(&object)]).await.unwrap();
        let removed = [(keys[0], Removal::Absent), (keys[1], Removal::Removed)];
        backend.objects.shredded(&removed).await.unwrap();
        backend.objects.shredded(&removed).await.unwrap();
        let activity = backend
            .catalogue
            .activity(backend.tenant.id, "user-6", FIRST);
        assert_eq!(activity.await.unwrap()[0].bytes_absent, 1);
    }

    pub(super) async fn a_recorded_refusal_is_kept_and_erases_nothing(backend: &Backend) {
        let object = backend.upload("p1", b"bytes").await;
        let mut fault = denied(&object);
        fault.verdict = Verdict::Fault("policy-trap".to_owned());
        let batch = [denied(&object), fault];
        backend.objects.record(&batch).await.unwrap();
        backend.objects.record(&batch).await.unwrap();
        let decisions = backend.catalogue.decisions(backend.tenant.id, FIRST);
        let decisions = decisions.await.unwrap();
        let verdicts: Vec<_> = decisions.iter().map(|one| one.verdict.as_str()).collect();
        assert_eq!(
            verdicts,
            ["policy-trap", "denied"],
            "once each, latest first"
        );
        assert!(
            backend
                .objects
                .find(&object.target)
                .await
                .unwrap()
                .is_some()
        );
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

    pub(super) async fn a_blob_is_read_as_written_until_it_is_removed(backend: &Backend) {
        let key = BlobKey::random();
        let content: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        let size = backend
            .blobs
            .put(key, &mut content.as_slice())
            .await
            .unwrap();
        assert_eq!(size, 700_000);
        let mut reader = backend.blobs.open(key).await.unwrap().unwrap();
        assert_eq!(reader.size, 700_000);
        let mut read = Vec::new();
        reader.content.read_to_end(&mut read).await.unwrap();
        assert!(read == content);
        assert!(backend.blobs.put(key, &mut &b"other"[..]).await.is_err());
        assert_eq!(backend.blobs.remove(key).await.unwrap(), Removal::Removed);
        assert!(backend.blobs.open(key).await.unwrap().is_none());
        backend.blobs.sync_removals().await.unwrap();
    }

    pub(super) async fn an_absent_blob_is_said_to_be_absent(backend: &Backend) {
        let key = BlobKey::random();
        assert!(backend.blobs.open(key).await.unwrap().is_none());
        assert_eq!(backend.blobs.remove(key).await.unwrap(), Removal::Absent);
        backend.blobs.sync_removals().await.unwrap();
    }

    pub(super) async fn several_removals_are_answered_in_order(backend: &Backend) {
        let keys: Vec<_> = (0..150).map(|_| BlobKey::random()).collect();
        for key in keys.iter().step_by(50) {
            backend.blobs.put(*key, &mut &b"bytes"[..]).await.unwrap();
        }
        let removed = backend.blobs.remove_all(&keys).await;
        assert_eq!(removed.len(), keys.len());
        for (place, removal) in removed.into_iter().enumerate() {
            let expected = match place % 50 {
                0 => Removal::Removed,
                _ => Removal::Absent,
            };
            assert_eq!(removal.unwrap(), expected);
        }
    }

    pub(super) async fn a_chain_is_in_force_once_assigned(backend: &Backend) {
        let tenant = backend.tenant.id;
        let first = backend.chains.chain(tenant).await.unwrap().unwrap();
        assert_eq!((first.revision, first.entries.len()), (1, 1));
        let digest = Digest::of(b"retention");
        let keep = backend
            .tenants
            .add_component(digest, "retention", b"retention");
        keep.await.unwrap();
        let entries = [entry("allow-all"), entry("retention")];
        let revision = backend.tenants.assign(tenant, &entries, 5).await.unwrap();
        assert_eq!(revision, 2);
        let second = backend.chains.chain(tenant).await.unwrap().unwrap();
        assert_eq!(second.revision, 2);
        assert_eq!(second.entries, entries);
        let bytes = backend.chains.component(digest).await.unwrap();
        assert_eq!(bytes.as_deref(), Some(&b"retention"[..]));
        let nobody = TenantId(tenant.0 + 1);
        assert_eq!(backend.chains.chain(nobody).await.unwrap(), None);
    }

    pub(super) async fn a_chain_names_only_components_that_are_kept(backend: &Backend) {
        let entries = [entry("allow-all"), entry("unknown")];
        let refused = backend.tenants.assign(backend.tenant.id, &entries, 5).await;
        assert!(matches!(
            refused,
            Err(StoreError::Missing { what: "component" })
        ));
        let chain = backend.chains.chain(backend.tenant.id).await.unwrap();
        assert_eq!(chain.unwrap().revision, 1);
        let nobody = TenantId(backend.tenant.id.0 + 1);
        let refused = backend.tenants.assign(nobody, &[], 5).await;
        assert!(matches!(
            refused,
            Err(StoreError::Missing { what: "tenant" })
        ));
    }

    pub(super) async fn the_operator_chooses_the_plugin(backend: &Backend) {
        assert_eq!(backend.chains.plugin().await.unwrap(), None);
        let kept = Digest::of(b"allow-all");
        backend.tenants.choose_plugin(Some(kept)).await.unwrap();
        assert_eq!(backend.chains.plugin().await.unwrap(), Some(kept));
        let unknown = Some(Digest::of(b"unknown"));
        assert!(backend.tenants.choose_plugin(unknown).await.is_err());
        backend.tenants.choose_plugin(None).await.unwrap();
        assert_eq!(backend.chains.plugin().await.unwrap(), None);
    }

    fn credential(id: &str, expires_at_ms: Option<u64>) -> NewCredential {
        NewCredential {
            id: id.to_owned(),
            label: format!("label of {id}"),
            digest: Digest::of(id.as_bytes()),
            issued_at_ms: 100,
            expires_at_ms,
        }
    }

    pub(super) async fn a_site_key_speaks_for_its_website_until_revoked_or_expired(
        backend: &Backend,
    ) {
        let (tenant, website) = (&backend.tenant, backend.tenant.website_id);
        let key = credential("k1", Some(200));
        backend
            .tenants
            .add_key(tenant.id, key.clone())
            .await
            .unwrap();
        let other = WebsiteId::new(8).unwrap();
        let ask = |website, digest, at| backend.tenants.site_caller(website, digest, at);
        let caller = ask(website, key.digest, 199).await.unwrap().unwrap();
        assert_eq!(&caller.tenant, tenant);
        assert_eq!(caller.id, "k1");
        assert!(caller.may(Permission::PhotosWrite));
        assert!(!caller.may(Permission::Moderate));
        assert_eq!(ask(website, key.digest, 200).await.unwrap(), None);
        assert_eq!(ask(other, key.digest, 199).await.unwrap(), None);
        assert_eq!(ask(website, Digest::of(b"k2"), 199).await.unwrap(), None);
        backend.tenants.revoke_key("k1", 150).await.unwrap();
        assert_eq!(ask(website, key.digest, 160).await.unwrap(), None);
        let listed = backend.tenants.keys(tenant.id).await.unwrap();
        assert_eq!(listed[0].revoked_at_ms, Some(150));
        let unknown = backend.tenants.revoke_key("k2", 150).await;
        assert!(matches!(unknown, Err(StoreError::Missing { .. })));
        let nobody = TenantId(tenant.id.0 + 1);
        let refused = backend
            .tenants
            .add_key(nobody, credential("k3", None))
            .await;
        assert!(matches!(
            refused,
            Err(StoreError::Missing { what: "tenant" })
        ));
    }

    pub(super) async fn a_client_reaches_only_where_it_has_a_grant(backend: &Backend) {
        let (tenants, id) = (&backend.tenants, backend.tenant.id);
        let client = credential("c1", None);
        tenants.add_client(client.clone()).await.unwrap();
        let again = tenants.add_client(client.clone()).await;
        assert!(matches!(again, Err(StoreError::Taken { what: "client" })));
        assert_eq!(
            tenants.client_secret("c1").await.unwrap(),
            Some(client.digest)
        );
        assert_eq!(tenants.client_secret("c2").await.unwrap(), None);
        let own = backend.tenant.subdomain.clone();
        assert_eq!(tenants.granted("c1", &own).await.unwrap(), None);
        let permissions = [Permission::DocumentsWrite, Permission::Moderate];
        tenants.grant("c1", id, &permissions).await.unwrap();
        let expected = Caller {
            tenant: backend.tenant.clone(),
            kind: CallerKind::ApiClient,
            id: "c1".to_owned(),
            permissions: permissions.to_vec(),
        };
        assert_eq!(tenants.granted("c1", &own).await.unwrap(), Some(expected));
        let other: Subdomain = "other".parse().unwrap();
        assert_eq!(tenants.granted("c1", &other).await.unwrap(), None);
        let listed = tenants.clients().await.unwrap();
        assert_eq!(listed[0].grants[0].permissions, permissions);
        tenants.grant("c1", id, &[]).await.unwrap();
        assert_eq!(tenants.granted("c1", &own).await.unwrap(), None);
        let unknown = tenants.grant("c2", id, &permissions).await;
        assert!(matches!(
            unknown,
            Err(StoreError::Missing { what: "client" })
        ));
    }

    pub(super) async fn a_token_speaks_for_its_client_until_revoked_or_expired(backend: &Backend) {
        let tenants = &backend.tenants;
        tenants.add_client(credential("c1", None)).await.unwrap();
        let token = credential("t1", Some(200));
        tenants.add_token("c1", token.clone()).await.unwrap();
        let ask = |at| tenants.token_client(token.digest, at);
        assert_eq!(ask(199).await.unwrap().as_deref(), Some("c1"));
        assert_eq!(ask(200).await.unwrap(), None);
        tenants.revoke_token("t1", 150).await.unwrap();
        assert_eq!(ask(160).await.unwrap(), None);
        let unknown = tenants.add_token("c2", credential("t2", None)).await;
        assert!(matches!(
            unknown,
            Err(StoreError::Missing { what: "client" })
        ));
    }

    pub(super) async fn names_of_tenants_are_taken_once(backend: &Backend) {
        let new = |subdomain: &str, website| NewTenant {
            subdomain: subdomain.parse().unwrap(),
            website_id: WebsiteId::new(website).unwrap(),
            chain: vec![entry("allow-all")],
            at_ms: 1,
        };
        let taken = backend.tenants.create_tenant(new("MyTenant", 8)).await;
        assert!(matches!(
            taken,
            Err(StoreError::Taken { what: "subdomain" })
        ));
        let taken = backend.tenants.create_tenant(new("other", 7)).await;
        assert!(matches!(
            taken,
            Err(StoreError::Taken { what: "website id" })
        ));
        let mut unknown = new("other", 8);
        unknown.chain = vec![entry("unknown")];
        assert!(backend.tenants.create_tenant(unknown).await.is_err());
        let tenants = backend.tenants.tenants().await.unwrap();
        assert_eq!(
            tenants.as_slice(),
            std::slice::from_ref(&backend.tenant),
            "a refused tenant leaves nothing"
        );
        let other = backend
            .tenants
            .create_tenant(new("other", 8))
            .await
            .unwrap();
        let found = backend.tenants.tenant(&other.subdomain).await.unwrap();
        assert_eq!(found, Some(other));
    }
}
