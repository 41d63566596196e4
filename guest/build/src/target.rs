//! The compiler's standard library for WebAssembly, which a toolchain may lack.
//!
//! `rust-toolchain.toml` names the target, but brings it only where rustup installs by itself.

use std::env;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::variable;

/// What every guest is compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Sees to it that guests can be compiled: asks rustup for the target when it is missing.
pub(crate) fn ensure_installed() -> Result<()> {
    let rustc = variable("RUSTC")?;
    let _turn = take_turn()?;
    let add = add_arguments(env::var("RUSTUP_TOOLCHAIN").ok().as_deref());
    ensure_with(
        || is_installed(&rustc),
        || {
            Command::new("rustup")
                .args(&add)
                .status()
                .is_ok_and(|status| status.success())
        },
        &format!("rustup {}", add.join(" ")),
    )
}

/// Cargo runs the build scripts of several packages at once, and rustup does not lock: they take
/// turns, so that none sees a target that is half there.
fn take_turn() -> Result<File> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    // The folder of the profile, which the build scripts of one cargo call share.
    let shared = out_dir.ancestors().nth(3).unwrap_or(&out_dir);
    let path = shared.join(format!(".{TARGET}.lock"));
    let options = OpenOptions::new().create(true).append(true).open(&path);
    let turn = options.with_context(|| format!("opening {}", path.display()))?;
    turn.lock()
        .with_context(|| format!("locking {}", path.display()))?;
    Ok(turn)
}

fn ensure_with(
    mut is_installed: impl FnMut() -> Result<bool>,
    add: impl FnOnce() -> bool,
    command: &str,
) -> Result<()> {
    if is_installed()? || (add() && is_installed()?) {
        return Ok(());
    }
    bail!(
        "the guests need Rust's standard library for {TARGET}, and it could not be installed.\n\
         Run this, then build again:\n\n    {command}\n"
    )
}

fn is_installed(rustc: &str) -> Result<bool> {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .with_context(|| format!("running {rustc}"))?;
    ensure!(
        output.status.success(),
        "{rustc} does not know the target {TARGET}"
    );
    let directory = String::from_utf8(output.stdout).context("the sysroot is not UTF-8")?;
    Ok(Path::new(directory.trim()).is_dir())
}

/// Without `--toolchain`, rustup would add to the default toolchain when one was chosen by `+name`.
fn add_arguments(toolchain: Option<&str>) -> Vec<String> {
    let mut arguments = vec!["target".to_owned(), "add".to_owned()];
    if let Some(toolchain) = toolchain {
        arguments.extend(["--toolchain".to_owned(), toolchain.to_owned()]);
    }
    arguments.push(TARGET.to_owned());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_target_is_left_alone() {
        let add = || panic!("rustup was asked");
        ensure_with(|| Ok(true), add, "rustup").unwrap();
    }

    #[test]
    fn a_missing_target_is_added() {
        let added = std::cell::Cell::new(false);
        ensure_with(|| Ok(added.get()), || !added.replace(true), "rustup").unwrap();
    }

    #[test]
    fn when_it_cannot_be_added_the_error_tells_the_command() {
        for claims_success in [true, false] {
            let error = ensure_with(|| Ok(false), || claims_success, "rustup target add x");
            assert!(
                error
                    .unwrap_err()
                    .to_string()
                    .contains("    rustup target add x\n")
            );
        }
    }

    #[test]
    fn the_target_is_added_to_the_toolchain_in_use() {
        assert_eq!(
            add_arguments(Some("1.95.0")).join(" "),
            "target add --toolchain 1.95.0 wasm32-unknown-unknown"
        );
        assert_eq!(
            add_arguments(None).join(" "),
            "target add wasm32-unknown-unknown"
        );
    }
}
