//! What to do about a failure of the storage.

use atropos::domain::VolumeError;
use atropos::ports::StoreError;

/// A sentence for the operator, where there is something to be done.
pub(super) fn of_storage(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Full(_) => Some("free some space; nothing was lost"),
        StoreError::ReadOnly(_) => Some("make the data directory writable for this user"),
        StoreError::Corrupt { .. } => Some(
            "restore it from a backup with `atropos restore --set-aside`, which keeps what is \
             there",
        ),
        StoreError::StrayLog => Some(
            "if the database was put there by hand, remove `atropos.db-wal` and \
             `atropos.db-shm`; else put the database back that they belong to",
        ),
        StoreError::WrongVolume(VolumeError::Strange) => Some(
            "mount the volume of `blobs` and try again; if its files are lost for good, \
             `atropos volume adopt --bytes-are-lost`",
        ),
        StoreError::WrongVolume(_) => Some(
            "mount the volume of `blobs`; if what is there is the right one, \
             `atropos volume adopt`",
        ),
        StoreError::WrongDatabase => Some(
            "put `atropos.db` and its `-wal` and `-shm` back, or start the server again on \
             what is there",
        ),
        StoreError::NoDatabase => Some(
            "restore `atropos.db` from a backup; to begin with an empty one, move `blobs` \
             elsewhere first",
        ),
        StoreError::Newer { .. } => Some("use the version that wrote it, or a newer"),
        _ => None,
    }
}
