//! The platform of the embedding example, as its own tests would have it tried.

use std::sync::Arc;

use async_trait::async_trait;
use atropos::conformance::{Fixture, Subject, entry};
use atropos::domain::decision::Decision;
use atropos::ports::{Result, StoreError};
use atropos::target::{BlobKey, Object, Target, Tenant, TenantId, WebsiteId, now_ms};
use parking_lot::Mutex;

use crate::embed::platform::Memory;

/// A fresh platform with one component and a chain of it.
pub(super) fn subject() -> Subject {
    over(Arc::new(Memory::default()))
}

/// The same over this platform.
pub(super) fn over(memory: Arc<Memory>) -> Subject {
    let entry = entry("allow-all");
    memory.keep("allow-all", b"allow-all", "{}");
    memory.put(vec![entry.clone()]);
    Subject {
        tenant: Tenant {
            id: TenantId(1),
            subdomain: "pictures".parse().expect("a DNS label"),
            website_id: WebsiteId::new(7).expect("a website"),
        },
        entry,
        now_ms: now_ms(),
        rows: memory.clone(),
        blobs: memory.clone(),
        chains: memory.clone(),
        fixture: memory,
        keeps_outcomes: false,
        service: None,
        keep: Box::new(()),
        keys: Mutex::default(),
    }
}

impl Memory {
    /// Changes a live object, which counts as a new version.
    fn change(&self, target: &Target, change: impl FnOnce(&mut Object)) -> Result<()> {
        let mut rows = self.rows.lock();
        let what = "object";
        let (object, _) = rows.get_mut(target).ok_or(StoreError::Missing { what })?;
        object.version += 1;
        change(object);
        Ok(())
    }
}

#[async_trait]
impl Fixture for Memory {
    async fn add(&self, object: &Object, contents: &[&[u8]]) -> Result<Vec<BlobKey>> {
        let keys: Vec<_> = contents.iter().map(|_| BlobKey::random()).collect();
        let blobs = keys.iter().zip(contents);
        let blobs = blobs.map(|(key, content)| (*key, content.to_vec()));
        self.bytes.lock().extend(blobs);
        let row = (object.clone(), keys.clone());
        self.rows.lock().insert(object.target.clone(), row);
        Ok(keys)
    }

    async fn hold(&self, target: &Target) -> Result<()> {
        self.change(target, |object| object.held = true)
    }

    async fn retain(&self, target: &Target, until_ms: u64) -> Result<()> {
        self.change(target, |object| object.retain_until_ms = Some(until_ms))
    }

    async fn relabel(&self, target: &Target, labels: &[&str]) -> Result<()> {
        let labels = labels.iter().map(ToString::to_string).collect();
        self.change(target, |object| object.labels = labels)
    }

    async fn keep(&self, policy: &str, component: &[u8]) -> Result<()> {
        Self::keep(self, policy, component, "{}");
        Ok(())
    }

    async fn decisions(&self) -> Result<Vec<Decision>> {
        Ok(self.decisions.lock().clone())
    }
}
