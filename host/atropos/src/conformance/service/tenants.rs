//! Tenants, their credentials and their budgets.

use super::Service;
use crate::config::Budget;
use crate::conformance::budgets::{
    DAY_MS, MIDNIGHT_MS, NOON_MS, by, erased, erasure_within, per_day, uploads,
};
use crate::conformance::subject::entry;
use crate::domain::budget::{Limit, Spent};
use crate::domain::tenants::NewCredential;
use crate::domain::{Erasure, NewTenant};
use crate::ports::StoreError;
use crate::target::{Caller, CallerKind, Digest, Permission, Scope, Subdomain, WebsiteId, Window};

fn credential(id: &str, expires_at_ms: Option<u64>) -> NewCredential {
    NewCredential {
        id: id.to_owned(),
        label: format!("label of {id}"),
        digest: Digest::of(id.as_bytes()),
        issued_at_ms: 100,
        expires_at_ms,
    }
}

pub(in crate::conformance) async fn a_site_key_speaks_for_its_website_until_revoked_or_expired(
    service: &Service,
) {
    let (tenant, website) = (&service.tenant, service.tenant.website_id);
    let key = credential("k1", Some(200));
    service.rows.add_key(tenant.id, key.clone()).await.unwrap();
    let other = WebsiteId::new(8).unwrap();
    let ask = |website, digest, at| service.rows.site_caller(website, digest, at);
    let caller = ask(website, key.digest, 199).await.unwrap().unwrap();
    assert_eq!(&caller.tenant, tenant);
    assert_eq!(caller.id, "k1");
    assert!(caller.may(Permission::PhotosWrite));
    assert!(!caller.may(Permission::Moderate));
    assert_eq!(ask(website, key.digest, 200).await.unwrap(), None);
    assert_eq!(ask(other, key.digest, 199).await.unwrap(), None);
    assert_eq!(ask(website, Digest::of(b"k2"), 199).await.unwrap(), None);
    service.rows.revoke_key("k1", 150).await.unwrap();
    assert_eq!(ask(website, key.digest, 160).await.unwrap(), None);
    let listed = service.rows.keys(tenant.id).await.unwrap();
    assert_eq!(listed[0].revoked_at_ms, Some(150));
    let unknown = service.rows.revoke_key("k2", 150).await;
    assert!(matches!(unknown, Err(StoreError::Missing { .. })));
    let nobody = service.nobody();
    let refused = service.rows.add_key(nobody, credential("k3", None)).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing { what: "tenant" })
    ));
}

