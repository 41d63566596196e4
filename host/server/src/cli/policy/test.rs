//! `policy test`: a policy against cases.

use std::path::PathBuf;

use atropos::text::escape;
use atropos_authoring::{self as author, Report, Tried};
use atropos_service::config::Config;
use clap::Args;

use super::asking::{self, Figures};
use crate::cli::Failure;
use crate::cli::limits::Limits;
use crate::cli::output::Answer;

#[derive(Args, Debug)]
#[command(after_help = "\
A case file is TOML. Keys left out have the default that stands here; any other key is refused.

  settings = { … }            # of every case that has none of its own; a table, or JSON text

  [[case]]
  name = \"a photo of 3 days stays\"
  expect = \"deny\"             # or allow, or a fault: policy-trap, policy-fuel, policy-memory,
                              # policy-deadline, policy-oversized, policy-contradiction
  findings = [{ rule = \"minimum-age\", outcome = \"failed\", detail = \"…\" }]   # compared if given
  max-fuel = 10000            # none
  settings = { minimum-age-days = { photo = 30 } }     # {}
  request.tenant = \"acme\"
  request.at = 2026-01-01T00:00:00Z
  request.caller.kind = \"site-key\"                     # api-client for a document
  request.caller.id = \"caller\"
  request.caller.permissions = [\"photos:write\"]        # documents:write
  request.object.kind = \"photo\"                        # or document
  request.object.id = \"object\"
  request.object.owner = \"6\"
  request.object.version = 1
  request.object.size-bytes = 1024
  request.object.media-type = \"image/png\"              # application/pdf
  request.object.created-at = 2026-01-01T00:00:00Z     # the time of request.at
  request.object.labels = []
  request.object.retain-until = 2027-01-01T00:00:00Z   # none

  [[case]]
  name = \"a minimum of nothing is refused\"
  settings = { minimum-age-days = {} }
  problems = [{ path = \"minimum-age-days\", message = \"…\" }]   # without message: in any words

Exit status: 0 every case passed; 1 one did not; 2 a case makes no sense.

Examples:
  atropos policy test retention.wasm
  atropos policy test retention.wasm cases/young.toml --junit report.xml
  atropos policy test python-policy.wasm --memory 64MiB")]
pub(crate) struct Test {
    /// The component, or a core module that can be made one (.wasm)
    file: PathBuf,
    /// Case files, and folders of case files (*.toml)
    #[arg(default_value = "cases")]
    cases: Vec<PathBuf>,
    /// Also write a report in JUnit's XML here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    limits: Limits,
}

pub(crate) async fn run(typed: Test, config: Config, json: bool) -> Result<(), Failure> {
    let cases = author::read(&typed.cases)?;
    let asked = asking::start(&typed.file, typed.limits, config).await?;
    let tried = cases
        .iter()
        .map(|case| author::try_case(&asked.judge, case, asked.limits));
    let report = asked.report(tried.collect());
    if let Some(file) = &typed.junit {
        let failed = |source| Failure::Io {
            what: format!("cannot write {}", file.display()),
            source,
        };
        let xml = author::junit(&report).map_err(failed)?;
        std::fs::write(file, xml).map_err(failed)?;
    }
    Answer::line(&report, text(&report, Figures(asked.limits)))?.print(json)?;
    match report.failed {
        0 => Ok(()),
        failed => Err(Failure::CasesFailed {
            failed,
            of: report.cases.len(),
        }),
    }
}

fn text(report: &Report, figures: Figures) -> String {
    let widest = report
        .cases
        .iter()
        .map(|case| escape(&case.name).chars().count());
    let width = widest.max().unwrap_or(0).min(72);
    let mut lines: Vec<_> = report
        .cases
        .iter()
        .flat_map(|case| lines(case, width, figures))
        .collect();
    let (fuel, memory) = (
        figures.fuel(report.most(|decided| decided.fuel)),
        figures.memory(report.most(|decided| decided.memory_bytes)),
    );
    lines.push(format!(
        "{} {}: {} passed, {} failed; at most {fuel} and {memory}",
        escape(&report.policy.name),
        escape(&report.policy.version),
        report.passed,
        report.failed,
    ));
    lines.join("\n")
}

fn lines(case: &Tried, width: usize, figures: Figures) -> Vec<String> {
    let name = escape(&case.name);
    let spent = match &case.decided {
        Some(decided) => format!(
            "  {}, {}, {} µs",
            figures.fuel(decided.fuel),
            figures.memory(decided.memory_bytes),
            decided.duration_us
        ),
        None => String::new(),
    };
    if case.passed {
        return vec![format!("ok    {name:<width$}{spent}").trim_end().to_owned()];
    }
    let mut lines = vec![format!("FAIL  {name:<width$}{spent}  {}", case.place)];
    let differences = case.differences.iter().flat_map(author::diff);
    lines.extend(differences.map(|line| format!("        {}", escape(&line))));
    lines
}
