//! How a chain is typed: one `POLICY[=SETTINGS]` for each policy, in the order in which they are asked.

use std::path::PathBuf;
use std::str::FromStr;

use atropos::target::Digest;
use serde::de::IgnoredAny;

use super::Failure;

/// What a policy gets that nothing was set for.
const NO_SETTINGS: &str = "{}";

/// One policy of a chain, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Which policy.
    pub(crate) policy: PolicyName,
    settings: Settings,
}

/// The ways to name a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PolicyName {
    /// One that comes with the program.
    BuiltIn(String),
    /// One that a chain names already.
    Kept(Digest),
    /// One to be taken on from a file.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settings {
    /// JSON as it was typed.
    Text(String),
    /// A file with JSON.
    File(PathBuf),
}

impl FromStr for Link {
    type Err = String;

    /// The first `=` ends the name, because JSON may hold further ones.
    fn from_str(typed: &str) -> Result<Self, String> {
        let (policy, settings) = match typed.split_once('=') {
            Some((policy, settings)) => (policy, Some(settings.parse()?)),
            None => (typed, None),
        };
        Ok(Self::new(policy.parse()?, settings))
    }
}

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let is_path = typed.contains(['/', '\\']) || typed.ends_with(".wasm");
        if typed.is_empty() {
            Err("the policy is missing before `=`".to_owned())
        } else if is_path {
            Ok(Self::File(typed.into()))
        } else if let Ok(digest) = typed.parse() {
            Ok(Self::Kept(digest))
        } else {
            Ok(Self::BuiltIn(typed.to_owned()))
        }
    }
}

impl std::fmt::Display for PolicyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn(name) => f.write_str(name),
            Self::Kept(digest) => digest.fmt(f),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

impl FromStr for Settings {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        match typed.strip_prefix('@') {
            Some("") => Err("the file is missing after `@`".to_owned()),
            Some(file) => Ok(Self::File(file.into())),
            None => checked(typed.to_owned()).map(Self::Text),
        }
    }
}

impl Link {
    /// A policy with its settings, or without any.
    pub(crate) fn new(policy: PolicyName, settings: Option<Settings>) -> Self {
        let settings = settings.unwrap_or_else(|| Settings::Text(NO_SETTINGS.to_owned()));
        Self { policy, settings }
    }

    /// The settings as JSON text, just as they were given.
    pub(crate) async fn settings(&self) -> Result<String, Failure> {
        self.settings.text().await
    }
}

impl Settings {
    /// The JSON text, just as it was given.
    pub(crate) async fn text(&self) -> Result<String, Failure> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(file) => {
                let text = tokio::fs::read_to_string(file).await;
                let text = text.map_err(|source| Failure::Io {
                    what: format!("cannot read {}", file.display()),
                    source,
                })?;
                checked(text)
                    .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
            }
        }
    }
}

fn checked(settings: String) -> Result<String, String> {
    match serde_json::from_str::<IgnoredAny>(&settings) {
        Ok(_) => Ok(settings),
        Err(error) => Err(format!("the settings are not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    fn link(typed: &str) -> Link {
        typed.parse().unwrap()
    }

    #[test]
    fn a_bare_word_is_a_built_in_policy_without_settings() {
        let link = link("allow-all");
        assert_eq!(link.policy, PolicyName::BuiltIn("allow-all".to_owned()));
        assert_eq!(link.settings, Settings::Text("{}".to_owned()));
    }

    #[test]
    fn a_slash_or_a_wasm_ending_makes_a_file() {
        for typed in ["./mine", "mine.wasm", "a/b.wasm"] {
            assert_eq!(link(typed).policy, PolicyName::File(typed.into()));
        }
    }

    #[test]
    fn sixty_four_hexadecimal_digits_make_a_digest() {
        let digest = Digest::of(b"component");
        assert_eq!(link(&digest.to_string()).policy, PolicyName::Kept(digest));
    }

    #[test]
    fn settings_follow_the_first_equals_sign() {
        let link = link(r#"labels={"forbidden":["a=b"]}"#);
        assert_eq!(link.policy, PolicyName::BuiltIn("labels".to_owned()));
        let text = r#"{"forbidden":["a=b"]}"#.to_owned();
        assert_eq!(link.settings, Settings::Text(text));
    }

    #[test]
    fn an_at_sign_makes_settings_a_file() {
        let link = link("labels=@labels.json");
        assert_eq!(link.settings, Settings::File("labels.json".into()));
    }

    #[test]
    fn what_is_cut_short_or_not_json_is_refused() {
        for typed in [
            "", "=", "={}", "labels=", "labels=@", "labels={", "labels=x",
        ] {
            assert!(typed.parse::<Link>().is_err(), "{typed}");
        }
    }

    #[tokio::test]
    async fn settings_from_a_file_are_held_to_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("settings.json");
        std::fs::write(&file, " {} ").unwrap();
        let link = link(&format!("labels=@{}", file.display()));
        assert_eq!(link.settings().await.unwrap(), " {} ");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(link.settings().await.unwrap_err().exit(), Exit::Usage);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(link.settings().await.unwrap_err().exit(), Exit::Unavailable);
    }
}
