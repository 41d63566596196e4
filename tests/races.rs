//! What happens to an object between its decision and its end: only what was judged is erased.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use atropos::domain::Chain;
use atropos::erase::{DocumentRequest, Platform, Request};
use atropos::error::Refused;
use atropos::ports::content::WHOLE;
use atropos::ports::{Chains, Result, StoreError};
use atropos::target::{BlobKey, Digest, Kind, Object, Permission, Target, TenantId, WebsiteId};
use atropos_service::auth::Issued;
use atropos_service::config::Config;
use atropos_service::service::Service;
use atropos_service::upload::{NewUpload, UploadError};
use tokio::io::AsyncReadExt as _;

use crate::embed::platform::Memory;
use crate::support::TENANT;
use crate::support::stage::{Stage, patient};

const ALWAYS: usize = usize::MAX;

/// Chains that meddle with the photo when they are asked: it has been found by then, and is not
/// erased yet.
struct Meddling {
    memory: Arc<Memory>,
    meddle: fn(&mut Object),
    times: AtomicUsize,
}

#[async_trait]
impl Chains for Meddling {
    async fn chain(&self, tenant: TenantId) -> Result<Option<Arc<Chain>>> {
        let less = |times: usize| times.checked_sub(1);
        let meddles = self
            .times
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if meddles.is_ok() {
            let mut rows = self.memory.rows.lock();
            rows.values_mut()
                .for_each(|(object, _)| (self.meddle)(object));
        }
        self.memory.chain(tenant).await
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        self.memory.component(digest).await
    }

    async fn plugin(&self) -> Result<Option<Digest>> {
        Chains::plugin(&*self.memory).await
    }
}

/// One photo that is meddled with so often, under a chain that keeps what is `in-order`.
fn stage(times: usize, meddle: fn(&mut Object)) -> Stage {
    let platform = |memory: &Arc<Memory>| Platform {
        chains: Arc::new(Meddling {
            memory: Arc::clone(memory),
            meddle,
            times: AtomicUsize::new(times),
        }),
        ..Platform::from(memory.clone())
    };
    let stage = Stage::on(platform, &patient());
    stage
        .memory
        .assign("labels", r#"{"forbidden": ["in-order"]}"#);
    stage
}

fn relabel(object: &mut Object, label: &str) {
    object.labels = vec![label.to_owned()];
    object.version += 1;
}

#[tokio::test]
async fn what_changed_after_its_decision_is_judged_again_as_it_is_now() {
    let kept = stage(1, |photo| relabel(photo, "in-order"));
    let refused = kept.delete("p-1").await.expect_err("denied");
    assert!(refused.to_string().contains("in-order"), "{refused}");
    assert_eq!(kept.verdicts().await, ["denied"]);
    kept.assert_intact("relabelled");

    let gone = stage(1, |photo| relabel(photo, "holiday"));
    gone.delete("p-1").await.expect("the second decision holds");
    assert_eq!(gone.verdicts().await, ["allowed"]);
    assert_eq!(gone.memory.decisions.lock()[0].object.version, 2);
}

#[tokio::test]
async fn a_decision_about_a_predecessor_of_the_same_name_erases_nothing() {
    let stage = stage(1, |photo| {
        photo.created_at_ms += 1;
        photo.labels = vec!["in-order".to_owned()];
    });
    stage.delete("p-1").await.expect_err("judged again");
    assert_eq!(stage.verdicts().await, ["denied"]);
    stage.assert_intact("uploaded anew");
}

#[tokio::test]
async fn what_keeps_changing_is_left_alone() {
    let stage = stage(ALWAYS, |photo| relabel(photo, "holiday"));
    let refused = stage.delete("p-1").await.expect_err("never the same");
    assert_eq!(refused, Refused::Changed);
    stage.assert_intact("changing");
}

#[tokio::test]
async fn a_hold_placed_after_the_decision_wins() {
    let stage = stage(1, |photo| photo.held = true);
    let refused = stage.delete("p-1").await.expect_err("held");
    assert_eq!(refused, Refused::Held);
    stage.assert_intact("held");
}

const GUID: &str = "fcc588f3-d1e8-47cd-8b08-e878daecb214";
const ROUNDS: usize = 50;

/// Everything over a data directory of its own, one tenant, and a token that may delete there.
async fn service(data_dir: &Path) -> (Service, TenantId, String) {
    let config = Config {
        data_dir: data_dir.to_owned(),
        ..patient()
    };
    let service = Service::open(config).expect("a service");
    let warm = service.atropos.sandbox().warm_up().await;
    warm.expect("a plugin");
    let website = WebsiteId::new(7).expect("a positive number");
    let tenant =
        service.create_tenant(TENANT.parse().expect("a DNS label"), website, String::new());
    let tenant = tenant.await.expect("a tenant").id;
    let (client, token) = (Issued::new("crm", None), Issued::new("a token", None));
    let id = client.stored.id.clone();
    let all = [Permission::DocumentsWrite];
    let tenants = &service.tenants;
    tenants.add_client(client.stored).await.expect("a client");
    tenants.grant(&id, tenant, &all).await.expect("a grant");
    tenants
        .add_token(&id, token.stored, 1)
        .await
        .expect("a token");
    (service, tenant, token.secret)
}

/// Uploads under the one id, as soon as that is free.
async fn upload(service: &Service, tenant: TenantId, content: String) -> BlobKey {
    loop {
        let new = NewUpload {
            tenant,
            owner: "6".to_owned(),
            id: Some(GUID.to_owned()),
            name: "again.txt".to_owned(),
            labels: Vec::new(),
            retain_until_ms: None,
        };
        let mut bytes = Cursor::new(&content);
        match service.uploads.document(new, &mut bytes).await {
            Ok(stored) => return stored.renditions[0].key,
            Err(UploadError::Store(StoreError::Taken { .. })) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn read(service: &Service, key: BlobKey) -> Option<String> {
    let mut found = service.bytes.open(key, WHOLE).await.expect("an answer")?;
    let mut text = String::new();
    let read = found.content.read_to_string(&mut text);
    read.await.expect("text");
    Some(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_races_the_delete_of_its_predecessor_survives_whole() {
    let folder = tempfile::tempdir().expect("a directory");
    let (service, tenant, token) = service(folder.path()).await;
    let delete = DocumentRequest {
        authorization: Some(format!("Bearer {token}")),
        content_type: Some("application/json".to_owned()),
        body: format!(r#"{{"tenantSubDomain":"{TENANT}","userAccountId":6,"fileGuid":"{GUID}"}}"#)
            .into_bytes(),
    };
    let delete = || service.atropos.delete(Request::Document(delete.clone()));
    let target = Target {
        tenant,
        kind: Kind::Document,
        owner: "6".to_owned(),
        id: GUID.to_owned(),
    };
    let mut predecessor = upload(&service, tenant, "round 0".to_owned()).await;
    for round in 1..=ROUNDS {
        let content = format!("round {round}");
        let (deleted, successor) =
            tokio::join!(delete(), upload(&service, tenant, content.clone()));
        deleted.expect("the predecessor was there");
        assert_eq!(read(&service, predecessor).await, None, "round {round}");
        let shown = service.catalogue.show(&target).await.expect("an answer");
        let shown = shown.expect("the successor").renditions[0].key;
        assert_eq!(shown, successor, "round {round}");
        assert_eq!(read(&service, successor).await, Some(content));
        predecessor = successor;
    }
    service.stop().await;
}
