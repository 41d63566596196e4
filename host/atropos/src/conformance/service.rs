//! A storage that the service can stand on, and the behaviours that it must have besides.

pub(super) mod catalogue;
pub(super) mod content;
pub(super) mod history;
pub(super) mod inventory;
pub(super) mod ledger;
pub(super) mod policies;
pub(super) mod tenants;

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::subject::{Fixture, Subject, entry};
use crate::domain::catalogue::Change;
use crate::domain::decision::Decision;
use crate::domain::{NewComponent, NewObject, NewTenant, Order, Page, Rendition, Stretch, Wanted};
use crate::ports::content::WHOLE;
use crate::ports::{Bytes, Database, Result};
use crate::target::{BlobKey, Object, Target, Tenant, TenantId, WebsiteId};

/// A page that has all of what a test makes.
pub const FIRST: Page = Page {
    offset: 0,
    limit: 100,
};

/// All decisions that a test makes, the latest first.
pub const LATEST: Stretch = Stretch {
    order: Order::LatestFirst,
    after: None,
    limit: 1000,
};

/// A subject with all that the service asks of it.
pub struct Service {
    subject: Arc<Subject>,
    /// Its rows.
    pub rows: Arc<dyn Database>,
    /// Its bytes.
    pub bytes: Arc<dyn Bytes>,
}

impl Deref for Service {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        &self.subject
    }
}

impl Subject {
    /// A storage that the service can stand on and that is empty so far. `now_ms` is the time, and `keep` is
    /// dropped after the storage.
    ///
    /// # Panics
    /// The storage does not take a component, or a tenant.
    pub async fn of_service(
        rows: Arc<dyn Database>,
        bytes: Arc<dyn Bytes>,
        now_ms: u64,
        keep: Box<dyn Any + Send + Sync>,
    ) -> Self {
        let component = NewComponent::new("allow-all", b"allow-all", now_ms);
        rows.add_component(component).await.unwrap();
        let tenant = NewTenant {
            subdomain: "mytenant".parse().unwrap(),
            website_id: WebsiteId::new(7).unwrap(),
            chain: vec![entry("allow-all")],
            at_ms: now_ms,
            by: "operator".to_owned(),
        };
        let tenant = rows.create_tenant(tenant).await.unwrap();
        Self::over(tenant, rows, bytes, now_ms, keep)
    }

    /// The same over one that has the tenant already, as after it was opened again.
    pub fn over(
        tenant: Tenant,
        rows: Arc<dyn Database>,
        bytes: Arc<dyn Bytes>,
        now_ms: u64,
        keep: Box<dyn Any + Send + Sync>,
    ) -> Self {
        let fixture = Stored {
            tenant: tenant.clone(),
            now_ms,
            rows: rows.clone(),
            bytes: bytes.clone(),
        };
        Self {
            tenant,
            entry: entry("allow-all"),
            now_ms,
            rows: rows.clone(),
            blobs: bytes.clone(),
            chains: rows.clone(),
            fixture: Arc::new(fixture),
            keeps_outcomes: true,
            service: Some((rows, bytes)),
            keep,
            keys: Mutex::default(),
        }
    }
}

impl Service {
    /// The subject as the service knows it, if it is one that the service can stand on.
    pub fn of(subject: &Arc<Subject>) -> Option<Self> {
        let (rows, bytes) = subject.service.clone()?;
        Some(Self {
            subject: Arc::clone(subject),
            rows,
            bytes,
        })
    }

    /// Does all of an upload but the last step.
    pub async fn new_object(&self, id: &str, content: &[u8]) -> NewObject {
        let until_ms = self.now_ms + 3_600_000;
        self.new_object_until(id, content, until_ms).await
    }

    /// The same, for an upload that may take until then.
    pub async fn new_object_until(&self, id: &str, content: &[u8], until_ms: u64) -> NewObject {
        let (object, contents) = (self.object(id, content), [content, content]);
        let new = store(&*self.rows, &*self.bytes, object, &contents, until_ms);
        new.await.unwrap()
    }

    /// The keys of a live object's blobs.
    pub async fn keys_of(&self, object: &Object) -> Vec<BlobKey> {
        let stored = self.rows.show(&object.target).await.unwrap().unwrap();
        stored.renditions.iter().map(|one| one.key).collect()
    }

    /// Whether any of these blobs can be read.
    pub async fn readable(&self, keys: &[BlobKey]) -> bool {
        for key in keys {
            if self.bytes.open(*key, WHOLE).await.unwrap().is_some() {
                return true;
            }
        }
        false
    }

    /// What the tenant has on record, latest first.
    pub async fn recorded(&self) -> Vec<Decision> {
        let every = Wanted::default();
        let all = self.rows.decisions(self.tenant.id, &every, LATEST);
        all.await.unwrap()
    }

    /// A tenant that is not there.
    pub(super) fn nobody(&self) -> TenantId {
        TenantId(self.tenant.id.0 + 1)
    }
}

/// Reserves keys, writes the bytes, and returns the object that they are of.
async fn store(
    rows: &dyn Database,
    bytes: &dyn Bytes,
    object: Object,
    contents: &[&[u8]],
    until_ms: u64,
) -> Result<NewObject> {
    let keys: Vec<_> = contents.iter().map(|_| BlobKey::random()).collect();
    rows.reserve(&keys, until_ms).await?;
    let mut renditions = Vec::new();
    for ((key, content), name) in keys.into_iter().zip(contents).zip(["original", "standard"]) {
        renditions.push(Rendition {
            name: name.to_owned(),
            key,
            size_bytes: bytes.put(key, None, &mut &**content).await?,
            media_type: "image/png".to_owned(),
        });
    }
    Ok(NewObject {
        name: format!("name of {}.png", object.target.id),
        object,
        dimensions: Some((3, 2)),
        renditions,
    })
}

/// Does what a test asks for through the ports of the service.
struct Stored {
    tenant: Tenant,
    now_ms: u64,
    rows: Arc<dyn Database>,
    bytes: Arc<dyn Bytes>,
}

#[async_trait]
impl Fixture for Stored {
    async fn add(&self, object: &Object, contents: &[&[u8]]) -> Result<Vec<BlobKey>> {
        let until_ms = self.now_ms + 3_600_000;
        let new = store(
            &*self.rows,
            &*self.bytes,
            object.clone(),
            contents,
            until_ms,
        )
        .await?;
        let keys = new.renditions.iter().map(|one| one.key).collect();
        self.rows.insert(new).await?;
        Ok(keys)
    }

    async fn hold(&self, target: &Target) -> Result<()> {
        let placed = self.rows.place_hold(target, "a lawsuit", self.now_ms);
        placed.await.map(drop)
    }

    async fn retain(&self, target: &Target, until_ms: u64) -> Result<()> {
        let change = Change {
            retain_until_ms: Some(Some(until_ms)),
            ..Change::default()
        };
        self.rows.change(target, change).await
    }

    async fn relabel(&self, target: &Target, labels: &[&str]) -> Result<()> {
        let labels = labels.iter().map(ToString::to_string).collect();
        let change = Change {
            labels: Some(labels),
            ..Change::default()
        };
        self.rows.change(target, change).await
    }

    async fn keep(&self, policy: &str, component: &[u8]) -> Result<()> {
        let new = NewComponent::new(policy, component, self.now_ms);
        self.rows.add_component(new).await
    }

    async fn decisions(&self) -> Result<Vec<Decision>> {
        let oldest_first = Stretch {
            order: Order::OldestFirst,
            ..LATEST
        };
        let every = Wanted::default();
        self.rows
            .decisions(self.tenant.id, &every, oldest_first)
            .await
    }
}
