//! Components, chains with their history, and chains that are tried beside them.

use uuid::Uuid;

use super::{FIRST, Service};
use crate::conformance::subject::entry;
use crate::domain::decision::Verdict;
use crate::domain::policies::{About, NewShadow, Origin, Unrevised};
use crate::domain::shadow::{Flip, Observed};
use crate::domain::{Chain, NewComponent, NewRevision, PolicyLimits, Report};
use crate::ports::{Result, StoreError};
use crate::target::Digest;

fn revision(policies: &[&str]) -> NewRevision {
    let entries = policies.iter().map(|policy| entry(policy)).collect();
    NewRevision::new(entries, 5)
}

async fn keep(service: &Service, name: &str) -> Digest {
    let component = NewComponent::new(name, name.as_bytes(), 5);
    let digest = component.digest;
    service.rows.add_component(component).await.unwrap();
    digest
}

async fn revise(service: &Service, new: NewRevision) -> Result<u64, Unrevised> {
    let revised = service.rows.revise(service.tenant.id, new);
    revised.await.unwrap()
}

pub(in crate::conformance) async fn a_chain_is_in_force_once_assigned(service: &Service) {
    let tenant = service.tenant.id;
    let first = service.chains.chain(tenant).await.unwrap().unwrap();
    assert_eq!((first.revision, first.entries.len()), (1, 1));
    let digest = keep(service, "retention").await;
    let new = revision(&["allow-all", "retention"]);
    assert_eq!(revise(service, new.clone()).await, Ok(2));
    let second = service.chains.chain(tenant).await.unwrap().unwrap();
    assert_eq!(second.revision, 2);
    assert_eq!(second.entries, new.entries);
    let bytes = service.chains.component(digest).await.unwrap();
    assert_eq!(bytes.as_deref(), Some(&b"retention"[..]));
    let nobody = service.nobody();
    assert_eq!(service.chains.chain(nobody).await.unwrap(), None);
}

pub(in crate::conformance) async fn a_chain_names_only_components_that_are_kept(service: &Service) {
    let tenant = service.tenant.id;
    let unknown = revision(&["allow-all", "unknown"]);
    let shadow = shadow(&["unknown"]);
    let refusals = [
        service.rows.revise(tenant, unknown).await.map(drop),
        service.rows.set_shadow(tenant, shadow).await.map(drop),
    ];
    for refused in refusals {
        assert!(matches!(
            refused,
            Err(StoreError::Missing { what: "component" })
        ));
    }
    let chain = service.chains.chain(tenant).await.unwrap().unwrap();
    assert_eq!((chain.revision, &chain.shadow), (1, &None));
    let nobody = service.nobody();
    let refused = service.rows.revise(nobody, revision(&[])).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing { what: "tenant" })
    ));
}

pub(in crate::conformance) async fn the_operator_chooses_the_plugin(service: &Service) {
    assert_eq!(service.chains.plugin().await.unwrap(), None);
    let kept = Digest::of(b"allow-all");
    service.rows.choose_plugin(Some(kept)).await.unwrap();
    assert_eq!(service.chains.plugin().await.unwrap(), Some(kept));
    let unknown = Some(Digest::of(b"unknown"));
    assert!(service.rows.choose_plugin(unknown).await.is_err());
    service.rows.choose_plugin(None).await.unwrap();
    assert_eq!(service.chains.plugin().await.unwrap(), None);
}

pub(in crate::conformance) async fn every_revision_tells_who_when_and_why(service: &Service) {
    let report = None;
    let limits = PolicyLimits {
        fuel: Some(7),
        ..PolicyLimits::default()
    };
    let new = NewRevision {
        limits,
        origin: Origin::Deployed,
        by: "ada".to_owned(),
        why: "audit".to_owned(),
        at_ms: 9,
        base: Some(1),
        report,
        ..revision(&["allow-all", "allow-all"])
    };
    assert_eq!(revise(service, new.clone()).await, Ok(2));
    let tenant = service.tenant.id;
    let listed = service.rows.revisions(tenant, FIRST).await.unwrap();
    let numbers: Vec<_> = listed
        .iter()
        .map(|one| (one.revision, one.origin))
        .collect();
    assert_eq!(numbers, [(2, Origin::Deployed), (1, Origin::Created)]);
    let latest = &listed[0];
    assert_eq!(
        (latest.by.as_str(), latest.why.as_str(), latest.at_ms),
        ("ada", "audit", 9)
    );
    assert_eq!((&latest.chain, latest.limits), (&new.entries, limits));
    assert_eq!(listed[1].by, "operator");
    let found = service.rows.revision(tenant, 2).await.unwrap();
    assert_eq!(found.as_ref(), Some(latest));
    assert_eq!(service.rows.revision(tenant, 3).await.unwrap(), None);
    let chain = service.chains.chain(tenant).await.unwrap().unwrap();
    assert_eq!(chain.limits, limits);
}

