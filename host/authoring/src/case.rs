//! Cases: what a policy is asked, and what it must answer.
//!
//! ```toml
//! # What every case of this file gets that has no settings of its own.
//! settings = { minimum-age-days = { photo = 30 } }
//!
//! [[case]]
//! name = "a photo of 3 days stays"
//! request = { at = 2026-01-31T00:00:00Z, object = { created-at = 2026-01-28T00:00:00Z } }
//! expect = "deny"
//! findings = [{ rule = "minimum-age", outcome = "failed", detail = "…" }]
//! max-fuel = 10000
//!
//! [[case]]
//! name = "a minimum of nothing is refused"
//! settings = '{"minimum-age-days":{}}'
//! problems = [{ path = "minimum-age-days" }]
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use atropos::domain::decision::{Finding, Question};
use atropos::error::FaultKind;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::request;
use super::written::{Found, Settings};

/// What a policy is given where a case has no settings.
const NO_SETTINGS: &str = "{}";

/// One question to a policy, and the answer it must give.
#[derive(Clone, Debug)]
pub struct Case {
    /// One sentence.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The JSON text that the policy is given.
    pub settings: String,
    /// What it is asked.
    pub asked: Asked,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What a case asks.
#[derive(Clone, Debug)]
pub enum Asked {
    /// To judge a request.
    Review(Box<Review>),
    /// To check the settings, with exactly these problems.
    Settings(Vec<Problem>),
}

/// A request to be judged, and the judgement.
#[derive(Clone, Debug)]
pub struct Review {
    /// What is to be judged.
    pub question: Question,
    /// `allow`, `deny`, or the code of a fault.
    pub expect: String,
    /// What led to it, in order; `None` if that does not matter.
    pub findings: Option<Vec<Finding>>,
    /// The most fuel it may take.
    pub max_fuel: Option<u64>,
}

/// A problem that settings must have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Where, as a dotted path; empty for the whole.
    pub path: String,
    /// In which words; `None` if they do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Why cases cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file or folder is not there, or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without a case file, or a file without a case.
    #[error("{} has no {wanted}", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Something in a file makes no sense.
    #[error("{place}: {message}")]
    Form {
        /// Where.
        place: Place,
        /// What, and what is expected instead.
        message: String,
    },
}

/// The words that `expect` may be.
fn outcomes() -> impl Iterator<Item = &'static str> {
    let faults = [
        FaultKind::Trap,
        FaultKind::Fuel,
        FaultKind::Deadline,
        FaultKind::Memory,
        FaultKind::Oversized,
        FaultKind::Contradiction,
    ];
    let codes = faults.map(FaultKind::of_policy);
    ["allow", "deny"].into_iter().chain(codes)
}

