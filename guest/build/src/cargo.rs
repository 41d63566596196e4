//! The nested cargo call.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::target::{self, TARGET};
use crate::variable;
use crate::workspace::Workspace;

/// The profile of the workspace's manifest that guests are compiled with.
const PROFILE: &str = "guest";

/// Bytes of stack. With it, data and heap of a guest that is given a small request fit the one page
/// of 64 KiB that a memory starts with; growing it costs more than the whole call.
const STACK: &str = "-Clink-arg=-zstack-size=16384";

/// Variables of the outer call, or of clippy, coverage and the like, that would reach into the nested
/// one. A target directory in common would also deadlock: the outer cargo holds its lock.
const FOREIGN: [&str; 6] = [
    "CARGO_INCREMENTAL",
    "OUT_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "TARGET",
];

/// As [`FOREIGN`], by how they begin.
const FOREIGN_PREFIXES: [&str; 8] = [
    "CARGO_BUILD_",
    "CARGO_CFG_",
    "CARGO_ENCODED_",
    "CARGO_FEATURE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
];

/// What to compile.
pub(crate) enum Selection<'a> {
    /// The libraries of these packages.
    Packages(&'a [&'a str]),
    /// All examples of this package.
    Examples(&'a str),
}

/// Where the core modules are.
pub(crate) struct Built {
    directory: PathBuf,
}

impl Built {
    pub(crate) fn library(&self, package: &str) -> PathBuf {
        self.directory.join(file_name(package))
    }

    pub(crate) fn example(&self, name: &str) -> PathBuf {
        self.directory.join("examples").join(file_name(name))
    }
}

/// Cargo names a `cdylib` after its crate.
fn file_name(target: &str) -> String {
    format!("{}.wasm", target.replace('-', "_"))
}

/// Compiles the selection to core modules. What cargo says is shown only when it fails.
pub(crate) fn build(workspace: &Workspace, selection: Selection<'_>) -> Result<Built> {
    target::ensure_installed()?;
    let target_dir = PathBuf::from(variable("OUT_DIR")?).join("target");
    let mut command = Command::new(variable("CARGO")?);
    command.args([
        "build",
        "--locked",
        "--target",
        TARGET,
        "--profile",
        PROFILE,
    ]);
    command.arg("--target-dir").arg(&target_dir);
    match selection {
        Selection::Packages(packages) => {
            command
                .arg("--lib")
                .args(packages.iter().flat_map(|package| ["-p", package]));
        }
        Selection::Examples(package) => {
            command.args(["--examples", "-p", package]);
        }
    }
    command.current_dir(&workspace.root);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_foreign) {
            command.env_remove(name);
        }
    }
    command.env(
        "CARGO_ENCODED_RUSTFLAGS",
        flags(&workspace.root, cargo_home().as_deref()),
    );
    let output = command.output().context("running cargo for the guests")?;
    if !output.status.success() {
        bail!(
            "the guests do not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(Built {
        directory: target_dir.join(TARGET).join(PROFILE),
    })
}

fn is_foreign(name: &str) -> bool {
    FOREIGN.contains(&name)
        || FOREIGN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The flags, parted as cargo wants them. Paths are remapped so that a guest comes out the same on
/// every machine and tells of none.
fn flags(root: &Path, cargo_home: Option<&Path>) -> String {
    let mut flags = vec![STACK.to_owned(), remap(root, "atropos")];
    flags.extend(cargo_home.map(|home| remap(home, "cargo")));
    flags.join("\x1f")
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn cargo_home() -> Option<PathBuf> {
    let by_default = || env::home_dir().map(|home| home.join(".cargo"));
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(by_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clippy_coverage_or_the_outer_build_set_stays_outside() {
        for name in [
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
        ] {
            assert!(is_foreign(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "PATH",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(!is_foreign(name), "{name}");
        }
    }

    #[test]
    fn paths_of_this_machine_are_remapped() {
        let flags = flags(
            Path::new("/src/atropos"),
            Some(Path::new("/home/me/.cargo")),
        );
        let flags: Vec<_> = flags.split('\x1f').skip(1).collect();
        assert_eq!(
            flags,
            [
                "--remap-path-prefix=/src/atropos=atropos",
                "--remap-path-prefix=/home/me/.cargo=cargo"
            ]
        );
    }

    #[test]
    fn a_module_is_named_after_its_crate() {
        let built = Built {
            directory: PathBuf::from("out"),
        };
        assert_eq!(
            built.library("atropos-policy-labels"),
            Path::new("out/atropos_policy_labels.wasm")
        );
        assert_eq!(
            built.example("stages-twice"),
            Path::new("out/examples/stages_twice.wasm")
        );
    }
}