pub(in crate::conformance) async fn a_change_meant_for_another_revision_changes_nothing(
    service: &Service,
) {
    assert_eq!(revise(service, revision(&["allow-all"])).await, Ok(2));
    let late = NewRevision {
        base: Some(1),
        ..revision(&["allow-all"])
    };
    let refused = revise(service, late).await;
    assert_eq!(refused, Err(Unrevised::Outdated { current: 2 }));
    let listed = service.rows.revisions(service.tenant.id, FIRST).await;
    assert_eq!(listed.unwrap().len(), 2);
}

pub(in crate::conformance) async fn a_change_that_may_allow_more_is_held_to_a_replay(
    service: &Service,
) {
    let (tenant, policies) = (service.tenant.id, &service.rows);
    keep(service, "retention").await;
    policies.require_replay(tenant, true).await.unwrap();
    assert!(policies.replay_required(tenant).await.unwrap());
    let stricter = revision(&["allow-all", "retention"]);
    assert_eq!(
        revise(service, stricter).await,
        Ok(2),
        "it cannot allow more"
    );
    let wider = revision(&["allow-all"]);
    let refused = revise(service, wider.clone()).await;
    assert_eq!(refused, Err(Unrevised::ReplayWanted { current: 2 }));

    let candidate = Chain {
        entries: wider.entries.clone(),
        ..Chain::default()
    };
    let report = |base_revision, candidate: Digest| Report {
        id: Uuid::new_v4(),
        tenant,
        base_revision,
        candidate,
        at_ms: 6,
        by: "ada".to_owned(),
        since_ms: None,
        until_ms: None,
        decisions: 3,
        deny_to_allow: 1,
        allow_to_deny: 0,
        faults: 0,
    };
    for other in [
        report(1, candidate.digest()),
        report(2, Digest::of(b"other")),
    ] {
        policies.add_report(&other).await.unwrap();
        let new = NewRevision {
            report: Some(other.id),
            ..wider.clone()
        };
        let refused = revise(service, new).await;
        let (report, current) = (other.id, 2);
        assert_eq!(refused, Err(Unrevised::OtherReport { report, current }));
    }
    for partial in [
        Report {
            since_ms: Some(4),
            ..report(2, candidate.digest())
        },
        Report {
            until_ms: Some(4),
            ..report(2, candidate.digest())
        },
    ] {
        policies.add_report(&partial).await.unwrap();
        let new = NewRevision {
            report: Some(partial.id),
            ..wider.clone()
        };
        let refused = revise(service, new).await;
        let report = partial.id;
        assert_eq!(refused, Err(Unrevised::PartialReport { report }));
    }
    let unknown = NewRevision {
        report: Some(Uuid::new_v4()),
        ..wider.clone()
    };
    let refused = policies.revise(tenant, unknown).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing { what: "report" })
    ));

    let fitting = report(2, candidate.digest());
    policies.add_report(&fitting).await.unwrap();
    assert_eq!(
        policies.report(tenant, fitting.id).await.unwrap().as_ref(),
        Some(&fitting)
    );
    let new = NewRevision {
        report: Some(fitting.id),
        ..wider
    };
    assert_eq!(revise(service, new).await, Ok(3));
    let latest = policies.revision(tenant, 3).await.unwrap().unwrap();
    assert_eq!(latest.report, Some(fitting.id));
}

pub(in crate::conformance) async fn a_component_is_kept_once_and_tells_of_itself(
    service: &Service,
) {
    let about = About {
        version: "1.0.0".to_owned(),
        summary: "Forbids.".to_owned(),
        settings_schema: "{}".to_owned(),
    };
    let told = NewComponent {
        about: Some(about.clone()),
        ..NewComponent::new("retention", b"retention", 5)
    };
    let policies = &service.rows;
    keep(service, "retention").await;
    policies.add_component(told).await.unwrap();
    keep(service, "retention").await;
    revise(service, revision(&["retention", "retention"]))
        .await
        .unwrap();
    let listed = policies.components().await.unwrap();
    let seen: Vec<_> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.tenants))
        .collect();
    assert_eq!(seen, [("allow-all", 0), ("retention", 1)]);
    assert_eq!(listed[1].about, Some(about));
    assert_eq!((listed[1].size_bytes, listed[1].added_at_ms), (9, 5));
    assert_eq!(listed[1].digest, Digest::of(b"retention"));
}

