//! The storage: rows and bytes, wherever they are kept.
//!
//! Which backend keeps them is `storage.backend` in the configuration, and known here alone. Everybody else
//! knows a [`Storage`]; whoever has one of another kind puts a service over it
//! ([`Service::over`](crate::service::Service::over)).
//!
//! **Invariant:** rows are made only where there are no bytes, and bytes are used only in the place that
//! the rows belong to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atropos::commit::doctor::Doctor;
use atropos::ports::{Bytes, Database, KnownVolume as _, StoreError};
use atropos_stores::backup::{self, BackupError};
use atropos_stores::local::{Local, place};
use atropos_stores::private;
use atropos_stores::sqlite::{self, Sqlite};

use crate::config::{Backend, Config};

/// Rows and bytes. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    /// The rows.
    pub rows: Arc<dyn Database>,
    /// The bytes.
    pub bytes: Arc<dyn Bytes>,
}

/// The embedded storage: SQLite, and files, in one data directory. What only this one has (backups that
/// Atropos makes itself, a volume to adopt) asks for it.
pub struct Embedded {
    /// The rows.
    pub rows: Arc<Sqlite>,
    /// The bytes.
    pub bytes: Local,
}

/// Why there is no storage.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The data directory cannot be made or read.
    #[error("cannot use the data directory {path}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is a backup, or a restore into it was cut short.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The storage in it does not open.
    #[error("cannot open the storage in {path}")]
    Store {
        /// Where.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
}

impl Storage {
    /// Opens the configured storage, making it if need be. The bytes must prove to be those that the rows
    /// belong to.
    ///
    /// # Errors
    /// It does not open.
    pub fn open(config: &Config) -> Result<Self, StorageError> {
        match config.storage.backend {
            Backend::Embedded => Embedded::open(&config.data_dir).map(Self::from),
        }
    }

    /// The same without the proof, for those who only look: what needs the bytes is refused one by one.
    ///
    /// # Errors
    /// It does not open.
    pub fn unproved(config: &Config) -> Result<Self, StorageError> {
        match config.storage.backend {
            Backend::Embedded => Embedded::unproved(&config.data_dir).map(Self::from),
        }
    }

    /// Who compares rows and bytes.
    pub fn doctor(&self) -> Doctor {
        Doctor {
            ledger: self.rows.clone(),
            inventory: self.bytes.clone(),
            catalogue: self.rows.clone(),
            quarantine: self.bytes.clone(),
        }
    }
}

impl From<Embedded> for Storage {
    fn from(embedded: Embedded) -> Self {
        Self {
            rows: embedded.rows,
            bytes: Arc::new(embedded.bytes),
        }
    }
}

impl Embedded {
    /// Opens the data directory, making it if need be.
    ///
    /// # Errors
    /// It does not open, or its bytes do not prove to be those that its rows belong to.
    pub fn open(data_dir: &Path) -> Result<Self, StorageError> {
        Self::open_with(data_dir, |rows| Local::open(data_dir, rows))
    }

    /// The same without the proof.
    ///
    /// # Errors
    /// It does not open.
    pub fn unproved(data_dir: &Path) -> Result<Self, StorageError> {
        Self::open_with(data_dir, |rows| {
            Ok(Local::unproved(data_dir, rows.volume()?))
        })
    }

    fn open_with(
        data_dir: &Path,
        bytes: impl FnOnce(&Sqlite) -> Result<Local, StoreError>,
    ) -> Result<Self, StorageError> {
        let unusable = |source| StorageError::DataDir {
            path: data_dir.to_owned(),
            source,
        };
        place::make_folder(data_dir).map_err(unusable)?;
        backup::must_be_usable(data_dir)?;
        if data_dir.join(sqlite::FILE).exists() {
            private::narrow(data_dir).map_err(unusable)?.tell(data_dir);
        }
        let open = || {
            if !Sqlite::exists(data_dir)? && place::has_bytes(data_dir)? {
                return Err(StoreError::NoDatabase);
            }
            let rows = Arc::new(Sqlite::open(data_dir)?);
            let bytes = bytes(&rows)?;
            Ok(Self { rows, bytes })
        };
        open().map_err(|source| StorageError::Store {
            path: data_dir.to_owned(),
            source,
        })
    }
}
