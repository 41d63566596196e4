//! The id of the volume of the bytes.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The id of a volume: 32 hexadecimal digits, made at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeId(Uuid);

impl VolumeId {
    /// One that no other volume has.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for VolumeId {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let id = Uuid::try_parse(text).map_err(|_| VolumeError::Illegible)?;
        Ok(Self(id))
    }
}

/// Why a place does not prove to be the one that the rows belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// There is no such directory.
    #[error("the directory `blobs` is missing")]
    Missing,
    /// It bears no marker, and has none of the files that the rows name.
    #[error(
        "the directory `blobs` has no marker (`volume-id`), and no file that the database names"
    )]
    Unmarked,
    /// It bears a marker that the rows do not know.
    #[error("the directory `blobs` has the marker {found}, which the database does not know")]
    Unknown {
        /// The id in the marker.
        found: VolumeId,
    },
    /// It bears the marker of another volume.
    #[error("the directory `blobs` has the marker {found}, and the database belongs to {known}")]
    Another {
        /// The id in the marker.
        found: VolumeId,
        /// The id that the rows know.
        known: VolumeId,
    },
    /// An operator says that it is the place, and it has none of the files that the rows name.
    #[error("the directory `blobs` has none of the files that the database names")]
    Strange,
    /// Its marker is no id.
    #[error("the marker of the directory `blobs` (`volume-id`) cannot be read as an id")]
    Illegible,
}
