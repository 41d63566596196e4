//! What SQLite says, in the words of [`StoreError`].

use rusqlite::ffi::{self, ErrorCode};

use crate::store::{Result, StoreError};

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.into()),
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied,
            ) => Self::ReadOnly(error.into()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged("database file"),
            Some(_) => Self::Unavailable(error.into()),
            None => match error {
                E::FromSqlConversionFailure(..)
                | E::IntegralValueOutOfRange(..)
                | E::InvalidColumnType(..)
                | E::Utf8Error(..) => damaged("column of a row"),
                other => Self::Unavailable(other.into()),
            },
        }
    }
}

/// Something that does not make sense; `what` carries no personal data.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt {
        what: what.to_owned(),
    }
}

/// The same failure for each of several who wait for one transaction.
pub(super) fn copy(error: &StoreError) -> StoreError {
    let source = |source: &crate::store::Source| source.to_string().into();
    match error {
        StoreError::Unavailable(said) => StoreError::Unavailable(source(said)),
        StoreError::Full(said) => StoreError::Full(source(said)),
        StoreError::ReadOnly(said) => StoreError::ReadOnly(source(said)),
        StoreError::Corrupt { what } => damaged(what),
        StoreError::WrongVolume(wrong) => StoreError::WrongVolume(*wrong),
        StoreError::WrongDatabase => StoreError::WrongDatabase,
        StoreError::NoDatabase => StoreError::NoDatabase,
        StoreError::StrayLog => StoreError::StrayLog,
        StoreError::Newer { found, known } => StoreError::Newer {
            found: *found,
            known: *known,
        },
        StoreError::Taken { what } => StoreError::Taken { what },
        StoreError::Missing { what } => StoreError::Missing { what },
    }
}

/// Tells a broken constraint from a failing storage.
pub(super) trait Named<T> {
    /// A value that must be unique and is not means that `what` is taken.
    fn unique(self, what: &'static str) -> Result<T>;

    /// A row that must be there and is not means that `what` is missing.
    fn referring(self, what: &'static str) -> Result<T>;
}

impl<T> Named<T> for rusqlite::Result<T> {
    fn unique(self, what: &'static str) -> Result<T> {
        self.map_err(|error| match extended_code(&error) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                StoreError::Taken { what }
            }
            _ => error.into(),
        })
    }

    fn referring(self, what: &'static str) -> Result<T> {
        self.map_err(|error| match extended_code(&error) {
            Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => StoreError::Missing { what },
            _ => error.into(),
        })
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}
