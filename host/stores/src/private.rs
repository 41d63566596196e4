//! What belongs to a data directory is for its owner alone: directories have the mode 0700 and files 0600,
//! whatever the umask.
//!
//! Each is made so. What an earlier version made, or somebody copied, is [narrowed] when a directory is
//! opened.
//!
//! [narrowed]: narrow

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use atropos::private::{DIRECTORY, FILE};
pub use atropos::private::{file, folder, make_folder};
use cap_std::fs::{self as beneath, Dir, DirBuilderExt as _, OpenOptionsExt as _};

/// What others may do.
const OTHERS: u32 = 0o077;

/// Of a directory that strangers write to, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// The names in a data directory, and what they begin with.
const OWN: [&str; 8] = [
    "atropos.db",
    "blobs",
    "components",
    "lost+found",
    "restore-unfinished.json",
    "server.lock",
    "set-aside-",
    "status.",
];

/// Makes a directory beneath an open one; false if it is there.
pub(crate) fn make_folder_in(parent: &Dir, name: &str) -> io::Result<bool> {
    let mut how = beneath::DirBuilder::new();
    how.mode(DIRECTORY);
    match parent.create_dir_with(name, &how) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes away what others may do with an open file, unless it belongs to another user.
pub fn narrow_file(file: &File) {
    if let Ok(found) = file.metadata()
        && is_open(&found)
    {
        // Whose it is may change it.
        let _ = file.set_permissions(Permissions::from_mode(narrowed(&found)));
    }
}

/// How a file that is not there is made beneath an open directory.
pub(crate) fn new_file_in() -> beneath::OpenOptions {
    let mut how = beneath::OpenOptions::new();
    how.write(true).create_new(true).mode(FILE);
    how
}

/// What was found open to others in a data directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Narrowed {
    /// How many files and directories are for their owner alone from now on.
    pub corrected: u64,
    /// How many are as they were, since they belong to another user, or to a directory that has other
    /// things in it, too.
    pub left: u64,
}

impl Narrowed {
    /// Tells the log, if there is something to be told.
    pub fn tell(self, data_dir: &Path) {
        let data_dir = data_dir.display();
        if self.corrected > 0 {
            tracing::warn!(
                %data_dir, corrected = self.corrected,
                "files and directories were open to other users of this machine; they are for their \
                 owner alone now"
            );
        }
        if self.left > 0 {
            tracing::warn!(
                %data_dir, left = self.left,
                "files or directories stay open to other users of this machine: they belong to \
                 another user, or the data directory has other things in it; give it a directory of \
                 its own, with the mode 0700"
            );
        }
    }
}

/// Takes away what others may do in a data directory that is in use. What its owner may do stays, and so
/// does whatever has no name of ours. A directory of bytes is looked into only while it is open to others
/// itself, and is corrected after all that is in it.
///
/// # Errors
/// The directory cannot be read.
pub fn narrow(data_dir: &Path) -> io::Result<Narrowed> {
    let mut narrowed = Narrowed::default();
    let found = std::fs::metadata(data_dir)?;
    let mut is_shared = found.permissions().mode() & STICKY != 0;
    let mut own = Vec::new();
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        match OWN.iter().any(|own| name.starts_with(own)) {
            true => own.push(entry.path()),
            false => is_shared = true,
        }
    }
    match is_shared {
        // First, so that nobody gets any further from here on.
        false => narrowed.one(data_dir, &found),
        true => narrowed.left += u64::from(is_open(&found)),
    }
    for path in own {
        narrowed.all(&path, true);
    }
    Ok(narrowed)
}

fn is_open(found: &Metadata) -> bool {
    found.permissions().mode() & OTHERS != 0
}

/// Its mode without what others may do.
fn narrowed(found: &Metadata) -> u32 {
    found.permissions().mode() & !OTHERS & 0o7777
}

impl Narrowed {
    /// `look` says to look into a directory even if it is not open.
    fn all(&mut self, path: &Path, look: bool) {
        // Others work here, too: what was there may be gone.
        let Ok(found) = std::fs::symlink_metadata(path) else {
            return;
        };
        if found.is_dir() && (look || is_open(&found)) {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                self.all(&entry.path(), false);
            }
        }
        self.one(path, &found);
    }

    fn one(&mut self, path: &Path, found: &Metadata) {
        if found.is_symlink() || !is_open(found) {
            return;
        }
        match std::fs::set_permissions(path, Permissions::from_mode(narrowed(found))) {
            Ok(()) => self.corrected += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => self.left += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn put(path: &Path, mode: u32) {
        match path.extension() {
            Some(_) => std::fs::write(path, "").unwrap(),
            None => std::fs::create_dir(path).unwrap(),
        }
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_do_is_taken_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let table = [
            ("", 0o755, 0o700),
            ("atropos.db", 0o644, 0o600),
            ("atropos.db-wal", 0o664, 0o600),
            ("blobs", 0o2775, 0o2700),
            ("blobs/00", 0o755, 0o700),
            ("blobs/00/a.1", 0o644, 0o600),
            ("blobs/00/b.1", 0o444, 0o400),
            ("blobs/01", 0o500, 0o500),
            // In a directory that is closed already, what is in it is not looked at.
            ("blobs/02", 0o700, 0o700),
            ("blobs/02/a.1", 0o644, 0o644),
        ];
        for (name, before, _) in &table[1..] {
            put(&root.join(name), *before);
        }
        std::fs::set_permissions(root, Permissions::from_mode(0o755)).unwrap();
        let changed = table.iter().filter(|(_, before, after)| before != after);
        let expected = Narrowed {
            corrected: changed.count() as u64,
            left: 0,
        };
        assert_eq!(narrow(root).unwrap(), expected);
        for (name, _, after) in table {
            assert_eq!(mode(&root.join(name)), after, "{name}");
        }
        assert_eq!(narrow(root).unwrap(), Narrowed::default(), "once");
    }

    #[test]
    fn a_directory_that_has_other_things_in_it_stays_as_it_is_and_they_do_too() {
        for (other, mode_of_it) in [(Some("mine.txt"), 0o755), (None, 0o1777)] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path();
            put(&root.join("atropos.db"), 0o644);
            if let Some(other) = other {
                put(&root.join(other), 0o644);
            }
            std::fs::set_permissions(root, Permissions::from_mode(mode_of_it)).unwrap();
            let expected = Narrowed {
                corrected: 1,
                left: 1,
            };
            assert_eq!(narrow(root).unwrap(), expected);
            assert_eq!(mode(root), mode_of_it);
            assert_eq!(mode(&root.join("atropos.db")), 0o600);
            let other = other.map(|other| mode(&root.join(other)));
            assert!(other.is_none_or(|mode| mode == 0o644));
        }
    }
}
