//! Settings from JSON, and what is wrong with them.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};

use crate::SettingsProblem;
use crate::text;

/// What the contract allows one message to hold, in bytes. A path is held to the same.
const LONGEST_MESSAGE: usize = 512;

/// Collects what is wrong with settings.
#[derive(Debug, Default)]
pub struct Problems(Vec<SettingsProblem>);

impl Problems {
    /// Records a problem at `path`, such as `windows[0].until`; empty for the whole. The message
    /// tells what is expected. Both are escaped and cut at 512 bytes.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(SettingsProblem {
            path: text::escape(&path.into(), LONGEST_MESSAGE),
            message: text::escape(&message.into(), LONGEST_MESSAGE),
        });
    }

    /// Records a problem at `path` unless a string of the settings is [plain](text::is_plain), which it
    /// must be to stand in a finding.
    #[inline(always)]
    pub fn plain(&mut self, text: &str, path: impl FnOnce() -> String) {
        if !text::is_plain(text) {
            self.add_not_plain(text, path());
        }
    }

    #[cold]
    fn add_not_plain(&mut self, text: &str, path: String) {
        if let Some((position, character)) = text::position(text) {
            let message = format!(
                "must be one line without control or bidirectional characters; character {position} is \
                 U+{:04X}",
                u32::from(character)
            );
            self.add(path, message);
        }
    }

    /// Records a problem unless `holds`.
    pub fn unless(
        &mut self,
        holds: bool,
        path: impl Into<String>,
        message: impl FnOnce() -> String,
    ) {
        if !holds {
            self.add(path, message());
        }
    }

    pub(crate) fn into_result(self) -> Result<(), Vec<SettingsProblem>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

/// Reads settings to judge by. They were checked long ago, so that the way to what does not fit is not
/// remembered: it would cost a decision a sixth more fuel.
pub(crate) fn parse<S: DeserializeOwned>(json: &str) -> Option<S> {
    is_object(json).then(|| serde_json::from_str(json).ok())?
}

/// Reads settings; the problem, if any, names the path to what does not fit.
pub(crate) fn explain<S: DeserializeOwned>(json: &str) -> Result<S, Vec<SettingsProblem>> {
    let mut problems = Problems::default();
    if !is_object(json) {
        problems.add("", "must be a JSON object");
        return Err(problems.0);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let (path, error) = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(settings) => match deserializer.end() {
            Ok(()) => return Ok(settings),
            Err(error) => (String::new(), error),
        },
        Err(error) => (error.path().to_string(), error.into_inner()),
    };
    // Text that is not JSON has line and column, but no path; the path to the whole is a dot.
    let whole = !error.is_data() || path == ".";
    problems.add(if whole { String::new() } else { path }, error.to_string());
    Err(problems.0)
}

/// Serde would also take the members of a structure from an array, in order.
fn is_object(json: &str) -> bool {
    json.trim_ascii_start().starts_with('{')
}

/// For an optional member that must not be `null`:
/// `#[serde(default, deserialize_with = "atropos_sdk::present")]`. Plain `Option` would read `null`
/// as absent, so that a limit could be switched off by accident.
///
/// # Errors
/// Those of `T`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Settings {
        #[expect(dead_code, reason = "only read from JSON")]
        windows: Vec<BTreeMap<String, u32>>,
        #[serde(default, deserialize_with = "present")]
        most_often: Option<u32>,
    }

    #[test]
    fn what_fits_is_read() {
        let json = r#"{"windows":[{"a":1}],"most-often":3}"#;
        let settings: Settings = explain(json).unwrap();
        assert_eq!(settings.most_often, Some(3));
        let settings: Settings = parse(json).unwrap();
        assert_eq!(settings.most_often, Some(3));
    }

    #[test]
    fn a_problem_names_the_path_and_what_is_expected() {
        for (json, path, message) in [
            (
                r#"{"windows":[{"a":1},{"b":-1}]}"#,
                "windows[1].b",
                "expected u32",
            ),
            (r#"{"windows":[{"a":1.5}]}"#, "windows[0].a", "expected u32"),
            (r#"{"windows":{}}"#, "windows", "expected a sequence"),
            (
                r#"{"windows":[],"most-often":null}"#,
                "most-often",
                "expected u32",
            ),
            (
                r#"{"windows":[],"most-oftne":1}"#,
                "most-oftne",
                "expected `windows` or `most-often`",
            ),
            (
                r#"{"windows":[],"windows":[]}"#,
                "",
                "duplicate field `windows`",
            ),
            ("{}", "", "missing field `windows`"),
            ("[[]]", "", "must be a JSON object"),
            ("{", "", "EOF while parsing an object at line 1 column 1"),
            ("", "", "must be a JSON object"),
            (r#"{"windows":[]} x"#, "", "trailing characters"),
        ] {
            assert!(parse::<Settings>(json).is_none(), "{json}");
            let problems = explain::<Settings>(json).unwrap_err();
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].path, path, "{json}: {}", problems[0].message);
            assert!(
                problems[0].message.contains(message),
                "{json}: {}",
                problems[0].message
            );
        }
    }

    #[test]
    fn path_and_message_are_escaped_and_cut() {
        let mut problems = Problems::default();
        problems.add("a\u{202e}".repeat(1000), "x\n".repeat(1000));
        let SettingsProblem { path, message } = &problems.0[0];
        assert_eq!(
            (path.len(), message.len()),
            (LONGEST_MESSAGE, LONGEST_MESSAGE)
        );
        assert!(path.starts_with("a\\u{202e}a") && message.starts_with("x\\nx"));
    }

    #[test]
    fn a_string_that_is_not_plain_is_named_with_the_position_of_its_character() {
        let mut problems = Problems::default();
        problems.plain("é, plain", || "a".to_owned());
        problems.plain("é\u{85}", || "b".to_owned());
        let [problem] = &problems.0[..] else {
            panic!("other problems: {problems:?}");
        };
        assert_eq!(problem.path, "b");
        assert!(
            problem.message.ends_with("; character 2 is U+0085"),
            "{}",
            problem.message
        );
    }
}