/// Reads the cases of files, and of the files `*.toml` in folders, in the order of their names.
///
/// # Errors
/// The first thing that cannot be read or makes no sense.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Case>, CaseError> {
    let mut cases = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = std::fs::read_to_string(&file).map_err(unreadable(&file))?;
            cases.extend(parse(&file, &text)?);
        }
    }
    Ok(cases)
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> CaseError {
    move |source| CaseError::Read {
        path: path.to_owned(),
        source,
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, CaseError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(unreadable(path))? {
        let file = entry.map_err(unreadable(path))?.path();
        if file.extension().is_some_and(|end| end == "toml") {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(CaseError::Empty {
            path: path.to_owned(),
            wanted: "case file (`*.toml`)",
        }),
        false => Ok(files),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileForm {
    settings: Option<Settings>,
    #[serde(default)]
    case: Vec<CaseForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CaseForm {
    name: Spanned<String>,
    settings: Option<Settings>,
    request: Option<request::Form>,
    expect: Option<Spanned<String>>,
    findings: Option<Vec<Found>>,
    max_fuel: Option<u64>,
    problems: Option<Vec<Problem>>,
}

fn parse(file: &Path, text: &str) -> Result<Vec<Case>, CaseError> {
    let place = |at: usize| Place {
        file: file.to_owned(),
        line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
    };
    let form: FileForm = toml::from_str(text).map_err(|error| CaseError::Form {
        place: place(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    if form.case.is_empty() {
        return Err(CaseError::Empty {
            path: file.to_owned(),
            wanted: "`[[case]]`",
        });
    }
    let settings = form.settings.map(Settings::into_text);
    let settings = settings.unwrap_or_else(|| NO_SETTINGS.to_owned());
    let cases = form.case.into_iter();
    cases.map(|case| meant(case, &settings, place)).collect()
}

/// From what was written to what is meant.
fn meant(
    form: CaseForm,
    settings: &str,
    place: impl Fn(usize) -> Place,
) -> Result<Case, CaseError> {
    let stands = place(form.name.span().start);
    let wrong = |place: &Place, message: &str| CaseError::Form {
        place: place.clone(),
        message: message.to_owned(),
    };
    let asked = match (form.expect, form.problems) {
        (Some(expect), None) => {
            if !outcomes().any(|known| known == expect.get_ref()) {
                let known = outcomes().collect::<Vec<_>>().join("`, `");
                let message = format!("`expect` must be one of `{known}`");
                return Err(wrong(&place(expect.span().start), &message));
            }
            Asked::Review(Box::new(Review {
                question: form.request.unwrap_or_default().into(),
                expect: expect.into_inner(),
                findings: form
                    .findings
                    .map(|all| all.into_iter().map(Finding::from).collect()),
                max_fuel: form.max_fuel,
            }))
        }
        (None, Some(problems)) => {
            let judged = form.request.is_some() || form.findings.is_some();
            if judged || form.max_fuel.is_some() {
                let message = "with `problems` the settings alone are checked: leave out \
                               `request`, `findings` and `max-fuel`";
                return Err(wrong(&stands, message));
            }
            Asked::Settings(problems)
        }
        _ => {
            let message = "a case needs either `expect`, for a request to be judged, or \
                           `problems`, for settings to be checked";
            return Err(wrong(&stands, message));
        }
    };
    Ok(Case {
        name: form.name.into_inner(),
        place: stands,
        settings: form
            .settings
            .map_or_else(|| settings.to_owned(), Settings::into_text),
        asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(text: &str) -> Result<Vec<Case>, CaseError> {
        parse(Path::new("cases/a.toml"), text)
    }

    #[test]
    fn a_case_needs_a_name_and_an_expectation() {
        let read = cases("[[case]]\nname = \"x\"\nexpect = \"allow\"\n").unwrap();
        assert_eq!(read[0].settings, "{}");
        assert_eq!(read[0].place.to_string(), "cases/a.toml:2");
        let Asked::Review(review) = &read[0].asked else {
            panic!("it is to be judged");
        };
        assert_eq!((review.expect.as_str(), &review.findings), ("allow", &None));
    }

    #[test]
    fn the_settings_of_a_file_are_those_of_its_cases_unless_they_have_their_own() {
        let read = cases(
            "settings = { a = 1 }\n\
             [[case]]\nname = \"x\"\nexpect = \"allow\"\n\
             [[case]]\nname = \"y\"\nsettings = '{'\nproblems = [{ path = \"\" }]\n",
        );
        let settings: Vec<_> = read
            .unwrap()
            .into_iter()
            .map(|case| case.settings)
            .collect();
        assert_eq!(settings, [r#"{"a":1}"#, "{"]);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line_and_with_what_would() {
        let good = "[[case]]\nname = \"x\"\n";
        for (line, at, words) in [
            (
                "verdict = \"deny\"",
                3,
                "unknown field `verdict`, expected one of `name`",
            ),
            (
                "expect = \"denied\"",
                3,
                "must be one of `allow`, `deny`, `policy-trap`",
            ),
            (
                "request.object.age = 3",
                3,
                "unknown field `age`, expected one of `kind`",
            ),
            ("expect = 3", 3, "expected a string"),
            ("findings = []", 2, "needs either `expect`"),
            (
                "expect = \"deny\"\nproblems = []",
                2,
                "needs either `expect`",
            ),
            ("problems = []\nmax-fuel = 3", 2, "leave out `request`"),
            ("request.at = 2026-01-01", 3, "a time such as"),
            ("request.tenant = \"-\"", 3, "subdomain must be a DNS label"),
            ("expect = ", 3, ""),
        ] {
            let error = cases(&format!("{good}{line}\n")).unwrap_err().to_string();
            let place = format!("cases/a.toml:{at}: ");
            assert!(
                error.starts_with(&place) && error.contains(words),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn a_file_without_cases_is_no_success() {
        let error = cases("# nothing yet").unwrap_err();
        assert_eq!(error.to_string(), "cases/a.toml has no `[[case]]`");
    }
}
