//! What SQLite says, in the words of [`StoreError`].

use atropos::ports::StoreError;
use atropos::step;
use rusqlite::ffi::{self, ErrorCode};

/// Why a statement failed, or a row cannot be read.
#[derive(Debug)]
pub(super) enum SqlError {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// It makes no sense here.
    Store(StoreError),
}

/// What a statement answers.
pub(super) type Sql<T, E = SqlError> = std::result::Result<T, E>;

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for SqlError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<step::Failed> for SqlError {
    fn from(failed: step::Failed) -> Self {
        Self::Store(failed.into())
    }
}

/// Says it in the words of all storage.
pub(super) fn told<T>(work: impl FnOnce() -> Sql<T>) -> Result<T, StoreError> {
    work().map_err(StoreError::from)
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        use rusqlite::Error as E;
        let error = match error {
            SqlError::Sqlite(error) => error,
            SqlError::Store(error) => return error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.into()),
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied,
            ) => Self::ReadOnly(error.into()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => corrupt("database file"),
            Some(_) => Self::Unavailable(error.into()),
            None => match error {
                E::FromSqlConversionFailure(..)
                | E::IntegralValueOutOfRange(..)
                | E::InvalidColumnType(..)
                | E::Utf8Error(..) => corrupt("column of a row"),
                other => Self::Unavailable(other.into()),
            },
        }
    }
}

/// Something that does not make sense; `what` carries no personal data.
pub(super) fn damaged(what: &str) -> SqlError {
    SqlError::Store(corrupt(what))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt {
        what: what.to_owned(),
    }
}

/// The same failure for each of several who wait for one transaction.
pub(super) fn copy(error: &StoreError) -> StoreError {
    let source = |source: &atropos::ports::Source| source.to_string().into();
    match error {
        StoreError::Unavailable(said) => StoreError::Unavailable(source(said)),
        StoreError::Full(said) => StoreError::Full(source(said)),
        StoreError::ReadOnly(said) => StoreError::ReadOnly(source(said)),
        StoreError::Corrupt { what } => corrupt(what),
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
    fn unique(self, what: &'static str) -> Sql<T>;

    /// A row that must be there and is not means that `what` is missing.
    fn referring(self, what: &'static str) -> Sql<T>;
}

impl<T> Named<T> for rusqlite::Result<T> {
    fn unique(self, what: &'static str) -> Sql<T> {
        self.map_err(|error| match extended_code(&error) {
            Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) => {
                StoreError::Taken { what }.into()
            }
            _ => error.into(),
        })
    }

    fn referring(self, what: &'static str) -> Sql<T> {
        self.map_err(|error| match extended_code(&error) {
            Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => StoreError::Missing { what }.into(),
            _ => error.into(),
        })
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}
