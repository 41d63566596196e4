//! One case, tried: the policy is asked, and its answer held against what was expected.

use atropos::config::GuestLimits;
use atropos::domain::decision::Finding;
use atropos::guest::{GuestError, Judge, Run, SettingsProblem};
use atropos::text::escape;
use serde::Serialize;

use super::case::{Asked, Case, Place, Problem, Review};

/// What became of a case.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// The case's sentence.
    pub name: String,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Whether the answer was the expected one.
    pub passed: bool,
    /// Every way in which it was not.
    pub differences: Vec<Difference>,
    /// The decision, where one was asked for.
    #[serde(flatten)]
    pub decided: Option<Decided>,
}

/// One decision of a policy, and what it cost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// `allow`, `deny`, or the code of a fault.
    pub outcome: &'static str,
    /// What led to it.
    pub findings: Vec<Finding>,
    /// In wasmtime's units; the same on every machine.
    pub fuel: u64,
    /// The most memory it had.
    pub memory_bytes: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

impl From<Run> for Decided {
    fn from(run: Run) -> Self {
        Self {
            outcome: run.outcome(),
            findings: run.findings().to_vec(),
            fuel: run.fuel,
            memory_bytes: run.memory_bytes,
            duration_us: run.duration_us,
        }
    }
}

/// One way in which an answer is not the expected one.
#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Difference {
    /// Another verdict.
    Outcome {
        /// What the case says.
        expected: String,
        /// What the policy said.
        actual: &'static str,
    },
    /// Other findings.
    Findings {
        /// What the case says.
        expected: Vec<Finding>,
        /// What the policy said.
        actual: Vec<Finding>,
    },
    /// More fuel than the case allows.
    Fuel {
        /// What the case says.
        expected: u64,
        /// What it took.
        actual: u64,
    },
    /// Other problems with the settings.
    Problems {
        /// What the case says.
        expected: Vec<Problem>,
        /// What the policy said.
        actual: Vec<SettingsProblem>,
    },
    /// The policy refuses the settings under which it was to judge. No host would ask it so.
    Settings {
        /// What the policy said.
        problems: Vec<SettingsProblem>,
    },
    /// The policy failed at checking the settings.
    Failed {
        /// How.
        actual: String,
    },
}

/// What the policy has against settings.
///
/// # Errors
/// It fails, in words.
pub fn settings_of(
    judge: &Judge,
    settings: &str,
    limits: GuestLimits,
) -> Result<Vec<SettingsProblem>, String> {
    let problems = judge.validate(settings, limits);
    problems.map_err(|error| match error {
        GuestError::Call { function, kind, .. } => {
            format!("`{function}` failed: {}", kind.of_policy())
        }
        other => other.to_string(),
    })
}

/// Asks the policy what a case asks.
pub fn try_case(judge: &Judge, case: &Case, limits: GuestLimits) -> Tried {
    let problems = settings_of(judge, &case.settings, limits);
    let (decided, differences) = match (&case.asked, problems) {
        (_, Err(actual)) => (None, vec![Difference::Failed { actual }]),
        (Asked::Settings(expected), Ok(actual)) => {
            let expected = expected.clone();
            match same_problems(&expected, &actual) {
                true => (None, Vec::new()),
                false => (None, vec![Difference::Problems { expected, actual }]),
            }
        }
        (Asked::Review(_), Ok(problems)) if !problems.is_empty() => {
            (None, vec![Difference::Settings { problems }])
        }
        (Asked::Review(review), Ok(_)) => {
            let run = judge.ask(&review.question, &case.settings, limits);
            let decided = Decided::from(run);
            let differences = differences(review, &decided);
            (Some(decided), differences)
        }
    };
    Tried {
        name: case.name.clone(),
        place: case.place.clone(),
        passed: differences.is_empty(),
        differences,
        decided,
    }
}

fn differences(expected: &Review, actual: &Decided) -> Vec<Difference> {
    let mut differences = Vec::new();
    if actual.outcome != expected.expect {
        differences.push(Difference::Outcome {
            expected: expected.expect.clone(),
            actual: actual.outcome,
        });
    }
    if let Some(findings) = &expected.findings
        && *findings != actual.findings
    {
        differences.push(Difference::Findings {
            expected: findings.clone(),
            actual: actual.findings.clone(),
        });
    }
    if let Some(most) = expected.max_fuel
        && actual.fuel > most
    {
        differences.push(Difference::Fuel {
            expected: most,
            actual: actual.fuel,
        });
    }
    differences
}

/// A case may write a harmful character itself or its escape form, in which the host has it.
fn same_problems(expected: &[Problem], actual: &[SettingsProblem]) -> bool {
    let same = |(expected, actual): (&Problem, &SettingsProblem)| {
        let message = expected.message.as_ref();
        escape(&expected.path) == actual.path
            && message.is_none_or(|message| escape(message) == actual.message)
    };
    expected.len() == actual.len() && expected.iter().zip(actual).all(same)
}
