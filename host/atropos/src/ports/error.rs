//! What can go wrong with any storage.

use crate::domain::{Conflict, VolumeError};
use crate::error::Refused;
use crate::step;

/// What can go wrong with any storage, in words that no backend owns.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer now: locked, unreachable, or failing. Trying again later is right.
    #[error("the storage is not available")]
    Unavailable(#[source] Source),
    /// There is no room left.
    #[error("the storage is full")]
    Full(#[source] Source),
    /// It cannot be written: read-only, or not permitted.
    #[error("the storage cannot be written")]
    ReadOnly(#[source] Source),
    /// What it holds does not make sense.
    #[error("the storage is damaged: {what}")]
    Corrupt {
        /// Which part, without personal data.
        what: String,
    },
    /// The place of the bytes is not the one that the rows belong to. Trying again once it is back is
    /// right.
    #[error("the volume of the bytes is not the one that the database belongs to")]
    WrongVolume(#[source] VolumeError),
    /// The files of the database were removed or replaced while they were open.
    #[error("the files of the database were removed or replaced while they were in use")]
    WrongDatabase,
    /// There are bytes, and no database that could name them.
    #[error("there are bytes in `blobs`, and no database (`atropos.db`) that names them")]
    NoDatabase,
    /// Beside it lies a write-ahead log that was not written to it.
    #[error("the write-ahead log beside the database belongs to another database file")]
    StrayLog,
    /// It was written by a newer version of this program.
    #[error("the storage has schema {found}, and this version knows up to {known}")]
    Newer {
        /// The schema's number.
        found: u32,
        /// The newest number known.
        known: u32,
    },
    /// A name is taken already.
    #[error("{what} exists already")]
    Taken {
        /// What was to be named, such as `subdomain`.
        what: &'static str,
    },
    /// What was named is not there.
    #[error("there is no such {what}")]
    Missing {
        /// What was named, such as `tenant`.
        what: &'static str,
    },
}

impl StoreError {
    /// Of a file of the embedded storage.
    pub fn of_file(error: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Self::Full(error.into()),
            K::ReadOnlyFilesystem | K::PermissionDenied => Self::ReadOnly(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<VolumeError> for StoreError {
    fn from(error: VolumeError) -> Self {
        Self::WrongVolume(error)
    }
}

impl From<step::Failed> for StoreError {
    fn from(failed: step::Failed) -> Self {
        Self::Unavailable(failed.into())
    }
}

/// What the backend itself said.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What storage answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why one erasure of a group erased nothing.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Something stands against it.
    #[error("the object is not to be erased as it is now")]
    Conflict(Conflict),
    /// Its rows cannot be read or written. Those of the others of its group could.
    #[error("the object cannot be erased")]
    Store(#[source] StoreError),
}

impl From<Conflict> for EraseError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<StoreError> for EraseError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a request is told that needs rows which cannot be read or written.
impl From<&StoreError> for Refused {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::WrongDatabase => Self::WrongDatabase,
            _ => Self::Unavailable,
        }
    }
}
