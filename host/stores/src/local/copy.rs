//! Blobs copied from one directory to another, byte by byte, and read back.
//!
//! **Invariant:** a copy shares no block with its source: nothing is linked or cloned, so that what is
//! erased at the source is not kept alive by the copy's own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use atropos::ports::Result;
use atropos::step::sync_copy;
use atropos::target::{BlobKey, Digest};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Local;
use super::root::BLOBS;
use super::walk::{at, store_error};
use crate::private;

/// How much of a file is in memory while it is copied.
const BUFFER: usize = 256 << 10;

/// How many copies, and how many bytes of them, are synced together.
const AT_ONCE: usize = 64;
const AT_ONCE_BYTES: u64 = 16 << 20;

/// What tells a file from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checksum {
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

impl Checksum {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn of(file: &Path) -> io::Result<Self> {
        pour(&mut File::open(file)?, &mut io::sink())
    }

    /// Copies a file to a new one, which is durable, or over one that is there.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn of_copy(from: &Path, to: &Path) -> io::Result<Self> {
        let mut written = private::file().truncate(true).open(to)?;
        let checksum = pour(&mut File::open(from)?, &mut written)?;
        sync_copy(&written)?;
        Ok(checksum)
    }
}

fn pour(from: &mut impl Read, to: &mut impl Write) -> io::Result<Checksum> {
    let (mut hash, mut size_bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let some = buffer.get(..read).unwrap_or_default();
        hash.update(some);
        to.write_all(some)?;
        size_bytes += read as u64;
    }
    Ok(Checksum {
        size_bytes,
        sha256: Digest(hash.finalize().into()),
    })
}

/// Blobs on their way into a directory, some of which may not be durable yet.
///
/// The volume is synced after some of them. A barrier for each would take several times as long, and a
/// server on the same disk would wait for each of them.
pub(crate) struct Copies {
    to: Local,
    unsynced: Vec<File>,
    unsynced_bytes: u64,
}

impl Copies {
    pub(crate) fn new(to: Local) -> Self {
        Self {
            to,
            unsynced: Vec::new(),
            unsynced_bytes: 0,
        }
    }

    /// The directory.
    pub(crate) fn place(&self) -> &Local {
        &self.to
    }

    /// Copies a blob, of whose key there is none in the directory. `None` if there is no such blob.
    pub(crate) fn add(&mut self, from: &Local, key: BlobKey) -> Result<Option<Checksum>> {
        let Some(mut from) = from.shared.open_file(key).map_err(store_error)? else {
            return Ok(None);
        };
        let mut file = self.to.shared.create(key).map_err(store_error)?;
        let checksum = pour(&mut from, &mut file).map_err(store_error)?;
        self.unsynced.push(file);
        self.unsynced_bytes += checksum.size_bytes;
        if self.unsynced.len() >= AT_ONCE || self.unsynced_bytes >= AT_ONCE_BYTES {
            self.sync_bytes()?;
        }
        Ok(Some(checksum))
    }

    /// Returns once all copies are durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.sync_bytes()?;
        self.to.sync_names()
    }

    fn sync_bytes(&mut self) -> Result<()> {
        let synced = self
            .to
            .shared
            .root
            .dir()
            .and_then(|root| barrier(&root, &self.unsynced));
        synced.map_err(store_error)?;
        self.unsynced.clear();
        self.unsynced_bytes = 0;
        Ok(())
    }
}

/// Returns once these files are durable.
#[cfg(target_os = "linux")]
fn barrier(root: &Dir, files: &[File]) -> io::Result<()> {
    // The handle itself is of a kind that cannot be synced.
    rustix::fs::syncfs(root.open(".")?)?;
    for file in files {
        // What is read back comes from the disk then, and what a server reads stays in memory. Nothing depends
        // on it.
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn barrier(_: &Dir, files: &[File]) -> io::Result<()> {
    files.iter().try_for_each(sync_copy)
}

impl Local {
    /// Makes `blobs/` in a folder, unless it is there, for bytes whose rows come later. The first start on
    /// them marks it.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let make = || {
            let outside = Dir::open_ambient_dir(folder, ambient_authority())?;
            private::make_folder_in(&outside, BLOBS)?;
            sync_copy(&outside.open(".")?.into_std())?;
            outside.open_dir(BLOBS)
        };
        make().map(Self::apart).map_err(store_error)
    }

    /// Opens `blobs/` in a folder and makes nothing. `None` if it is not there.
    pub(crate) fn existing(folder: &Path) -> Result<Option<Self>> {
        match Dir::open_ambient_dir(folder.join(BLOBS), ambient_authority()) {
            Ok(root) => Ok(Some(Self::apart(root))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Reads a blob to its end. `None` if there is none.
    pub(crate) fn checksum(&self, key: BlobKey) -> Result<Option<Checksum>> {
        let opened = self.shared.open_file(key).map_err(store_error)?;
        let read = opened.map(|mut file| pour(&mut file, &mut io::sink()));
        read.transpose().map_err(store_error)
    }

    /// The size of a blob in bytes. `None` if there is none.
    pub(crate) fn size(&self, key: BlobKey) -> Result<Option<u64>> {
        self.shared.size(key).map_err(store_error)
    }

    /// Removes a blob, if there is one.
    pub(crate) fn discard(&self, key: BlobKey) -> Result<()> {
        let (shard, name) = at(key);
        let root = self.shared.root.dir().map_err(store_error)?;
        match root.remove_file(format!("{shard}/{name}")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(store_error(error)),
            _ => Ok(()),
        }
    }

    /// Returns once every name of a blob is durable, and every removal.
    pub(crate) fn sync_names(&self) -> Result<()> {
        let sync = || {
            let root = self.shared.root.dir()?;
            for entry in root.entries()? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    sync_copy(&entry.open_dir()?.open(".")?.into_std())?;
                }
            }
            sync_copy(&root.open(".")?.into_std())
        };
        sync().map_err(store_error)
    }
}
