//! The marker of a volume: a file in `blobs` that holds the volume's id and a line break.
//!
//! Whoever copies a volume copies its marker with it, last of all: where there is a marker, there is all
//! that belongs to it.

use std::io::{self, Read as _, Write as _};

use atropos::domain::volume::{VolumeError, VolumeId};
use atropos::step::Barrier;
use cap_std::fs::Dir;

use crate::private;

/// The marker's name in `blobs`.
pub const MARKER: &str = "volume-id";

/// Longer than any marker.
const LONGEST: u64 = 64;

/// The id in the marker of this directory; `None` without one.
///
/// # Errors
/// It cannot be read; [`VolumeError::Illegible`] inside if it holds something else.
pub fn read(blobs: &Dir) -> io::Result<Option<VolumeId>> {
    let mut text = String::new();
    match blobs.open(MARKER) {
        Ok(file) => match file.take(LONGEST).read_to_string(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(io::Error::other(VolumeError::Illegible))
            }
            read => read.map(drop),
        }?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    text.trim_end().parse().map(Some).map_err(io::Error::other)
}

/// Puts a marker with this id into the directory, durably and in place of any other.
///
/// # Errors
/// The directory cannot be written.
pub fn write(blobs: &Dir, id: VolumeId) -> io::Result<()> {
    // Of a name of its own: another process may be writing the same marker.
    let new = format!("{MARKER}.{}", VolumeId::random());
    let mut file = blobs.open_with(&new, &private::new_file_in())?.into_std();
    let written = writeln!(file, "{id}")
        .and_then(|()| Barrier::Marker.sync(&file))
        .and_then(|()| blobs.rename(&new, blobs, MARKER))
        .and_then(|()| Barrier::MarkerEntry.sync(&blobs.open(".")?.into_std()));
    if written.is_err() {
        let _ = blobs.remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    fn directory() -> (tempfile::TempDir, Dir) {
        let dir = tempfile::tempdir().unwrap();
        let open = Dir::open_ambient_dir(dir.path(), ambient_authority()).unwrap();
        (dir, open)
    }

    #[test]
    fn a_marker_is_read_as_it_was_written_last() {
        let (path, dir) = directory();
        assert_eq!(read(&dir).unwrap(), None);
        for _ in 0..2 {
            let id = VolumeId::random();
            write(&dir, id).unwrap();
            assert_eq!(read(&dir).unwrap(), Some(id));
        }
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_marker_that_is_no_id_is_an_error_and_not_a_missing_one() {
        for content in [&b""[..], b"nonsense", b"\xff\xfe", &[b'0'; 4096]] {
            let (path, dir) = directory();
            std::fs::write(path.path().join(MARKER), content).unwrap();
            let error = read(&dir).unwrap_err().downcast::<VolumeError>();
            assert_eq!(error.unwrap(), VolumeError::Illegible);
        }
    }
}
