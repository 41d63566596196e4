//! What a backup says of itself. It is there from the beginning, and says last that it is finished.
//!
//! **Invariant:** a manifest is replaced whole, and a finished one bears a digest of what it says.

use std::io;
use std::path::Path;

use atropos::target::{BlobKey, Digest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BackupError, Result, failed, put_json};
use crate::local::Checksum;

/// The format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// Its name in the folder of a backup.
pub(super) const FILE: &str = "manifest.json";

/// What a finished backup is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// This backup and no other.
    pub id: Uuid,
    /// The version of the program that made it.
    pub product: String,
    /// The schema of its database.
    pub schema: u32,
    /// When it was begun, in milliseconds since the epoch.
    pub begun_at_ms: u64,
    /// What was erased before this time is not in it; what was erased later may be.
    pub as_of_ms: u64,
    /// When it was finished.
    pub ended_at_ms: u64,
    /// How many tenants its rows are of.
    pub tenants: u64,
    /// How many photos and documents are in it.
    pub objects: u64,
    /// How many blobs are in it.
    pub files: u64,
    /// How many bytes those have.
    pub bytes: u64,
    /// `atropos.db`.
    pub database: Checksum,
    /// `blobs.jsonl`.
    pub list: Checksum,
    /// What is not in it.
    pub left_out: LeftOut,
}

/// What is not in a backup although it was there when the backup was begun, or should have been.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeftOut {
    /// Blobs of objects that were erased while the backup was made. Their rows are not in it either.
    pub erased_meanwhile: Vec<BlobKey>,
    /// Blobs that rows in the backup name, and whose bytes were not there, or not as many as the row says.
    pub missing: Vec<BlobKey>,
    /// Rows in the backup that name a blob and cannot be read.
    pub unreadable_rows: u64,
}

/// What every format begins with.
#[derive(Serialize, Deserialize)]
struct Head {
    format: u32,
    finished: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    format: u32,
    finished: bool,
    /// Of `backup`, as it is written without spaces.
    sha256: Digest,
    backup: Manifest,
}

/// Says that a backup is being made in this folder.
pub(super) fn begin(folder: &Path) -> Result<()> {
    put_json(
        folder,
        FILE,
        &Head {
            format: FORMAT,
            finished: false,
        },
    )
}

impl Manifest {
    /// Reads the manifest of a finished backup.
    ///
    /// # Errors
    /// There is none, it is of an unfinished backup or a newer version, or it is damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::NoBackup(folder.to_owned()));
            }
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let wrong = |source| BackupError::Manifest {
            path: folder.to_owned(),
            source,
        };
        let head: Head = serde_json::from_slice(&text).map_err(wrong)?;
        if head.format > FORMAT {
            return Err(BackupError::Newer {
                found: head.format,
                known: FORMAT,
            });
        }
        if !head.finished {
            return Err(BackupError::Unfinished(folder.to_owned()));
        }
        let document: Document = serde_json::from_slice(&text).map_err(wrong)?;
        if digest(&document.backup).map_err(wrong)? != document.sha256 {
            return Err(BackupError::Damaged {
                path: folder.to_owned(),
                what: format!("{FILE} does not have the digest that it names"),
            });
        }
        Ok(document.backup)
    }

    /// Says that the backup is finished. The last thing that is done to it.
    pub(super) fn finish(&self, folder: &Path) -> Result<()> {
        let sha256 = digest(self).map_err(|error| failed("write", folder)(error.into()))?;
        put_json(
            folder,
            FILE,
            &Document {
                format: FORMAT,
                finished: true,
                sha256,
                backup: self.clone(),
            },
        )
    }
}

fn digest(manifest: &Manifest) -> serde_json::Result<Digest> {
    Ok(Digest::of(&serde_json::to_vec(manifest)?))
}
