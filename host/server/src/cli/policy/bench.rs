//! `policy bench`: what the decisions of a policy cost, and whether they cost more than they did.

use std::path::PathBuf;

use atropos_authoring::{self as author, Bench, Cost, Regression};
use atropos_service::config::Config;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::asking;
use crate::cli::Failure;
use crate::cli::limits::Limits;
use crate::cli::output::{Answer, Columns};

const COLUMNS: Columns = &[
    ("CASE", "/case"),
    ("FUEL", "/fuel"),
    ("MEMORY", "/memoryBytes"),
    ("MEDIAN µs", "/medianUs"),
    ("P99 µs", "/p99Us"),
    ("WORSE", "/worse"),
];

#[derive(Args, Debug)]
#[command(after_help = "\
Each case is asked many times, in a fresh instance each time. Fuel is the same on every machine, and
any more of it than before is a regression; of time, a median that is more than --threshold percent
above. Compare times only on the machine that saved them.

Exit status: 0 nothing is worse; 1 something is.

Examples:
  atropos policy bench retention.wasm --save before.json
  atropos policy bench retention.wasm --compare before.json --threshold 50")]
pub(crate) struct BenchArgs {
    /// The component, or a core module that can be made one (.wasm)
    file: PathBuf,
    /// Case files, and folders of case files (*.toml)
    #[arg(default_value = "cases")]
    cases: Vec<PathBuf>,
    /// How many times each case is asked
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with the figures in this file
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// By how many percent a median may be worse
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 100,
        requires = "compare"
    )]
    threshold: u32,
    #[command(flatten)]
    limits: Limits,
}

/// The figures, and what of them is worse.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    bench: &'a Bench,
    regressions: &'a [Regression],
}

/// A case as people see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    case: &'a str,
    #[serde(flatten)]
    cost: Cost,
    worse: Vec<String>,
}

pub(crate) async fn run(typed: BenchArgs, config: Config, json: bool) -> Result<(), Failure> {
    let cases = author::read(&typed.cases)?;
    let before = typed.compare.map(Bench::load).transpose()?;
    let asked = asking::start(&typed.file, typed.limits, config).await?;
    let bar = progress(cases.len());
    let measured = Bench::measure(
        &asked.judge,
        &asked.description.name,
        &cases,
        asked.limits,
        usize::try_from(typed.times).unwrap_or(usize::MAX),
        |done| bar.set_position(done as u64),
    );
    bar.finish_and_clear();
    let bench = measured?;
    if let Some(file) = &typed.save {
        let failed = |source| Failure::Io {
            what: format!("cannot write {}", file.display()),
            source,
        };
        let text = serde_json::to_string_pretty(&bench).map_err(|error| failed(error.into()))?;
        std::fs::write(file, text + "\n").map_err(failed)?;
    }
    let regressions = before.map(|before| bench.regressions(&before, typed.threshold));
    let regressions = regressions.unwrap_or_default();
    answer(&bench, &regressions)?.print(json)?;
    match regressions.len() {
        0 => Ok(()),
        worse => Err(Failure::Regressed { worse }),
    }
}

fn answer(bench: &Bench, regressions: &[Regression]) -> Result<Answer, Failure> {
    let line = |(case, cost): (&String, &Cost)| {
        let worse = regressions.iter().filter(|it| it.case == *case);
        let worse = worse.map(|it| format!("{} was {}", it.figure, it.before));
        serde_json::to_value(Line {
            case,
            cost: *cost,
            worse: worse.collect(),
        })
    };
    let lines: Vec<_> = bench.cases.iter().filter_map(|it| line(it).ok()).collect();
    let caption = format!("{}, {}", bench.policy, bench.digest);
    let shown = Shown { bench, regressions };
    Answer::parts(&shown, caption, "", COLUMNS)?.seen_as(&lines)
}

/// Drawn where stderr is a terminal, and nowhere else.
fn progress(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(cases as u64);
    match ProgressStyle::with_template("{bar:40} {pos} of {len} cases, {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
