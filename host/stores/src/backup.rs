//! Backups: all rows and bytes of one data directory in a folder of their own, and back.
//!
//! ```text
//! take:    bytes that rows name ─► rows, at one moment ─► bytes that came meanwhile ─► read back
//!          ─► out with what was erased meanwhile ─► rows once more, without free pages ─► manifest
//! restore: read back ─► mark the data directory ─► bytes, rows ─► take the mark away
//!
//! manifest.json   what the backup is, and what was left out of it; says last that it is finished
//! atropos.db      the rows
//! blobs.jsonl     key, size and SHA-256 of each blob, one a line
//! blobs/          the bytes, placed as in a data directory
//! ```
//!
//! Bytes come first, so that the moment of the rows is near the end and few objects are erased between
//! the two. Of those that are, the rows go from the copy.
//!
//! This knows the embedded storage alone. A platform with stores of its own backs them up by their own
//! means, and has to keep the same order and the same invariants.
//!
//! **Invariant:** a backup without a finished manifest is not restored, and what does not fit its
//! manifest is not either.
//! **Invariant:** each row of a finished backup has its bytes in it, or is named as missing.
//! **Invariant:** what was erased before `asOfMs` is in no file of a finished backup.
//! **Invariant:** a data directory whose restore is not finished is not opened, nor is a backup itself.

mod list;
mod manifest;
mod restore;
mod take;
mod verify;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use atropos::ports::StoreError;
use atropos::step::sync_copy;
use atropos::target::BlobKey;
use serde::Serialize;

pub use self::manifest::{LeftOut, Manifest};
pub use self::restore::{Restored, Terms, must_be_usable, restore};
pub use self::take::{Limits, take};
pub use self::verify::verify;
use crate::private;

/// How many blobs are looked up at once.
const PAGE: usize = 1000;

/// Says how far the work is. Called for each file.
pub type Progress<'a> = &'a (dyn Fn(&str, u64) + Sync);

/// Why there is no backup, or none to restore.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place for a backup is not empty.
    #[error("{0} is not empty; name a folder that is empty or not there")]
    NotEmpty(PathBuf),
    /// There is no manifest.
    #[error("{0} is no backup: it has no manifest.json")]
    NoBackup(PathBuf),
    /// It was never finished.
    #[error("the backup in {0} is unfinished, and good for nothing; make another")]
    Unfinished(PathBuf),
    /// Its format is of a newer version.
    #[error("the backup has format {found}, and this version knows up to {known}")]
    Newer {
        /// The format's number.
        found: u32,
        /// The newest number known.
        known: u32,
    },
    /// The manifest is no such document.
    #[error("the manifest of the backup in {path} is damaged")]
    Manifest {
        /// Where.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// What is there is not what was backed up.
    #[error("the backup in {path} is damaged: {what}")]
    Damaged {
        /// Where.
        path: PathBuf,
        /// Which file, and what is wrong with it.
        what: String,
    },
    /// The rows cannot be copied in time.
    #[error(
        "the database was not copied within {limit_ms} ms, for which it keeps the write-ahead log \
         growing; allow more with --longest-snapshot, or name a faster disk"
    )]
    TooSlow {
        /// How long it might have taken.
        limit_ms: u64,
    },
    /// What was erased since would come back.
    #[error(
        "the backup is as of {}, and what was erased in the {} since then comes back with it; accept \
         that with --accept-erased-since {}", time(*.as_of_ms), length(*.age_ms), length(*.age_ms)
    )]
    ErasedSince {
        /// As of when.
        as_of_ms: u64,
        /// How long ago that is.
        age_ms: u64,
    },
    /// Nobody can tell what was erased since.
    #[error("the backup is as of {}, which is ahead of this machine's clock; set the clock", time(*.0))]
    Ahead(u64),
    /// The place to restore to has something in it.
    #[error(
        "{path} is not empty: it has `{entry}`; name another --data-dir, or have all of it moved aside \
         with --set-aside"
    )]
    Occupied {
        /// The data directory.
        path: PathBuf,
        /// What is in it.
        entry: String,
    },
    /// Somebody opened the database of an unfinished restore.
    #[error(
        "{path} was changed amid an unfinished restore: it has `{entry}`; empty it, and try again"
    )]
    Meddled {
        /// The data directory.
        path: PathBuf,
        /// What must not be there.
        entry: String,
    },
    /// The backup would have to be moved aside with what is around it.
    #[error("the backup in {0} is in the data directory itself; name another --data-dir")]
    Within(PathBuf),
    /// A restore was cut short.
    #[error(
        "{0} holds a restore that is not finished; run `atropos restore` again with the same backup"
    )]
    Unrestored(PathBuf),
    /// A backup is no data directory.
    #[error("{0} is a backup; put it into a data directory with `atropos restore`")]
    IsBackup(PathBuf),
    /// Another backup was being restored there.
    #[error(
        "{0} holds what an unfinished restore of another backup put there; restore that one, or empty \
         the directory"
    )]
    OtherRestore(PathBuf),
    /// A file or folder fails.
    #[error("cannot {what} {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Bytes fail at their source or in the copy.
    #[error("cannot copy the blob {key} to {to}")]
    Copy {
        /// Its key.
        key: BlobKey,
        /// Where to.
        to: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// Rows or bytes fail.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What backups and restores answer.
pub type Result<T, E = BackupError> = std::result::Result<T, E>;

/// Names what was tried with a file that fails.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { what, path, source }
}

/// Writes a file of this name, or over one that is there: whole or not at all, and durably.
fn put_json(folder: &Path, name: &str, document: &impl Serialize) -> Result<()> {
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    let write = || {
        let mut file = private::file().truncate(true).open(&new)?;
        serde_json::to_writer_pretty(&mut file, document)?;
        file.write_all(b"\n")?;
        sync_copy(&file)?;
        std::fs::rename(&new, &path)
    };
    write().map_err(failed("write", &path))?;
    sync_folder(folder)
}

/// Returns once the names in a folder are durable.
fn sync_folder(folder: &Path) -> Result<()> {
    let synced = std::fs::File::open(folder).and_then(|folder| sync_copy(&folder));
    synced.map_err(failed("sync", folder))
}

/// A time as people read it.
fn time(ms: u64) -> String {
    let time = i64::try_from(ms).ok();
    let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| format!("{time:.0}"))
}

/// A length of time in one unit, rounded up, such as `3d`.
fn length(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)];
    let unit = units.into_iter().find(|(_, unit)| ms > 2 * unit);
    let (name, unit) = unit.unwrap_or(("s", 1000));
    format!("{}{name}", ms.div_ceil(unit).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_in_one_unit_and_never_too_short() {
        for (ms, text) in [
            (0, "1s"),
            (1, "1s"),
            (61_000, "61s"),
            (121_000, "3m"),
            (7_200_001, "3h"),
            (259_200_000, "3d"),
            (259_200_001, "4d"),
        ] {
            assert_eq!(length(ms), text);
        }
    }
}
