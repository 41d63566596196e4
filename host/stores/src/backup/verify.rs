//! A backup read back: whether it is what its manifest says.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use atropos::ports::StoreError;
use atropos::target::BlobKey;

use super::list::{Line, Reader};
use super::{BackupError, Manifest, PAGE, Progress, Result, failed};
use crate::local::{Checksum, Local};
use crate::sqlite::backup::Rows;
use crate::sqlite::{self, Sqlite};

/// The name of the list of blobs.
pub(super) const LIST: &str = "blobs.jsonl";

/// Reads all of a backup and compares it with its manifest, each file with what is recorded of it, and
/// the rows with the files.
///
/// # Errors
/// Something is missing, too many, or not what was backed up; it is named.
pub fn verify(folder: &Path, manifest: &Manifest, progress: Progress<'_>) -> Result<()> {
    same(folder, sqlite::FILE, &manifest.database)?;
    same(folder, LIST, &manifest.list)?;
    let bytes = bytes(folder)?;
    let (files, size) = listed(folder, &bytes, &folder.join(LIST), progress)?;
    if (files, size) != (manifest.files, manifest.bytes) {
        let what =
            format!("{LIST} names {files} files with {size} bytes, not as many as the manifest");
        return Err(damaged(folder, what));
    }
    rows(folder, manifest, &bytes)
}

/// The bytes of a backup. Nothing is made: a backup may be where nobody can write.
pub(super) fn bytes(folder: &Path) -> Result<Local> {
    let bytes = Local::existing(folder)?;
    bytes.ok_or_else(|| damaged(folder, "blobs is missing".to_owned()))
}

/// Reads the blobs of a list back, and returns how many files and bytes they are.
pub(super) fn listed(
    folder: &Path,
    bytes: &Local,
    list: &Path,
    progress: Progress<'_>,
) -> Result<(u64, u64)> {
    let mut list = Reader::open(list)?;
    let (mut files, mut size) = (0, 0);
    loop {
        let lines = list.next(PAGE)?;
        if lines.is_empty() {
            return Ok((files, size));
        }
        for line in lines {
            let wanted = line.checksum();
            match bytes.checksum(line.key)? {
                Some(found) if found == wanted => {}
                Some(found) => return Err(damaged(folder, differs(&line, &found))),
                None => return Err(damaged(folder, format!("{} is missing", path(line.key)))),
            }
            files += 1;
            size += wanted.size_bytes;
            progress("verifying", size);
        }
    }
}

/// Compares the rows of a backup with its files.
pub(super) fn rows(folder: &Path, manifest: &Manifest, bytes: &Local) -> Result<()> {
    let known = Sqlite::known_schema();
    if manifest.schema > known {
        let found = manifest.schema;
        return Err(StoreError::Newer { found, known }.into());
    }
    let rows = Rows::sealed(&folder.join(sqlite::FILE))?;
    if let Some(first) = rows.damage()?.first() {
        return Err(damaged(folder, format!("{}: {first}", sqlite::FILE)));
    }
    if rows.schema()? != manifest.schema {
        let what = format!("{} is not of schema {}", sqlite::FILE, manifest.schema);
        return Err(damaged(folder, what));
    }
    let missing: HashSet<&BlobKey> = manifest.left_out.missing.iter().collect();
    let (mut after, mut named) = (None, 0);
    loop {
        let page = rows.blobs(after, PAGE)?.blobs;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (key, size_bytes) in page {
            if bytes.size(key)? == Some(size_bytes) {
                named += 1;
            } else if !missing.contains(&key) {
                let what = format!("{}, which a row names, is not there", path(key));
                return Err(damaged(folder, what));
            }
        }
    }
    match named == manifest.files {
        true => Ok(()),
        false => {
            let what = format!("rows name {named} files, and there are {}", manifest.files);
            Err(damaged(folder, what))
        }
    }
}

/// Compares one file with what is recorded of it.
fn same(folder: &Path, name: &str, wanted: &Checksum) -> Result<()> {
    let file = folder.join(name);
    match Checksum::of(&file) {
        Ok(found) if found == *wanted => Ok(()),
        Ok(_) => Err(damaged(folder, format!("{name} is not what was backed up"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(damaged(folder, format!("{name} is missing")))
        }
        Err(error) => Err(failed("read", &file)(error)),
    }
}

/// What is said of a blob with other bytes than were backed up.
pub(super) fn differs(line: &Line, found: &Checksum) -> String {
    let (path, wanted) = (path(line.key), line.checksum());
    match found.size_bytes == wanted.size_bytes {
        true => format!("{path} does not have the bytes that were backed up"),
        false => format!(
            "{path} has {} bytes, and {} were backed up",
            found.size_bytes, wanted.size_bytes
        ),
    }
}

/// The file of a blob, from the folder of the backup.
pub(super) fn path(key: BlobKey) -> String {
    let key = key.to_string();
    let (shard, name) = key.split_at_checked(2).unwrap_or_default();
    format!("blobs/{shard}/{name}")
}

pub(super) fn damaged(folder: &Path, what: String) -> BackupError {
    BackupError::Damaged {
        path: folder.to_owned(),
        what,
    }
}
