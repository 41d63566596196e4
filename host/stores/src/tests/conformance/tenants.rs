//! Tenants and their credentials.

use atropos::store::tenants::NewCredential;
use atropos::target::{Caller, Subdomain};

use crate::tests::*;

fn credential(id: &str, expires_at_ms: Option<u64>) -> NewCredential {
    NewCredential {
        id: id.to_owned(),
        label: format!("label of {id}"),
        digest: Digest::of(id.as_bytes()),
        issued_at_ms: 100,
        expires_at_ms,
    }
}

pub(super) async fn a_site_key_speaks_for_its_website_until_revoked_or_expired(backend: &Backend) {
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

pub(super) async fn a_client_beyond_its_tokens_loses_its_own_that_would_expire_first(
    backend: &Backend,
) {
    let tenants = &backend.tenants;
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

pub(super) async fn names_of_tenants_are_taken_once(backend: &Backend) {
    let new = |subdomain: &str, website| NewTenant {
        subdomain: subdomain.parse().unwrap(),
        website_id: WebsiteId::new(website).unwrap(),
        chain: vec![entry("allow-all")],
        at_ms: 1,
        by: String::new(),
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
