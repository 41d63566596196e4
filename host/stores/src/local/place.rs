//! How a data directory's rows and its directory `blobs` come to know each other: when it is opened, and
//! when an operator says that they belong together.

use std::fs::{DirBuilder, File};
use std::io;
use std::path::Path;

use atropos::domain::ledger::Entry;
use atropos::domain::volume::{VolumeError, VolumeId};
use atropos::ports::Result;
use atropos::ports::{Bond, KnownVolume, bond};
use atropos::step::Barrier;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::marker;
use super::root::BLOBS;
use super::walk::{store_error, walk};
use crate::private;

/// How many files are looked up among the rows at once.
const BATCH: usize = 1000;

/// Makes sure of a data directory, or of the folder of a backup, that lasts, and of the directories above it,
/// which are as the umask has them. Until one does, nothing is put into it: of an empty one it is not known.
///
/// # Errors
/// It cannot be made, or is no directory.
pub fn make_folder(path: &Path) -> io::Result<()> {
    make_lasting(path, &private::folder())
}

fn make_lasting(path: &Path, how: &DirBuilder) -> io::Result<()> {
    let is_new = match std::fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            Some(_) => return Ok(()),
            None => false,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    let above = match path.parent() {
        Some(above) if above == Path::new("") => Path::new("."),
        Some(above) => above,
        None => return Ok(()),
    };
    if is_new {
        make_lasting(above, &DirBuilder::new())?;
        match how.create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    match File::open(above).and_then(|above| Barrier::Folder.sync(&above)) {
        // Whoever made it looks after it, if that is not this user.
        Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The id of the volume in this data directory, which rows and directory know when this returns. The
/// directory is made only if no row names a blob that should be in it.
///
/// # Errors
/// [`atropos::ports::StoreError::WrongVolume`], or something cannot be read or written.
pub(super) fn bind(data_dir: &Path, rows: &dyn KnownVolume) -> Result<VolumeId> {
    let outside = Dir::open_ambient_dir(data_dir, ambient_authority()).map_err(store_error)?;
    if !rows.name_any()? {
        make(&outside).map_err(store_error)?;
    }
    let blobs = open(&outside)?;
    let known = rows.volume()?;
    let marker = marker::read(&blobs).map_err(store_error)?;
    match bond(known, marker, rows, || has_named(&blobs, rows))? {
        Bond::Known(id) => Ok(id),
        Bond::Mark(id) => mark(&blobs, id),
        Bond::Note(found) => match rows.note_volume(found)? {
            known if known == found => Ok(found),
            known => Err(VolumeError::Another { found, known }.into()),
        },
        Bond::New => mark(&blobs, rows.note_volume(VolumeId::random())?),
    }
}

/// Marks the directory as the volume that the rows belong to, whatever it bears. `lost` says that none of
/// the files that rows name need be there.
///
/// # Errors
/// [`VolumeError::Missing`] or [`VolumeError::Strange`] inside, or something cannot be read or written.
pub fn adopt(data_dir: &Path, rows: &dyn KnownVolume, lost: bool) -> Result<VolumeId> {
    let outside = Dir::open_ambient_dir(data_dir, ambient_authority()).map_err(store_error)?;
    let blobs = open(&outside)?;
    if !lost && rows.name_any()? && !has_named(&blobs, rows)? {
        return Err(VolumeError::Strange.into());
    }
    let known = match rows.volume()? {
        Some(known) => known,
        None => rows.note_volume(VolumeId::random())?,
    };
    mark(&blobs, known)
}

/// The id in the marker of this data directory's volume; `None` without marker or directory.
///
/// # Errors
/// It cannot be read.
pub fn marked(data_dir: &Path) -> Result<Option<VolumeId>> {
    let outside = Dir::open_ambient_dir(data_dir, ambient_authority()).map_err(store_error)?;
    match outside.open_dir(BLOBS) {
        Ok(blobs) => marker::read(&blobs).map_err(store_error),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

/// Whether a data directory has bytes that some database must name: a marked volume, or any blob.
///
/// # Errors
/// It cannot be looked at.
pub fn has_bytes(data_dir: &Path) -> Result<bool> {
    let blobs = match Dir::open_ambient_dir(data_dir.join(BLOBS), ambient_authority()) {
        Ok(blobs) => blobs,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(store_error(error)),
    };
    if marker::read(&blobs).map_err(store_error)?.is_some() {
        return Ok(true);
    }
    let mut found = false;
    let looked = walk(&blobs, &mut |entry| match entry {
        Entry::Blob(_) => {
            found = true;
            Err(enough())
        }
        Entry::Foreign(_) => Ok(()),
    });
    match found {
        true => Ok(true),
        false => looked.map(|()| false).map_err(store_error),
    }
}

/// Makes sure of a directory `blobs` that lasts. Until it does, nothing is put into it: of an empty one
/// it is not known.
fn make(outside: &Dir) -> io::Result<()> {
    private::make_folder_in(outside, BLOBS)?;
    if outside.open_dir(BLOBS)?.entries()?.next().is_none() {
        Barrier::Blobs.sync(&outside.open(".")?.into_std())?;
    }
    Ok(())
}

fn open(outside: &Dir) -> Result<Dir> {
    match outside.open_dir(BLOBS) {
        Ok(blobs) => Ok(blobs),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(VolumeError::Missing.into()),
        Err(error) => Err(store_error(error)),
    }
}

fn mark(blobs: &Dir, id: VolumeId) -> Result<VolumeId> {
    marker::write(blobs, id).map_err(store_error)?;
    Ok(id)
}

/// Whether a blob that a row or a shred record names is in the directory. One is enough: no two volumes
/// have a blob of the same key.
fn has_named(blobs: &Dir, rows: &dyn KnownVolume) -> Result<bool> {
    let mut keys = Vec::with_capacity(BATCH);
    let mut looked = Ok(false);
    let walked = walk(blobs, &mut |entry| {
        if let Entry::Blob(blob) = entry {
            keys.push(blob.key);
        }
        if keys.len() == BATCH {
            looked = rows.name_one_of(&keys);
            keys.clear();
            if !matches!(looked, Ok(false)) {
                return Err(enough());
            }
        }
        Ok(())
    });
    match looked? {
        true => Ok(true),
        false => {
            walked.map_err(store_error)?;
            rows.name_one_of(&keys)
        }
    }
}

/// Ends a walk early.
fn enough() -> io::Error {
    io::ErrorKind::Interrupted.into()
}
