//! Files in quarantine.

use serde::Serialize;

use crate::target::BlobKey;

/// A file in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// Its key as a blob.
    #[serde(serialize_with = "super::removals::as_text")]
    pub key: BlobKey,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it came, in milliseconds since the epoch.
    pub since_ms: u64,
}
