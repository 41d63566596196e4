//! Compiles guest crates to WebAssembly components from a build script, in one nested cargo call.
//!
//! ```no_run
//! use atropos_guest_build::{Guest, packages};
//! # fn main() -> anyhow::Result<()> {
//! packages(&[Guest::new("atropos-policy-retention", "retention")])
//! # }
//! ```
//! leaves `retention.wasm` in `OUT_DIR`, ready for `include_bytes!`. Of a core module that is there already,
//! the crate `atropos-guest-encode` makes a component.

mod cargo;
mod component;
mod target;
mod workspace;

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::cargo::{Built, Selection};
use crate::workspace::Workspace;

/// One guest crate and the name of the file it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    package: &'a str,
    name: &'a str,
}

impl<'a> Guest<'a> {
    /// The workspace's `package`, to be written to `OUT_DIR/<name>.wasm`.
    pub const fn new(package: &'a str, name: &'a str) -> Self {
        Self { package, name }
    }
}

/// Builds the given packages, each a `cdylib`, to `OUT_DIR/<name>.wasm`.
///
/// # Errors
/// When it is not called from a build script, the wasm target cannot be had, the guests do not
/// compile, or one of them imports what its world does not offer.
pub fn packages(guests: &[Guest<'_>]) -> Result<()> {
    let built = libraries(guests, &["wit", "guest"])?;
    for guest in guests {
        let component = component::encode(&built.library(guest.package))?;
        let strangers = component::strangers(&component)?;
        ensure!(
            strangers.is_empty(),
            "{} imports {}, which its world does not offer",
            guest.package,
            strangers.join(", ")
        );
        write(guest.name, &component)?;
    }
    Ok(())
}

/// Builds the given packages, each a `cdylib`, to core modules in `OUT_DIR/<name>.wasm`: guests of
/// other hosts, which those are compared with. Their sources are in `directories` of the workspace.
///
/// # Errors
/// When it is not called from a build script, the wasm target cannot be had, or the guests do not
/// compile.
pub fn modules(guests: &[Guest<'_>], directories: &[&str]) -> Result<()> {
    let built = libraries(guests, directories)?;
    for guest in guests {
        let path = built.library(guest.package);
        let module = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        write(guest.name, &module)?;
    }
    Ok(())
}

fn libraries(guests: &[Guest<'_>], directories: &[&str]) -> Result<Built> {
    let workspace = Workspace::find()?;
    workspace.watch(directories);
    let names: Vec<_> = guests.iter().map(|guest| guest.package).collect();
    cargo::build(&workspace, Selection::Packages(&names))
}

/// Builds the named examples, each a `cdylib`, of the package whose build script this is, to
/// `OUT_DIR/<name>.wasm`. They may import what they like: these are the guests for tests.
///
/// The nested call runs the same build script for the wasm target; there this does nothing.
///
/// # Errors
/// When it is not called from a build script, the wasm target cannot be had, or a guest does not
/// compile.
pub fn examples(names: &[&str]) -> Result<()> {
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        return Ok(());
    }
    let workspace = Workspace::find()?;
    workspace.watch(&["wit", "guest/sdk"]);
    let manifest_dir = variable("CARGO_MANIFEST_DIR")?;
    println!("cargo:rerun-if-changed={manifest_dir}");
    let package = variable("CARGO_PKG_NAME")?;
    let built = cargo::build(&workspace, Selection::Examples(&package))?;
    for name in names {
        write(name, &component::encode(&built.example(name))?)?;
    }
    Ok(())
}

fn write(name: &str, component: &[u8]) -> Result<()> {
    let path = PathBuf::from(variable("OUT_DIR")?).join(format!("{name}.wasm"));
    fs::write(&path, component).with_context(|| format!("writing {}", path.display()))
}

/// A variable that cargo sets for every build script.
fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set: not called from a build script?"))
}
