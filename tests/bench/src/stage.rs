//! Data to delete: tenants with keys and chains, objects with bytes. All of it is known by its number,
//! so that clients need no list.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use atropos::domain::catalogue::NewObject;
use atropos::domain::{ChainEntry, NewComponent, NewRevision, Rendition};
use atropos::guest::built_in_policy;
use atropos::target::{BlobKey, Kind, Object, Target, TenantId, now_ms};
use atropos_service::auth::Issued;
use atropos_service::config::Config;
use atropos_service::service::Service;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::facts::{DAY_MS, DOCUMENT_DAYS, PHOTO_DAYS};

/// How many writes wait at once, so that they share the disk's time.
const AT_ONCE: usize = 512;
/// Objects of one user.
const OF_ONE_USER: u64 = 10;
/// Old enough to go.
const AGE_MS: u64 = 2 * PHOTO_DAYS * DAY_MS;

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    /// Tenants, each with a website, a key and a chain.
    pub tenants: u64,
    /// Distinct components among their chains.
    pub components: u64,
    /// Policies in each chain.
    pub chain: u64,
    /// Objects of all tenants together, in turn.
    pub objects: u64,
    /// Bytes of each object.
    pub bytes: u64,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            tenants: 1,
            components: 1,
            chain: 1,
            objects: 1,
            bytes: 20_000,
        }
    }
}

/// A photo, and how a client asks for its delete.
#[derive(Clone, Debug)]
pub(crate) struct Photo {
    /// Header `websiteId`.
    pub website: u64,
    /// Header `webApiClientKey`.
    pub key: String,
    /// Query parameter `userId`.
    pub user: String,
    /// Query parameter `photoId`.
    pub id: String,
}

impl Stage {
    /// The photo of this number.
    pub(crate) fn photo(&self, nth: u64) -> Photo {
        let tenant = nth % self.tenants;
        Photo {
            website: website(tenant),
            key: key(tenant),
            user: user(nth),
            id: id(nth),
        }
    }

    /// Puts all of it into a data directory.
    ///
    /// # Errors
    /// The disk is full, or the like.
    pub(crate) async fn furnish(self, data_dir: &Path) -> Result<()> {
        let service = Service::open(config(data_dir))?;
        let tenants = stream::iter(0..self.tenants)
            .map(|nth| self.tenant(&service, nth))
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        let content = vec![b'x'; usize::try_from(self.bytes)?];
        stream::iter(0..self.objects)
            .map(|nth| {
                let tenant = tenants[(nth % self.tenants) as usize];
                self.object(&service, data_dir, tenant, nth, &content)
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        service.stop().await;
        // What the disk still has to do would slow down what is measured.
        rustix::fs::sync();
        Ok(())
    }

    async fn tenant(&self, service: &Service, nth: u64) -> Result<TenantId> {
        let website = website(nth).to_string().parse()?;
        let subdomain = format!("tenant-{nth}").parse()?;
        let tenant = service.create_tenant(subdomain, website, String::new());
        let tenant = tenant.await?.id;
        let Issued { stored, .. } = Issued::known(&key(nth), "", None);
        service.tenants.add_key(tenant, stored).await?;
        let mut entries = Vec::new();
        for place in 0..self.chain {
            let component = component((nth * self.chain + place) % self.components)?;
            let new = NewComponent::new("retention", &component, now_ms());
            entries.push(ChainEntry::new("retention", &component, settings()));
            service.policies.add_component(new).await?;
        }
        let chain = NewRevision::new(entries, now_ms());
        let revised = service.policies.revise(tenant, chain).await?;
        revised.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        Ok(tenant)
    }

    async fn object(
        &self,
        service: &Service,
        data_dir: &Path,
        tenant: TenantId,
        nth: u64,
        content: &[u8],
    ) -> Result<()> {
        let (key, at_ms) = (BlobKey::random(), now_ms());
        put(data_dir, &key.to_string(), content)?;
        let target = Target {
            tenant,
            kind: Kind::Photo,
            owner: user(nth),
            id: id(nth),
        };
        let new = NewObject {
            object: Object {
                created_at_ms: at_ms - AGE_MS,
                ..Object::new(target, self.bytes, "image/jpeg")
            },
            name: "beach.jpg".to_owned(),
            dimensions: Some((1600, 1200)),
            renditions: vec![Rendition {
                name: "original".to_owned(),
                key,
                size_bytes: self.bytes,
                media_type: "image/jpeg".to_owned(),
            }],
        };
        service.catalogue.reserve(&[key], at_ms + DAY_MS).await?;
        Ok(service.catalogue.insert(new).await?)
    }
}

/// What the server and who furnishes agree on.
pub(crate) fn config(data_dir: &Path) -> Config {
    Config {
        data_dir: data_dir.to_owned(),
        ..Config::default()
    }
}

/// What every tenant sets.
pub(crate) fn settings() -> String {
    format!(r#"{{"minimum-age-days":{{"photo":{PHOTO_DAYS},"document":{DOCUMENT_DAYS}}}}}"#)
}

/// Where the server keeps the bytes of a blob.
pub(crate) fn blob(data_dir: &Path, key: &str) -> PathBuf {
    let (shard, name) = key.split_at(2);
    data_dir.join("blobs").join(shard).join(name)
}

fn put(data_dir: &Path, key: &str, content: &[u8]) -> Result<()> {
    let path = blob(data_dir, key);
    let folder = path.parent().context("a blob is in a directory")?;
    fs::create_dir_all(folder)?;
    Ok(fs::write(path, content)?)
}

/// One of many components that do the same and have other bytes: `retention` with a custom section.
fn component(nth: u64) -> Result<Vec<u8>> {
    let retention = built_in_policy("retention").context("no such built-in policy")?;
    if nth == 0 {
        return Ok(retention.to_vec());
    }
    // Id and size of the section, size and text of its name.
    let mut bytes = [retention, b"\x00\x0c\x03nth"].concat();
    bytes.extend(nth.to_be_bytes());
    Ok(bytes)
}

fn website(tenant: u64) -> u64 {
    tenant + 1
}

fn key(tenant: u64) -> String {
    format!("benchmark-key-of-tenant-{tenant}")
}

fn user(nth: u64) -> String {
    format!("u-{}", nth / OF_ONE_USER)
}

fn id(nth: u64) -> String {
    format!("p-{nth}")
}