fn shadow(policies: &[&str]) -> NewShadow {
    NewShadow {
        entries: policies.iter().map(|policy| entry(policy)).collect(),
        limits: PolicyLimits::default(),
        by: "ada".to_owned(),
        why: "try".to_owned(),
        at_ms: 7,
    }
}

fn seen(at_ms: u64, was: Verdict, would: Verdict) -> Observed {
    Observed {
        decision: Uuid::new_v4(),
        at_ms,
        was,
        would,
        policy: Some("retention".to_owned()),
        why: vec!["minimum-age: too young".to_owned()],
    }
}

pub(in crate::conformance) async fn a_shadow_is_counted_and_its_worst_differences_come_first(
    service: &Service,
) {
    let (tenant, policies) = (service.tenant.id, &service.rows);
    keep(service, "retention").await;
    let id = policies
        .set_shadow(tenant, shadow(&["retention"]))
        .await
        .unwrap();
    let chain = service.chains.chain(tenant).await.unwrap().unwrap();
    assert_eq!(chain.shadow.as_ref().map(|shadow| shadow.id), Some(id));
    let fault = || Verdict::Fault("policy-fuel".to_owned());
    let all = [
        seen(1, Verdict::Allowed, Verdict::Allowed),
        seen(2, Verdict::Allowed, fault()),
        seen(3, Verdict::Allowed, Verdict::Denied),
        seen(4, Verdict::Denied, Verdict::Allowed),
        seen(5, Verdict::Denied, Verdict::Allowed),
        seen(6, fault(), Verdict::Denied),
    ];
    service
        .rows
        .observe(tenant, id, &all[..3], 2)
        .await
        .unwrap();
    service
        .rows
        .observe(tenant, id, &all[3..], 40)
        .await
        .unwrap();
    let tally = policies.tally(tenant).await.unwrap().unwrap();
    assert_eq!(
        (
            tally.counts.compared,
            tally.counts.deny_to_allow,
            tally.counts.allow_to_deny
        ),
        (6, 2, 1)
    );
    assert_eq!(tally.counts.passed_over, 42);
    assert_eq!(
        (
            tally.counts.to_fault,
            tally.counts.from_fault,
            tally.since_ms
        ),
        (1, 1, 7)
    );
    let listed = policies.differences(tenant, FIRST).await.unwrap();
    let order: Vec<_> = listed.iter().map(|one| (one.flip, one.at_ms)).collect();
    let expected = [
        (Flip::DenyToAllow, 5),
        (Flip::DenyToAllow, 4),
        (Flip::AllowToDeny, 3),
        (Flip::ToFault, 2),
        (Flip::FromFault, 6),
    ];
    assert_eq!(order, expected);
    assert_eq!(
        (listed[3].would.as_str(), &listed[3].why),
        ("policy-fuel", &all[1].why)
    );
}

pub(in crate::conformance) async fn a_shadow_ends_when_it_is_replaced_dropped_or_in_force(
    service: &Service,
) {
    let (tenant, policies) = (service.tenant.id, &service.rows);
    keep(service, "retention").await;
    let first = policies
        .set_shadow(tenant, shadow(&["retention"]))
        .await
        .unwrap();
    let flip = [seen(1, Verdict::Denied, Verdict::Allowed)];
    service.rows.observe(tenant, first, &flip, 1).await.unwrap();
    policies
        .set_shadow(tenant, shadow(&["allow-all", "retention"]))
        .await
        .unwrap();
    service.rows.observe(tenant, first, &flip, 1).await.unwrap();
    let tally = policies.tally(tenant).await.unwrap().unwrap();
    assert_eq!(
        (tally.counts.compared, tally.counts.passed_over),
        (0, 0),
        "what another said is not its own"
    );
    assert!(
        policies
            .differences(tenant, FIRST)
            .await
            .unwrap()
            .is_empty()
    );

    revise(service, revision(&["retention"])).await.unwrap();
    assert!(
        policies.tally(tenant).await.unwrap().is_some(),
        "another chain is in force"
    );
    revise(service, revision(&["allow-all", "retention"]))
        .await
        .unwrap();
    assert_eq!(
        policies.tally(tenant).await.unwrap(),
        None,
        "it is in force itself"
    );

    policies
        .set_shadow(tenant, shadow(&["retention"]))
        .await
        .unwrap();
    assert!(policies.drop_shadow(tenant).await.unwrap());
    assert!(!policies.drop_shadow(tenant).await.unwrap());
    let chain = service.chains.chain(tenant).await.unwrap().unwrap();
    assert_eq!(chain.shadow, None);
}
