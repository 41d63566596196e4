//! The fsyncs of this crate, by name, so that tests can leave each of them out and see what a power
//! cut then takes.
//!
//! In the program as shipped each is one fsync. Where tests build it, `FAILPOINTS` leaves one out:
//! `sync.file=return`.
//!
//! **Invariant:** whatever is made durable is made so here, or by SQLite as this says. Held by
//! `tests/house.rs`.
//! **Invariant:** of each it is known what a power cut takes without it: `tests/power.md`, written by
//! `tests/power.rs`.

use std::fs::File;
use std::io;

#[cfg(feature = "failpoints")]
use fail::fail_point;

macro_rules! barriers {
    ($($(#[$about:meta])+ $barrier:ident = $name:literal,)+) => {
        /// Something that must be durable before what follows is done or answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Barrier {
            $($(#[$about])+ $barrier,)+
        }

        impl Barrier {
            /// Every barrier.
            pub const ALL: &[Self] = &[$(Self::$barrier),+];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$barrier => $name,)+
                }
            }
        }
    };
}

barriers! {
    /// The bytes of a file, before its row is written.
    File = "sync.file",
    /// The entry of a file in its directory, before its row is written.
    Entry = "sync.entry",
    /// The entry of a directory in which files are, before one is put into it.
    Directory = "sync.directory",
    /// The entry of a data directory, or of a backup, before anything is put into it.
    Folder = "sync.folder",
    /// The entry of the directory of the bytes, before anything is put into it.
    Blobs = "sync.blobs",
    /// The bytes of a volume's marker, before it gets its name.
    Marker = "sync.marker",
    /// The entry of a volume's marker, before the volume counts as marked.
    MarkerEntry = "sync.marker-entry",
    /// The bytes of the file that names the marks of a run, before it gets its name.
    Run = "sync.run",
    /// The entry of that file, before the database bears the mark.
    RunEntry = "sync.run-entry",
    /// When a file comes to the quarantine, before it is moved there.
    Arrival = "sync.arrival",
    /// The new entry of a file that is moved, before the absence of its old one.
    MovedTo = "sync.moved-to",
    /// The absence of its old entry, before it counts as moved.
    MovedFrom = "sync.moved-from",
    /// The absence of removed files, before their shred records are struck off or they count as erased.
    Removals = "sync.removals",
    /// The log of the database at each commit, before a write is answered.
    Commit = "sync.commit",
    /// The database itself, before its log is emptied.
    Checkpoint = "sync.checkpoint",
}

/// Returns once a file or directory of a backup, or of a restore, is durable. Neither counts as done before
/// its last step, so there is nothing that a cut could undo: no failpoint leaves this out.
///
/// # Errors
/// It may not be.
pub fn sync_copy(file: &File) -> io::Result<()> {
    file.sync_all()
}

impl Barrier {
    /// Returns once what is in this file or directory is durable.
    ///
    /// # Errors
    /// It may not be.
    pub fn sync(self, file: &File) -> io::Result<()> {
        match self.is_kept() {
            true => file.sync_all(),
            false => Ok(()),
        }
    }

    /// False if a test leaves it out.
    pub fn is_kept(self) -> bool {
        fail_point!(self.name(), |_| {
            tracing::warn!(barrier = self.name(), "left out");
            false
        });
        true
    }
}
