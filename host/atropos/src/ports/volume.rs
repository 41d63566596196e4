//! The volume of the bytes: how the place where they lie proves that it is the one the rows belong to.
//!
//! A file that is absent from the wrong place is not gone. So the place bears a marker with an id, and
//! the rows know the id:
//!
//! ```text
//! id in the rows   marker           what is done
//! same as          the marker       it is the place
//! any              another id       refused
//! any or none      missing          marked, if no row names a blob, or a blob that a row names is there
//! none             there            the id is noted, if a blob that a row names is there
//! ```
//!
//! What neither allows is refused, and an operator may adopt the place all the same.
//!
//! **Invariant:** no absent file counts as gone, and no upload is taken, in a place that has not proved
//! itself.

use super::error::Result;
use crate::domain::volume::{VolumeError, VolumeId};
use crate::target::BlobKey;

/// What the rows know of the place of their bytes. Asked when a data directory is opened, in place.
pub trait KnownVolume {
    /// The id of their volume; `None` until one is noted.
    ///
    /// # Errors
    /// The rows cannot be read.
    fn volume(&self) -> Result<Option<VolumeId>>;

    /// Notes the id durably, unless another is known already. Returns the one that is known then.
    ///
    /// # Errors
    /// The rows cannot be written.
    fn note_volume(&self, id: VolumeId) -> Result<VolumeId>;

    /// Whether a row or a shred record names any blob.
    ///
    /// # Errors
    /// The rows cannot be read.
    fn name_any(&self) -> Result<bool>;

    /// Whether a row or a shred record names one of `keys`.
    ///
    /// # Errors
    /// The rows cannot be read.
    fn name_one_of(&self, keys: &[BlobKey]) -> Result<bool>;
}

/// What is to be done so that a place and the rows know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bond {
    /// Nothing: they do.
    Known(VolumeId),
    /// The place is to get the marker that the rows know.
    Mark(VolumeId),
    /// The rows are to note the id that the place bears.
    Note(VolumeId),
    /// Both are to get a new id.
    New,
}

/// How a place with this marker and rows that know this id come together. `named_is_there` tells whether
/// a blob that a row names is there, and is asked only if it matters.
///
/// # Errors
/// [`VolumeError`] as a [`StoreError::WrongVolume`](super::StoreError::WrongVolume), or what the look-ups said.
pub fn bond(
    known: Option<VolumeId>,
    marker: Option<VolumeId>,
    rows: &dyn KnownVolume,
    named_is_there: impl FnOnce() -> Result<bool>,
) -> Result<Bond> {
    match (known, marker) {
        (Some(known), Some(found)) if known == found => Ok(Bond::Known(known)),
        (Some(known), Some(found)) => Err(VolumeError::Another { found, known }.into()),
        (None, Some(found)) => match named_is_there()? {
            true => Ok(Bond::Note(found)),
            false => Err(VolumeError::Unknown { found }.into()),
        },
        (known, None) => match !rows.name_any()? || named_is_there()? {
            true => Ok(known.map_or(Bond::New, Bond::Mark)),
            false => Err(VolumeError::Unmarked.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::StoreError;

    /// Rows that name a blob, or none.
    struct Rows(bool);

    impl KnownVolume for Rows {
        fn volume(&self) -> Result<Option<VolumeId>> {
            Ok(None)
        }

        fn note_volume(&self, id: VolumeId) -> Result<VolumeId> {
            Ok(id)
        }

        fn name_any(&self) -> Result<bool> {
            Ok(self.0)
        }

        fn name_one_of(&self, _: &[BlobKey]) -> Result<bool> {
            Ok(false)
        }
    }

    #[test]
    fn a_place_is_taken_only_if_it_proves_itself_or_there_is_nothing_to_lose() {
        let (ours, other) = (VolumeId::random(), VolumeId::random());
        let another = VolumeError::Another {
            found: other,
            known: ours,
        };
        let unknown = VolumeError::Unknown { found: other };
        let unmarked = VolumeError::Unmarked;
        // Known, marker, whether rows name any blob, whether one of those is there.
        let table = [
            (Some(ours), Some(ours), true, false, Ok(Bond::Known(ours))),
            (Some(ours), Some(other), true, true, Err(another)),
            (Some(ours), Some(other), false, false, Err(another)),
            (Some(ours), None, true, true, Ok(Bond::Mark(ours))),
            (Some(ours), None, false, false, Ok(Bond::Mark(ours))),
            (Some(ours), None, true, false, Err(unmarked)),
            (None, Some(other), true, true, Ok(Bond::Note(other))),
            (None, Some(other), true, false, Err(unknown)),
            (None, Some(other), false, false, Err(unknown)),
            (None, None, true, true, Ok(Bond::New)),
            (None, None, false, false, Ok(Bond::New)),
            (None, None, true, false, Err(unmarked)),
        ];
        for (known, marker, any, there, expected) in table {
            let bond = bond(known, marker, &Rows(any), || Ok(there));
            let bond = bond.map_err(|error| match error {
                StoreError::WrongVolume(error) => error,
                other => panic!("{other}"),
            });
            assert_eq!(bond, expected, "{known:?}, {marker:?}, {any}, {there}");
        }
    }
}
