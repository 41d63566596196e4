//! Bytes as files beneath one directory.

use std::path::Path;

use super::Result;

/// The embedded backend of [`super::Blobs`].
pub struct Local {}

impl Local {
    /// Opens or creates `blobs/` in the data directory.
    ///
    /// # Errors
    /// Unwritable, or not a directory.
    pub fn open(_data_dir: &Path) -> Result<Self> {
        Ok(Self {})
    }
}