pub(in crate::conformance) async fn a_client_reaches_only_where_it_has_a_grant(service: &Service) {
    let (tenants, id) = (&service.rows, service.tenant.id);
    let client = credential("c1", None);
    tenants.add_client(client.clone()).await.unwrap();
    let again = tenants.add_client(client.clone()).await;
    assert!(matches!(again, Err(StoreError::Taken { what: "client" })));
    assert_eq!(
        tenants.client_secret("c1", 150).await.unwrap(),
        Some(client.digest)
    );
    assert_eq!(tenants.client_secret("c2", 150).await.unwrap(), None);
    let own = service.tenant.subdomain.clone();
    assert_eq!(tenants.granted("c1", &own).await.unwrap(), None);
    let permissions = [Permission::DocumentsWrite, Permission::Moderate];
    tenants.grant("c1", id, &permissions).await.unwrap();
    let expected = Caller {
        tenant: service.tenant.clone(),
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

pub(in crate::conformance) async fn a_token_speaks_for_its_client_until_revoked_or_expired(
    service: &Service,
) {
    let tenants = &service.rows;
    tenants.add_client(credential("c1", None)).await.unwrap();
    let token = credential("t1", Some(200));
    tenants.add_token("c1", token.clone(), 9).await.unwrap();
    let ask = |at| tenants.token_client(token.digest, at);
    assert_eq!(ask(199).await.unwrap().as_deref(), Some("c1"));
    assert_eq!(ask(200).await.unwrap(), None);
    tenants.revoke_token("t1", 150).await.unwrap();
    assert_eq!(ask(160).await.unwrap(), None);
    let unknown = tenants.add_token("c2", credential("t2", None), 9).await;
    assert!(matches!(
        unknown,
        Err(StoreError::Missing { what: "client" })
    ));
}

pub(in crate::conformance) async fn a_client_beyond_its_tokens_loses_its_own_that_would_expire_first(
    service: &Service,
) {
    let tenants = &service.rows;
    for client in ["c1", "other"] {
        tenants.add_client(credential(client, None)).await.unwrap();
    }
    let live = async |names: &[&str]| {
        let mut live = Vec::new();
        for name in names {
            let digest = credential(name, None).digest;
            if tenants.token_client(digest, 50).await.unwrap().is_some() {
                live.push((*name).to_owned());
            }
        }
        live
    };
    let add = async |client, name, expires| {
        let added = tenants.add_token(client, credential(name, expires), 3);
        added.await.unwrap()
    };
    assert_eq!(add("other", "theirs", Some(1000)).await, 0);
    // One that lasts long was issued by hand, and is the oldest.
    for (name, expires) in [
        ("by-hand", Some(9000)),
        ("t1", Some(300)),
        ("t2", Some(301)),
    ] {
        assert_eq!(add("c1", name, expires).await, 0, "{name}");
    }
    assert_eq!(add("c1", "t3", Some(302)).await, 1);
    assert_eq!(add("c1", "t4", Some(303)).await, 1);
    // Even one that expires first is good when it is new.
    assert_eq!(add("c1", "short", Some(200)).await, 1);
    let all = ["theirs", "by-hand", "t1", "t2", "t3", "t4", "short"];
    assert_eq!(live(&all).await, ["theirs", "by-hand", "t4", "short"]);
}

pub(in crate::conformance) async fn names_of_tenants_are_taken_once(service: &Service) {
    let new = |subdomain: &str, website| NewTenant {
        subdomain: subdomain.parse().unwrap(),
        website_id: WebsiteId::new(website).unwrap(),
        chain: vec![entry("allow-all")],
        at_ms: 1,
        by: String::new(),
    };
    let taken = service.rows.create_tenant(new("MyTenant", 8)).await;
    assert!(matches!(
        taken,
        Err(StoreError::Taken { what: "subdomain" })
    ));
    let taken = service.rows.create_tenant(new("other", 7)).await;
    assert!(matches!(
        taken,
        Err(StoreError::Taken { what: "website id" })
    ));
    let mut unknown = new("other", 8);
    unknown.chain = vec![entry("unknown")];
    assert!(service.rows.create_tenant(unknown).await.is_err());
    let tenants = service.rows.tenants().await.unwrap();
    assert_eq!(
        tenants.as_slice(),
        std::slice::from_ref(&service.tenant),
        "a refused tenant leaves nothing"
    );
    let other = service.rows.create_tenant(new("other", 8)).await.unwrap();
    let found = service.rows.tenant(&other.subdomain).await.unwrap();
    assert_eq!(found, Some(other));
}

async fn spent(service: &Service, at_ms: u64) -> Vec<Spent> {
    let spent = service.rows.spent(service.tenant.id, at_ms);
    spent.await.unwrap()
}

pub(in crate::conformance) async fn a_budget_of_one_tenant_is_no_matter_of_another(
    service: &Service,
) {
    let other = NewTenant {
        subdomain: "other".parse().unwrap(),
        website_id: WebsiteId::new(8).unwrap(),
        chain: vec![entry("allow-all")],
        at_ms: 1,
        by: String::new(),
    };
    let other = service.rows.create_tenant(other).await.unwrap();
    let mut objects = uploads(service, 5).await;
    for name in ["q1", "q2"] {
        let mut foreign = service.new_object(name, b"bytes").await;
        foreign.object.target.tenant = other.id;
        service.rows.insert(foreign.clone()).await.unwrap();
        objects.push(foreign.object);
    }
    let within = |index: usize, caller| {
        let erasure = erasure_within(service, &objects[index], per_day(3, 1));
        by(caller, erasure)
    };
    // The same caller's name in another tenant is another caller.
    let group = [
        within(0, "k1"),
        within(1, "k1"),
        within(5, "k1"),
        within(2, "k2"),
        within(3, "k3"),
        within(4, "k4"),
        within(6, "k4"),
    ];
    let expected = [true, false, true, true, true, false, true];
    assert_eq!(erased(service, &group).await, expected);
}

pub(in crate::conformance) async fn a_limit_set_for_a_tenant_stands_in_place_of_the_configured_one(
    service: &Service,
) {
    let (tenant, objects) = (service.tenant.id, uploads(service, 6).await);
    let within = |index: usize| erasure_within(service, &objects[index], per_day(1, 0));
    let limit = |scope, window, deletes| Limit {
        scope,
        window,
        deletes,
    };
    let day = |deletes| [limit(Scope::Tenant, Window::Day, deletes)];
    let set = |limits: [Limit; 1]| async move {
        let set = service.rows.set_limits(tenant, &limits).await;
        set.unwrap();
    };
    assert_eq!(
        erased(service, &[within(0), within(1)]).await,
        [true, false]
    );
    set(day(Some(2))).await;
    assert_eq!(
        erased(service, &[within(1), within(2)]).await,
        [true, false]
    );
    set(day(Some(0))).await;
    assert_eq!(erased(service, &[within(2), within(3)]).await, [true, true]);
    // It holds in the narrower scope as well, and beside what is configured.
    set([limit(Scope::Caller, Window::Week, Some(1))]).await;
    assert_eq!(
        erased(service, &[within(4), within(5)]).await,
        [true, false]
    );
    let both = [
        limit(Scope::Caller, Window::Week, Some(1)),
        limit(Scope::Tenant, Window::Day, Some(0)),
    ];
    assert_eq!(service.rows.limits(tenant).await.unwrap(), both);
    set([limit(Scope::Caller, Window::Week, None)]).await;
    set(day(None)).await;
    assert_eq!(service.rows.limits(tenant).await.unwrap(), []);
    assert_eq!(erased(service, &[within(5)]).await, [false]);
    let nobody = service.nobody();
    let refused = service.rows.set_limits(nobody, &both).await;
    assert!(matches!(
        refused,
        Err(StoreError::Missing { what: "tenant" })
    ));
}

pub(in crate::conformance) async fn a_window_without_a_limit_is_not_counted(service: &Service) {
    let objects = uploads(service, 2).await;
    let unlimited = erasure_within(service, &objects[0], Budget::default());
    let limited = erasure_within(service, &objects[1], per_day(1, 0));
    assert_eq!(erased(service, &[unlimited]).await, [true]);
    assert_eq!(spent(service, NOON_MS).await, []);
    assert_eq!(erased(service, &[limited]).await, [true]);
    let counted = Spent {
        caller: None,
        window: Window::Day,
        deletes: 1,
        until_ms: MIDNIGHT_MS,
    };
    assert_eq!(spent(service, NOON_MS).await, [counted]);
    assert_eq!(spent(service, MIDNIGHT_MS).await, [], "the day is over");
}

pub(in crate::conformance) async fn counts_of_long_ago_are_forgotten(service: &Service) {
    let objects = uploads(service, 5).await;
    for (days, object) in [0, 1, 15, 16].into_iter().zip(&objects) {
        let caller = format!("k{days}");
        let erasure = Erasure {
            at_ms: NOON_MS + days * DAY_MS,
            ..erasure_within(service, object, per_day(0, 1))
        };
        assert_eq!(erased(service, &[by(&caller, erasure)]).await, [true]);
    }
    // Seen from the first day, what came later lies ahead and what is kept still counts.
    let kept = spent(service, NOON_MS).await;
    let kept: Vec<_> = kept.iter().map(|one| one.caller.as_deref()).collect();
    assert_eq!(kept, [Some("k15"), Some("k16")]);
}
