//! A new policy project: files that build, and cases that pass, before a line is written.
//!
//! The templates are the policy `retention` in each language, a project of that name: wherever the
//! word stands in one, the new name takes its place. SDK, contract and templates come with the
//! program, so that a project fits the host that made it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, io};

use atropos::target::Malformed;
use include_dir::{Dir, File, include_dir};

static CASES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest/policies/retention/cases");
static CONTRACT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
static JAVASCRIPT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest/languages/javascript");
static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest/languages/python");
static RUST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest/languages/rust");
static RUST_SOURCE: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/../../guest/policies/retention/src");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../guest/sdk/src");

/// The name that the templates bear.
const TEMPLATE_NAME: &str = "retention";

/// What a policy can be written in with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// With the SDK.
    Rust,
    /// Run by QuickJS.
    Javascript,
    /// Run by CPython.
    Python,
}

/// The name of a policy, good for a package of every language: 1 to 64 of `a`–`z`, `0`–`9` and inner
/// `-`, the first a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = text.len() <= 64
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(inner);
        let expected = "1 to 64 lower-case letters, digits and inner hyphens, the first a letter, \
                        such as minimum-age";
        match fits {
            true => Ok(Self(text.to_owned())),
            false => Err(Malformed::new("name of a policy", expected)),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a project is not made.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Something of that name is there.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// One part of a project.
struct Part {
    /// Beneath the project.
    folder: &'static str,
    from: &'static Dir<'static>,
    /// Whether it bears the template's name.
    named: bool,
}

impl Language {
    fn parts(self) -> Vec<Part> {
        let named = |folder, from| Part {
            folder,
            from,
            named: true,
        };
        let as_it_is = |folder, from| Part {
            folder,
            from,
            named: false,
        };
        let mut parts = vec![named("cases", &CASES), as_it_is("wit", &CONTRACT)];
        match self {
            Self::Rust => parts.extend([
                named("", &RUST),
                named("src", &RUST_SOURCE),
                as_it_is("vendor/atropos-sdk/src", &SDK),
            ]),
            Self::Javascript => parts.push(named("", &JAVASCRIPT)),
            Self::Python => parts.push(named("", &PYTHON)),
        }
        parts
    }
}

/// Makes a project in the folder `into`, which must not be there.
///
/// # Errors
/// It is there, or cannot be written.
pub fn create(language: Language, name: &Name, into: &Path) -> Result<(), ProjectError> {
    if into.symlink_metadata().is_ok() {
        return Err(ProjectError::Exists(into.to_owned()));
    }
    for part in language.parts() {
        let folder = into.join(part.folder);
        for file in files(part.from) {
            let path = folder.join(file.path());
            let text = String::from_utf8_lossy(file.contents());
            let text = match part.named {
                true => text.replace(TEMPLATE_NAME, &name.0),
                false => text.into_owned(),
            };
            write(&path, &text).map_err(|source| ProjectError::Write { path, source })?;
        }
    }
    Ok(())
}

fn files<'a>(folder: &'a Dir<'a>) -> Vec<&'a File<'a>> {
    let mut all: Vec<_> = folder.files().collect();
    all.extend(folder.dirs().flat_map(files));
    all
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_a_package_of_every_language() {
        for name in ["a", "minimum-age", "x2", &"a".repeat(64)] {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in [
            "",
            "-a",
            "a-",
            "2x",
            "A",
            "a_b",
            "a b",
            "a/b",
            "..",
            "é",
            &"a".repeat(65),
        ] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_sdk_of_a_project_asks_for_what_the_sdk_asks_for() {
        let version = |manifest: &toml::Table, name: &str| {
            let value = &manifest[name];
            let version = value.get("version").unwrap_or(value);
            version.as_str().unwrap().to_owned()
        };
        let read = |path: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .join(path);
            let text = std::fs::read_to_string(path).unwrap();
            text.parse::<toml::Table>().unwrap()
        };
        let table = |value: &toml::Value| value.as_table().unwrap().clone();
        let workspace = table(&read("Cargo.toml")["workspace"]);
        let versions = table(&workspace["dependencies"]);
        let sdk = table(&read("guest/sdk/Cargo.toml")["dependencies"]);
        let alone = read("guest/languages/rust/vendor/atropos-sdk/Cargo.toml");
        let dependencies = table(&alone["dependencies"]);
        assert!(dependencies.keys().eq(sdk.keys()));
        for name in sdk.keys() {
            assert_eq!(version(&dependencies, name), version(&versions, name));
        }
        let package = table(&workspace["package"]);
        for (name, value) in &package {
            assert_eq!(&alone["package"][name], value, "{name}");
        }
    }
}
