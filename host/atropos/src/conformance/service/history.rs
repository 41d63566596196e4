//! Activity and decisions, looked back at.

use uuid::Uuid;

use super::{FIRST, LATEST, Service};
use crate::conformance::subject::entry;
use crate::domain::decision::{Decision, PolicyReview, Verdict};
use crate::domain::{NewComponent, NewRevision, Order, Removal, Stretch, Wanted};
use crate::ports::StoreError;
use crate::target::{CallerKind, Digest, Kind, Target};

pub(in crate::conformance) async fn an_erasure_leaves_an_event(service: &Service) {
    let object = service.upload("p1", b"bytes").await;
    let erasure = service.erasure(&object);
    service.erase(std::slice::from_ref(&erasure)).await;
    let tenant = service.tenant.id;
    let activity = service
        .rows
        .activity(tenant, Some(Kind::Photo), "user-6", FIRST);
    let activity = activity.await.unwrap();
    assert_eq!(activity.len(), 1);
    assert_eq!(activity[0].activity, "User Photo Delete");
    assert_eq!(activity[0].object_id, "p1");
    assert_eq!(activity[0].at_ms, erasure.at_ms);
    assert_eq!(activity[0].caller, "key-1");
    assert_eq!(activity[0].decision_id, Some(erasure.decision.id));
    assert_eq!(activity[0].bytes_absent, 0);
    let others = service
        .rows
        .activity(tenant, Some(Kind::Photo), "user-7", FIRST);
    assert!(others.await.unwrap().is_empty());
    // What was refused leaves none.
    let held = service.upload("p2", b"bytes").await;
    service.fixture.hold(&held.target).await.unwrap();
    service.erase(&[service.erasure(&held)]).await;
    let activity = service.rows.activity(tenant, None, "user-6", FIRST);
    assert_eq!(activity.await.unwrap().len(), 1);
}

pub(in crate::conformance) async fn bytes_that_were_absent_are_noted_at_the_event(
    service: &Service,
) {
    let object = service.upload("p1", b"bytes").await;
    let keys = service.keys(&object);
    service.erase(&[service.erasure(&object)]).await;
    let removed = [(keys[0], Removal::Absent), (keys[1], Removal::Removed)];
    service.strike_off(&removed).await;
    service.strike_off(&removed).await;
    let activity = service
        .rows
        .activity(service.tenant.id, None, "user-6", FIRST);
    assert_eq!(activity.await.unwrap()[0].bytes_absent, 1);
}

pub(in crate::conformance) async fn a_decision_is_found_as_it_was_made_and_by_its_tenant_alone(
    service: &Service,
) {
    let [made, _] = recorded(service).await;
    let tenant = service.tenant.id;
    let found = service.rows.decision(tenant, made.id).await.unwrap();
    assert_eq!(format!("{:?}", found.unwrap()), format!("{made:?}"));
    let nobody = service.nobody();
    let foreign = service.rows.decision(nobody, made.id).await.unwrap();
    assert!(foreign.is_none());
    let unknown = service.rows.decision(tenant, Uuid::new_v4()).await;
    assert!(unknown.unwrap().is_none());
}

pub(in crate::conformance) async fn decisions_are_found_by_whatever_they_are_about(
    service: &Service,
) {
    let [one, other] = recorded(service).await;
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
    let tenant = service.tenant.id;
    for (wanted, expected) in table {
        let found = service.rows.decisions(tenant, &wanted, LATEST).await;
        let found: Vec<_> = found.unwrap().iter().map(|one| one.id).collect();
        assert_eq!(found, *expected, "{wanted:?}");
        let count = service.rows.count_decisions(tenant, &wanted).await;
        assert_eq!(count.unwrap(), expected.len() as u64, "{wanted:?}");
        let nobody = service.nobody();
        let foreign = service.rows.decisions(nobody, &wanted, LATEST).await;
        assert!(foreign.unwrap().is_empty());
    }
}

pub(in crate::conformance) async fn a_list_goes_on_where_it_ended_whatever_is_recorded_meanwhile(
    service: &Service,
) {
    let object = service.upload("p1", b"bytes").await;
    let at = |at_ms| Decision {
        at_ms,
        ..service.denied(&object)
    };
    // Several of one time, as under load.
    let times = [1, 2, 2, 2, 3, 3, 4];
    let made: Vec<_> = times.into_iter().map(at).collect();
    service.rows.record(&made).await.unwrap();
    let oldest_first: Vec<_> = made.iter().map(|one| one.id).collect();
    let latest_first: Vec<_> = oldest_first.iter().rev().copied().collect();
    let table = [
        (Order::OldestFirst, oldest_first, 0),
        (Order::LatestFirst, latest_first, 9),
    ];
    let (tenant, every) = (service.tenant.id, Wanted::default());
    for (order, expected, behind) in table {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let stretch = Stretch {
                order,
                after,
                limit: 2,
            };
            let part = service.rows.decisions(tenant, &every, stretch);
            let part = part.await.unwrap();
            assert!(part.len() <= 2);
            let Some(last) = part.last() else { break };
            after = Some(last.id);
            seen.extend(part.iter().map(|one| one.id));
            // What comes in where the list has been already changes nothing.
            service.rows.record(&[at(behind)]).await.unwrap();
        }
        seen.retain(|id| expected.contains(id));
        assert_eq!(seen, expected);
    }
    let stretch = Stretch {
        after: Some(Uuid::new_v4()),
        ..LATEST
    };
    let nowhere = service.rows.decisions(tenant, &every, stretch);
    assert!(matches!(
        nowhere.await,
        Err(StoreError::Missing { what: "decision" })
    ));
}

/// Two decisions that have nothing in common but a policy that both were asked.
async fn recorded(service: &Service) -> [Decision; 2] {
    let component = NewComponent::new("retention", b"retention", 5);
    let digest = component.digest;
    service.rows.add_component(component).await.unwrap();
    let chain = NewRevision::new(vec![entry("allow-all"), entry("retention")], 5);
    let revision = service.rows.revise(service.tenant.id, chain).await;
    let object = service.upload("p1", b"bytes").await;
    let mut one = service.allowed(&object);
    one.at_ms = 1_000;
    let mut other = service.denied(&object);
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
    service.rows.record(&both).await.unwrap();
    both
}
