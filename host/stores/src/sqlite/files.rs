//! Whether the files of the database are still those that were opened. What is written to a file that
//! was removed, or that another one has taken the place of, is lost when the process ends.
//!
//! **Invariant:** no write is answered, and nothing read for longer than [`LATELY`], after a file of the
//! database has lost its name or given it to another.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atropos::ports::{Result, StoreError};

/// How long a look counts for those who read.
const LATELY: Duration = Duration::from_millis(100);

/// What SQLite keeps under the database's name: itself, its log, the memory that its users share.
const ENDS: [&str; 3] = ["", "-wal", "-shm"];

/// Device and inode; `None` of a file that is not there.
pub(super) type Identity = Option<(u64, u64)>;

/// The files of one open database.
pub(super) struct Files {
    opened: [(PathBuf, Identity); 3],
    begun: Instant,
    /// When they were last found as they were opened, in milliseconds since `begun`.
    seen_ms: AtomicU64,
}

impl Files {
    /// Those of the database at this path as they are now: to be called once a connection has them open.
    pub(super) fn opened(path: &Path) -> Result<Self> {
        let file = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            let path = PathBuf::from(name);
            identity(&path).map(|identity| (path, identity))
        };
        let [database, log, shared] = ENDS.map(file);
        Ok(Self {
            opened: [database?, log?, shared?],
            begun: Instant::now(),
            seen_ms: AtomicU64::new(0),
        })
    }

    /// Where the database is.
    pub(super) fn path(&self) -> &Path {
        let [(database, _), ..] = &self.opened;
        database
    }

    /// Whether this was the database when it was opened.
    pub(super) fn are_of(&self, database: Identity) -> bool {
        let [(_, opened), ..] = &self.opened;
        *opened == database
    }

    /// # Errors
    /// [`StoreError::WrongDatabase`], or they cannot be looked at.
    pub(super) fn unchanged(&self) -> Result<()> {
        for (path, opened) in &self.opened {
            if identity(path)? != *opened {
                return Err(StoreError::WrongDatabase);
            }
        }
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen_ms.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// The same, for those who read: looks only if nobody has within [`LATELY`].
    ///
    /// # Errors
    /// As of [`Files::unchanged`].
    pub(super) fn unchanged_lately(&self) -> Result<()> {
        let seen = Duration::from_millis(self.seen_ms.load(Ordering::Relaxed));
        match self.begun.elapsed().saturating_sub(seen) < LATELY {
            true => Ok(()),
            false => self.unchanged(),
        }
    }
}

/// What is at this path now.
pub(super) fn identity(path: &Path) -> Result<Identity> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::Unavailable(error.into())),
    }
}
