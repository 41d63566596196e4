//! Files and directories for their owner alone: directories have the mode 0700 and files 0600, whatever the
//! umask.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The mode of a directory.
pub const DIRECTORY: u32 = 0o700;

/// The mode of a file.
pub const FILE: u32 = 0o600;

/// How a directory is made that is not there.
pub fn folder() -> DirBuilder {
    let mut how = DirBuilder::new();
    how.mode(DIRECTORY);
    how
}

/// Makes a directory, unless it is there. Those above it are as the umask has them. Nothing
/// of it is made to last.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    let made = folder().create(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// How a file is opened that is made if it is not there.
pub fn file() -> OpenOptions {
    let mut how = File::options();
    how.write(true).create(true).mode(FILE);
    how
}
