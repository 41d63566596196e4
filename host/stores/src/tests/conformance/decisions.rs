//! Decisions on record, and looking for them.

use crate::tests::*;

pub(super) async fn a_decision_is_found_as_it_was_made_and_by_its_tenant_alone(backend: &Backend) {
    let [made, _] = recorded(backend).await;
    let tenant = backend.tenant.id;
    let found = backend.catalogue.decision(tenant, made.id).await.unwrap();
    assert_eq!(format!("{:?}", found.unwrap()), format!("{made:?}"));
    let nobody = TenantId(tenant.0 + 1);
    let foreign = backend.catalogue.decision(nobody, made.id).await.unwrap();
    assert!(foreign.is_none());
    let unknown = backend.catalogue.decision(tenant, Uuid::new_v4()).await;
    assert!(unknown.unwrap().is_none());
}

pub(super) async fn decisions_are_found_by_whatever_they_are_about(backend: &Backend) {
    let [one, other] = recorded(backend).await;
    let text = |text: &str| Some(text.to_owned());
    let wanted = Wanted::default;
    let (first, second, both) = (vec![one.id], vec![other.id], vec![other.id, one.id]);
    let table = [
        (wanted(), &both),
        (
            Wanted {
                user: text("user-6"),
                ..wanted()
            },
            &first,
        ),
        (
            Wanted {
                kind: Some(Kind::Document),
                ..wanted()
            },
            &second,
        ),
        (
            Wanted {
                object: text("d1"),
                ..wanted()
            },
            &second,
        ),
        (
            Wanted {
                caller: text("key-1"),
                ..wanted()
            },
            &first,
        ),
        (
            Wanted {
                verdict: Some(Verdict::Denied),
                ..wanted()
            },
            &second,
        ),
        (
            Wanted {
                policy: text("allow-all"),
                ..wanted()
            },
            &both,
        ),
        (
            Wanted {
                policy: text("retention"),
                ..wanted()
            },
            &second,
        ),
        (
            Wanted {
                digest: Some(Digest::of(b"retention")),
                ..wanted()
            },
            &second,
        ),
        (
            Wanted {
                revision: Some(1),
                ..wanted()
            },
            &first,
        ),
        (
            Wanted {
                since_ms: Some(2_000),
                ..wanted()
            },
            &second,
        ),
        (
            Wanted {
                until_ms: Some(2_000),
                ..wanted()
            },
            &first,
        ),
        (
            Wanted {
                user: text("user-6"),
                verdict: Some(Verdict::Denied),
                ..wanted()
            },
            &vec![],
        ),
        (
            Wanted {
                user: text("user-%"),
                ..wanted()
            },
            &vec![],
        ),
    ];
    let tenant = backend.tenant.id;
    for (wanted, expected) in table {
        let found = backend.catalogue.decisions(tenant, &wanted, LATEST).await;
        let found: Vec<_> = found.unwrap().iter().map(|one| one.id).collect();
        assert_eq!(found, *expected, "{wanted:?}");
        let count = backend.catalogue.count_decisions(tenant, &wanted).await;
        assert_eq!(count.unwrap(), expected.len() as u64, "{wanted:?}");
        let nobody = TenantId(tenant.0 + 1);
        let foreign = backend.catalogue.decisions(nobody, &wanted, LATEST).await;
        assert!(foreign.unwrap().is_empty());
    }
}

pub(super) async fn a_list_goes_on_where_it_ended_whatever_is_recorded_meanwhile(
    backend: &Backend,
) {
    let object = backend.upload("p1", b"bytes").await;
    let at = |at_ms| Decision {
        at_ms,
        ..denied(&object)
    };
    // Several of one time, as under load.
    let times = [1, 2, 2, 2, 3, 3, 4];
    let made: Vec<_> = times.into_iter().map(at).collect();
    backend.objects.record(&made).await.unwrap();
    let oldest_first: Vec<_> = made.iter().map(|one| one.id).collect();
    let latest_first: Vec<_> = oldest_first.iter().rev().copied().collect();
    let table = [
        (Order::OldestFirst, oldest_first, 0),
        (Order::LatestFirst, latest_first, 9),
    ];
    let (tenant, every) = (backend.tenant.id, Wanted::default());
    for (order, expected, behind) in table {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let stretch = Stretch {
                order,
                after,
                limit: 2,
            };
            let part = backend.catalogue.decisions(tenant, &every, stretch);
            let part = part.await.unwrap();
            assert!(part.len() <= 2);
            let Some(last) = part.last() else { break };
            after = Some(last.id);
            seen.extend(part.iter().map(|one| one.id));
            // What comes in where the list has been already changes nothing.
            backend.objects.record(&[at(behind)]).await.unwrap();
        }
        seen.retain(|id| expected.contains(id));
        assert_eq!(seen, expected);
    }
    let stretch = Stretch {
        after: Some(Uuid::new_v4()),
        ..LATEST
    };
    let nowhere = backend.catalogue.decisions(tenant, &every, stretch);
    assert!(matches!(
        nowhere.await,
        Err(StoreError::Missing { what: "decision" })
    ));
}

/// Two decisions that have nothing in common but a policy that both were asked.
async fn recorded(backend: &Backend) -> [Decision; 2] {
    let component = NewComponent::new("retention", b"retention", 5);
    let digest = component.digest;
    backend.policies.add_component(component).await.unwrap();
    let chain = NewRevision::new(vec![entry("allow-all"), entry("retention")], 5);
    let revision = backend.policies.revise(backend.tenant.id, chain).await;
    let object = backend.upload("p1", b"bytes").await;
    let mut one = allowed(&object);
    one.at_ms = 1_000;
    let mut other = denied(&object);
    other.at_ms = 2_000;
    other.caller.kind = CallerKind::ApiClient;
    other.caller.id = "crm".to_owned();
    other.object.target = Target {
        kind: Kind::Document,
        owner: "7".to_owned(),
        id: "d1".to_owned(),
        ..other.object.target
    };
    other.chain_revision = revision.unwrap().unwrap();
    other.reviews.push(PolicyReview {
        policy: "retention".to_owned(),
        digest,
        outcome: "deny".to_owned(),
        ..one.reviews[0].clone()
    });
    let both = [one, other];
    backend.objects.record(&both).await.unwrap();
    both
}
