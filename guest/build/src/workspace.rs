//! Where the workspace is, and which of its files a guest depends on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::variable;

/// The root of the workspace that the calling build script belongs to.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
}

impl Workspace {
    /// Goes up from the calling package to the directory with the lock file, which cargo has
    /// written before any build script runs.
    pub(crate) fn find() -> Result<Self> {
        let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let root = above(&package).context("no Cargo.lock above the package")?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// Has cargo run the build script again when the versions or the profile change, or anything in
    /// the given directories.
    pub(crate) fn watch(&self, directories: &[&str]) {
        for path in ["Cargo.lock", "Cargo.toml"].iter().chain(directories) {
            println!("cargo:rerun-if-changed={}", self.root.join(path).display());
        }
    }
}

fn above(package: &Path) -> Option<&Path> {
    package
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_where_the_lock_file_is() {
        let root = above(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(root.join("wit/policy/policy.wit").is_file());
    }
}
