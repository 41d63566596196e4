//! Rows in SQLite: reads in place, one writer.

use std::path::Path;

use super::Result;

/// The embedded backend of [`super::Objects`], [`super::Chains`], [`super::Catalogue`] and
/// [`super::Tenants`].
pub struct Sqlite {}

impl Sqlite {
    /// Opens or creates `atropos.db` in the data directory.
    ///
    /// # Errors
    /// Unwritable, damaged, or of a newer version.
    pub fn open(_data_dir: &Path) -> Result<Self> {
        Ok(Self {})
    }
}
