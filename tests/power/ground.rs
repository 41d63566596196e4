//! What a data directory stands on when the power is lost.

use crate::support::forgetful::Forgetful;
use crate::support::machine::Disk;
use crate::support::site::Site;

/// A kind of file system.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In image files, and commits by itself only after minutes.
    Ext4,
    /// Keeps no more than fsync(2) promises.
    Forgetful,
}

/// The folder of a site that is a file system of its own; the data directory is made in it.
pub(super) const GROUND: &str = "ground";

pub(super) enum Ground {
    Disks(Vec<Disk>),
    Forgetful(Forgetful),
}

impl Ground {
    /// Makes it where the site's data directory is to be, if the machine lets us. Of disks there is one for
    /// the rows and one for the bytes.
    pub(super) fn of_data(place: Place, site: &Site) -> Option<Self> {
        let data_dir = site.data_dir();
        Some(match place {
            Place::Ext4 => Self::Disks(vec![
                Disk::make(&site.folder().join("rows"), &data_dir)?,
                Disk::make(&site.folder().join("bytes"), &data_dir.join("blobs"))?,
            ]),
            Place::Forgetful => Self::Forgetful(Forgetful::mount(&data_dir)?),
        })
    }

    /// Makes one above the site's data directory, if the machine lets us.
    pub(super) fn above_data(place: Place, site: &Site) -> Option<Self> {
        let at = site.folder().join(GROUND);
        Some(match place {
            Place::Ext4 => Self::Disks(vec![Disk::make(&site.folder().join("disk"), &at)?]),
            Place::Forgetful => Self::Forgetful(Forgetful::mount(&at)?),
        })
    }

    /// Makes all that is on it durable.
    pub(super) fn sync(&self) {
        match self {
            Self::Disks(disks) => disks.iter().for_each(Disk::sync),
            Self::Forgetful(forgetful) => forgetful.sync(),
        }
    }

    /// Cuts the power: what is left is in its place then.
    pub(super) fn cut(self) -> Self {
        match self {
            Self::Disks(disks) => Self::Disks(Disk::cut(disks)),
            Self::Forgetful(forgetful) => Self::Forgetful(forgetful.cut()),
        }
    }
}
