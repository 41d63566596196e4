//! What was expected against what came, line by line.

use atropos::domain::decision::{Finding, FindingOutcome};
use atropos::guest::SettingsProblem;
use similar::{ChangeTag, TextDiff};

use super::case::Problem;
use super::trial::Difference;

/// A difference as people read it: a line that says what differs, and a diff of lists, in which `-`
/// was expected and `+` came.
pub fn diff(difference: &Difference) -> Vec<String> {
    match difference {
        Difference::Outcome { expected, actual } => {
            vec![format!("verdict: expected {expected}, was {actual}")]
        }
        Difference::Fuel { expected, actual } => {
            vec![format!("fuel: at most {expected}, was {actual}")]
        }
        Difference::Findings { expected, actual } => {
            let (expected, actual) = (lines(expected, finding), lines(actual, finding));
            titled("findings: - expected, + actual", &expected, &actual)
        }
        Difference::Problems { expected, actual } => {
            // Where the words do not matter, those that came are as good as any.
            let wanted = expected.iter().enumerate().map(|(place, problem)| {
                let came = actual.get(place).filter(|came| came.path == problem.path);
                wanted(problem, came)
            });
            let (wanted, actual) = (wanted.collect::<Vec<_>>(), lines(actual, problem));
            titled(
                "problems of the settings: - expected, + actual",
                &wanted,
                &actual,
            )
        }
        Difference::Settings { problems } => {
            let title = "the policy refuses the settings, so nobody would ask it under them:";
            titled(title, &[], &lines(problems, problem))
        }
        Difference::Failed { actual } => vec![actual.clone()],
    }
}

fn lines<T>(all: &[T], line: fn(&T) -> String) -> Vec<String> {
    all.iter().map(line).collect()
}

/// One finding on one line.
pub fn finding(finding: &Finding) -> String {
    let outcome = match finding.outcome {
        FindingOutcome::Passed => "passed",
        FindingOutcome::Failed => "failed",
        FindingOutcome::NotApplicable => "not-applicable",
    };
    format!("{} {outcome}: {}", finding.rule, finding.detail)
}

fn problem(problem: &SettingsProblem) -> String {
    described(&problem.path, &problem.message)
}

fn wanted(problem: &Problem, came: Option<&SettingsProblem>) -> String {
    let came = came.map_or("…", |came| &came.message);
    described(&problem.path, problem.message.as_deref().unwrap_or(came))
}

fn described(path: &str, message: &str) -> String {
    match path {
        "" => format!("(the whole): {message}"),
        path => format!("{path}: {message}"),
    }
}

fn titled(title: &str, expected: &[String], actual: &[String]) -> Vec<String> {
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    let actual: Vec<_> = actual.iter().map(String::as_str).collect();
    let mut lines = vec![title.to_owned()];
    for change in TextDiff::from_slices(&expected, &actual).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        lines.push(format!("  {sign} {}", change.value()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: &str, outcome: FindingOutcome) -> Finding {
        Finding {
            rule: rule.to_owned(),
            outcome,
            detail: "is 3".to_owned(),
        }
    }

    #[test]
    fn what_is_the_same_stands_between_what_is_not() {
        let difference = Difference::Findings {
            expected: vec![
                found("a", FindingOutcome::Passed),
                found("b", FindingOutcome::Passed),
            ],
            actual: vec![
                found("a", FindingOutcome::Passed),
                found("b", FindingOutcome::Failed),
                found("c", FindingOutcome::NotApplicable),
            ],
        };
        assert_eq!(
            diff(&difference),
            [
                "findings: - expected, + actual",
                "    a passed: is 3",
                "  - b passed: is 3",
                "  + b failed: is 3",
                "  + c not-applicable: is 3",
            ]
        );
    }

    #[test]
    fn words_that_do_not_matter_are_no_difference() {
        let problem = |path: &str| Problem {
            path: path.to_owned(),
            message: None,
        };
        let difference = Difference::Problems {
            expected: vec![problem("a"), problem("")],
            actual: vec![SettingsProblem {
                path: "a".to_owned(),
                message: "is bad".to_owned(),
            }],
        };
        assert_eq!(
            diff(&difference)[1..],
            ["    a: is bad", "  - (the whole): …"]
        );
    }
}
