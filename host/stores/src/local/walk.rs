//! The directory of the bytes: where a blob is in it, and what lies in it, whoever put it there.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use atropos::domain::VolumeError;
use atropos::domain::ledger::{Entry, Listed};
use atropos::ports::StoreError;
use atropos::target::BlobKey;
use cap_std::fs::{Dir, DirEntry};

use super::marker;

/// The name in `blobs` of the directory of what the doctor found.
pub(super) const QUARANTINE: &str = "quarantine";

/// The directory of a blob, and its name in there.
pub(super) fn at(key: BlobKey) -> (String, String) {
    let mut shard = key.to_string();
    let name = shard.split_off(2);
    (shard, name)
}

/// Shows `each` what lies in the directory of the bytes, marker and quarantine aside, until it fails.
pub(super) fn walk(blobs: &Dir, each: &mut dyn FnMut(Entry) -> io::Result<()>) -> io::Result<()> {
    for entry in blobs.entries()? {
        let entry = entry?;
        let shard = name(&entry);
        if is_shard(&shard) && entry.file_type()?.is_dir() {
            walk_shard(&entry.open_dir()?, &shard, each)?;
        } else if shard != marker::MARKER && shard != QUARANTINE {
            each(Entry::Foreign(format!("blobs/{shard}")))?;
        }
    }
    Ok(())
}

fn walk_shard(
    directory: &Dir,
    shard: &str,
    each: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> io::Result<()> {
    for entry in directory.entries()? {
        let entry = entry?;
        let name = name(&entry);
        let key = format!("{shard}{name}").parse::<BlobKey>().ok();
        // A key can be written in more than one way, and is kept in one.
        let key = key.filter(|key| at(*key) == (shard.to_owned(), name.clone()));
        let Some(key) = key else {
            each(Entry::Foreign(format!("blobs/{shard}/{name}")))?;
            continue;
        };
        // It may have gone meanwhile.
        let Some(found) = there(entry.metadata())? else {
            continue;
        };
        each(match found.is_file() {
            true => Entry::Blob(Listed {
                key,
                size_bytes: found.len(),
                written_ms: ms(found.modified()?.into_std()),
            }),
            false => Entry::Foreign(format!("blobs/{shard}/{name}")),
        })?;
    }
    Ok(())
}

fn name(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

fn is_shard(name: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == 2 && name.bytes().all(digit)
}

/// What is there; `None` if nothing is.
pub(super) fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A failure of a file, in the words of all storage.
pub(super) fn store_error(error: io::Error) -> StoreError {
    match error.downcast::<VolumeError>() {
        Ok(wrong) => wrong.into(),
        Err(error) => StoreError::of_file(error),
    }
}

/// Milliseconds since the epoch.
pub(super) fn ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
