//! Objects as their owners see them, and what happens to them.

use serde::Serialize;
use uuid::Uuid;

use crate::target::{BlobKey, Kind, Object};

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
