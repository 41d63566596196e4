//! What the server's surfaces need beyond the delete: upload, list, change, hold, look back.

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use super::Result;
use super::decision::Decision;
use super::keyset::ObjectPage;
use super::page::Page;
use super::wanted::{Stretch, Wanted};
use crate::target::{BlobKey, Kind, Object, Target, TenantId};

/// Objects with all that their owners may see.
#[async_trait]
pub trait Catalogue: Send + Sync + 'static {
    /// Dooms `keys` from `until_ms` on, before their first byte is written, so that an upload that
    /// never completes leaves nothing.
    async fn reserve(&self, keys: &[BlobKey], until_ms: u64) -> Result<()>;

    /// Makes an uploaded object live, in one transaction with taking its keys off the shred records.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if a reservation ran out and its bytes are being removed,
    /// [`super::StoreError::Taken`] if the tenant has a live object of this kind, owner and id.
    async fn insert(&self, object: NewObject) -> Result<()>;

    /// One live object.
    async fn show(&self, target: &Target) -> Result<Option<Stored>>;

    /// One live object by the key of one of its blobs, whatever its owner.
    async fn by_blob(&self, key: BlobKey) -> Result<Option<Stored>>;

    /// Whether a live object has a blob of this key.
    async fn is_named(&self, key: BlobKey) -> Result<bool>;

    /// The live objects of one owner, oldest first; or those of all owners, by owner and then oldest
    /// first. Those of one time are ordered by id, by bytes. Where they were stored shows nowhere.
    async fn list(
        &self,
        tenant: TenantId,
        kind: Kind,
        owner: Option<&str>,
        page: ObjectPage,
    ) -> Result<Vec<Stored>>;

    /// Replaces labels or retention date where given; counts as a new version.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such object.
    async fn change(&self, target: &Target, change: Change) -> Result<()>;

    /// Places a legal hold and returns its id. An object can bear several. Counts as a new version:
    /// what was judged without the hold is not what there is now.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such object.
    async fn place_hold(&self, target: &Target, reason: &str, at_ms: u64) -> Result<Uuid>;

    /// Releases every hold on the object and returns how many there were. Counts as a new version.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if there is no such object.
    async fn release_holds(&self, target: &Target) -> Result<u64>;

    /// What happened to the objects of one owner, latest first; of one kind, or of both.
    async fn activity(
        &self,
        tenant: TenantId,
        kind: Option<Kind>,
        owner: &str,
        page: Page,
    ) -> Result<Vec<Activity>>;

    /// One recorded decision of a tenant.
    async fn decision(&self, tenant: TenantId, id: Uuid) -> Result<Option<Decision>>;

    /// A part of the list of a tenant's decisions that are wanted.
    ///
    /// # Errors
    /// [`super::StoreError::Missing`] if the tenant has none of the id after which the part is to begin.
    async fn decisions(
        &self,
        tenant: TenantId,
        wanted: &Wanted,
        stretch: Stretch,
    ) -> Result<Vec<Decision>>;

    /// How many decisions of a tenant are wanted. Looks at each of them.
    async fn count_decisions(&self, tenant: TenantId, wanted: &Wanted) -> Result<u64>;

    /// How many shred records wait, and the most attempts any of them took. Counts up to `at_most`,
    /// which then means that many or more.
    async fn backlog(&self, now_ms: u64, at_most: u32) -> Result<Backlog>;
}

/// An upload that completed.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// The facts that policies will see; `version` is 1 and `held` is false.
    pub object: Object,
    /// The name the owner gave it.
    pub name: String,
    /// Pixels, for a photo.
    pub dimensions: Option<(u32, u32)>,
    /// The original first.
    pub renditions: Vec<Rendition>,
}

/// A live object with all that its owner may see.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The facts that policies see.
    pub object: Object,
    /// The name the owner gave it.
    pub name: String,
    /// Pixels, for a photo.
    pub dimensions: Option<(u32, u32)>,
    /// The original first.
    pub renditions: Vec<Rendition>,
}

/// One form of an object's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// `original`, or `standard` for the derived smaller picture.
    pub name: String,
    /// Where its bytes are.
    pub key: BlobKey,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
}

/// What to change about an object; `None` leaves as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Replaces all labels.
    pub labels: Option<Vec<String>>,
    /// Replaces the retention date; `Some(None)` takes it away.
    pub retain_until_ms: Option<Option<u64>>,
}

/// Something that happened to an object of a user.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Such as `User System File Delete`.
    pub activity: String,
    /// Photo or document.
    pub kind: Kind,
    /// The object's id.
    pub object_id: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// Public id of the key or client that asked.
    pub caller: String,
    /// The decision that allowed it.
    pub decision_id: Option<Uuid>,
    /// How many of its blobs were absent already when they were to be removed. What an earlier try
    /// may have removed, before it failed or crashed, does not count.
    pub bytes_absent: u32,
}

/// Doomed bytes that are not gone yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backlog {
    /// Shred records that are due by now, or were tried in vain and wait for the next try. Neither
    /// uploads under way nor erasures within their lease count. The server's own figures stop at
    /// 100,000, which then means that many or more.
    pub due: u64,
    /// The most attempts any of them took.
    pub most_attempts: u32,
}
