//! The directory `blobs` as it is found by its path at each use: opened and proved anew when the path
//! leads elsewhere than it did.
//!
//! **Invariant:** the directory that is handed out was at its path just now and bore the marker of its
//! volume when it was opened; [`Root::prove`] looks at both again.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atropos::domain::volume::{VolumeError, VolumeId};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};
use parking_lot::RwLock;

use super::marker;

/// The directory's name in the data directory.
pub(super) const BLOBS: &str = "blobs";

/// Where the bytes of one volume are, whenever they are there.
pub(super) struct Root {
    data_dir: PathBuf,
    path: PathBuf,
    /// The id that the rows know; without one, no place proves itself.
    id: Option<VolumeId>,
    /// A directory that has nothing to prove.
    fixed: Option<Arc<Dir>>,
    open: RwLock<Option<Open>>,
    /// Whether the log has told that the volume is not there.
    missed: AtomicBool,
}

struct Open {
    dir: Arc<Dir>,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

impl Root {
    /// Looks at nothing yet.
    pub(super) fn new(data_dir: &Path, id: Option<VolumeId>) -> Self {
        // Wherever the process goes, the path stays.
        let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        Self {
            path: data_dir.join(BLOBS),
            data_dir,
            id,
            fixed: None,
            open: RwLock::default(),
            missed: AtomicBool::new(false),
        }
    }

    /// A directory that belongs to no database: that of a backup, or of a restore until it is done.
    pub(super) fn fixed(dir: Dir) -> Self {
        Self {
            fixed: Some(Arc::new(dir)),
            ..Self::new(Path::new(""), None)
        }
    }

    /// The directory that is at its path now. One look at the path, unless it leads elsewhere than it
    /// did: then the directory there has to prove itself.
    ///
    /// # Errors
    /// [`VolumeError`] inside, or it cannot be looked at.
    pub(super) fn dir(&self) -> io::Result<Arc<Dir>> {
        if let Some(dir) = &self.fixed {
            return Ok(Arc::clone(dir));
        }
        let found = self.told(self.identity())?;
        let is_there = |open: &&Open| open.identity == found;
        if let Some(open) = self.open.read().as_ref().filter(is_there) {
            return Ok(Arc::clone(&open.dir));
        }
        let mut open = self.open.write();
        // Another caller may have opened it meanwhile: to open it once more would tell all that use its
        // directory that it was moved.
        if let Some(open) = open.as_ref().filter(is_there) {
            return Ok(Arc::clone(&open.dir));
        }
        let opened = open.insert(self.told(self.reopen())?);
        Ok(Arc::clone(&opened.dir))
    }

    /// The directory, with its marker read again.
    ///
    /// # Errors
    /// As of [`Root::dir`].
    pub(super) fn proved(&self) -> io::Result<Arc<Dir>> {
        let dir = self.dir()?;
        if self.fixed.is_none() {
            self.told(self.check(&dir))?;
        }
        Ok(dir)
    }

    /// Proves that what was looked for in `dir` was looked for in the right place.
    ///
    /// # Errors
    /// As of [`Root::dir`], or another directory has taken its place meanwhile.
    pub(super) fn prove(&self, dir: &Arc<Dir>) -> io::Result<()> {
        match Arc::ptr_eq(dir, &self.proved()?) {
            true => Ok(()),
            false => Err(io::Error::other(
                "the directory `blobs` was moved meanwhile",
            )),
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        let found = std::fs::metadata(&self.path).map_err(missing)?;
        Ok((found.dev(), found.ino()))
    }

    fn reopen(&self) -> io::Result<Open> {
        let outside = Dir::open_ambient_dir(&self.data_dir, ambient_authority())?;
        let dir = outside.open_dir(BLOBS).map_err(missing)?;
        self.check(&dir)?;
        let found = dir.dir_metadata()?;
        Ok(Open {
            dir: Arc::new(dir),
            identity: (found.dev(), found.ino()),
        })
    }

    fn check(&self, dir: &Dir) -> io::Result<()> {
        let wrong = match (self.id, marker::read(dir)?) {
            (Some(known), Some(found)) if known == found => return Ok(()),
            (Some(known), Some(found)) => VolumeError::Another { found, known },
            (None, Some(found)) => VolumeError::Unknown { found },
            (_, None) => VolumeError::Unmarked,
        };
        Err(io::Error::other(wrong))
    }

    /// Tells the log once that the place is not the right one, and once that it is again.
    fn told<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        let missed = match &outcome {
            Ok(_) => false,
            Err(error) if is_wrong(error) => true,
            // Nothing is known of the place.
            Err(_) => return outcome,
        };
        if self.missed.swap(missed, Ordering::Relaxed) != missed {
            match &outcome {
                Err(error) => tracing::error!(
                    error = error as &dyn std::error::Error,
                    "the volume of the bytes is not in its place: nothing is uploaded, and deletes stay \
                     pending, until it is"
                ),
                Ok(_) => tracing::info!("the volume of the bytes is in its place again"),
            }
        }
        outcome
    }
}

/// Whether the place was looked at and is not the right one.
fn is_wrong(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<VolumeError>())
}

/// Of a directory that is not there, in the words for volumes.
fn missing(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::other(VolumeError::Missing),
        _ => error,
    }
}
