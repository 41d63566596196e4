//! What rows and bytes each say there is, for those who compare the two: the doctor and the status.

use serde::Serialize;

use crate::target::{BlobKey, Subdomain, Target};

/// What is wrong with the rows, one sentence a thing, without personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soundness {
    /// The database is damaged: what its rows say cannot be trusted.
    pub damage: Vec<String>,
    /// Rows that refer to what is not there, contradict one another, or cannot be read.
    pub dangling: Vec<String>,
    /// How many blobs of live objects have a key that cannot be read. Their files are not told from
    /// those that nothing names.
    pub unreadable_keys: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Customers of the platform.
    pub tenants: u64,
    /// Live photos and documents.
    pub objects: u64,
}

/// A blob that a row names.
#[derive(Clone, Debug)]
pub struct Named {
    /// Where its bytes must be.
    pub key: BlobKey,
    /// How many there must be.
    pub size_bytes: u64,
    /// Whose they are.
    pub target: Target,
    /// The tenant's name.
    pub tenant: Subdomain,
}

/// Something in the place where blobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A blob.
    Blob(Listed),
    /// What is none, by its path from the data directory.
    Foreign(String),
}

/// A blob as a list of all of them shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: BlobKey,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was last written, in milliseconds since the epoch.
    pub written_ms: u64,
}

/// Room for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes that the place has in all.
    pub total_bytes: u64,
}
