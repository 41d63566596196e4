//! Storage: rows, bytes, and the commit that makes both go.
//!
//! The traits are split by who needs them. A platform that embeds the crate brings [`Objects`],
//! [`Chains`] and [`Blobs`], and [`Shadows`] if its chains have any; the server's own surfaces add [`Catalogue`], [`Tenants`] and
//! [`Policies`], and those who look after it [`Ledger`], [`Inventory`] and [`quarantine::Quarantine`].
//!
//! **Invariant:** nothing here knows HTTP or wasmtime, and nothing of one backend shows in a trait.
//! **Invariant:** every blob that exists is named by a row or by a shred record.

pub mod blobs;
pub mod budget;
pub mod catalogue;
pub mod chains;
pub mod commit;
pub mod decision;
pub mod doctor;
pub mod entry;
mod group;
pub mod keyset;
pub mod ledger;
pub mod limits;
pub mod objects;
pub mod page;
pub mod panics;
pub mod policies;
mod probe;
pub mod quarantine;
mod record;
pub mod repeat;
pub mod report;
pub mod settle;
pub mod shadow;
mod shared_text;
pub mod shred;
pub mod tenants;
pub mod volume;
pub mod wanted;

pub use blobs::{BlobReader, Blobs, Removal};
pub use catalogue::{Activity, Catalogue, NewObject, Rendition, Stored};
pub use chains::{Chain, Chains};
pub use entry::ChainEntry;
pub use keyset::{ObjectPage, Position, Start};
pub use ledger::{Inventory, Ledger};
pub use limits::PolicyLimits;
pub use objects::{Conflict, Doomed, EraseError, Erasure, Objects, Shred};
pub use page::Page;
pub use policies::{NewComponent, NewRevision, Policies};
pub use repeat::{First, Once, Retention};
pub use report::Report;
pub use shadow::{Shadow, Shadows};
pub use tenants::{ClientInfo, KeyInfo, NewTenant, Tenants};
pub use volume::VolumeError;
pub use wanted::{Order, Stretch, Wanted};

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
