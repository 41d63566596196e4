//! One decision: may this photo go? Atropos beside a native closure and its peers.

use std::path::PathBuf;

use anyhow::Result;
use atropos_bench::facts::{self, Case};
use atropos_bench::harness;
use atropos_bench::machine::Machine;
use atropos_bench::table::{Goal, Report, Table};
use atropos_bench::variants::{self, CEDAR_BUILT, CEDAR_PREBUILT, OURS, REGORUS_JSON};
use clap::{Parser, value_parser};

const GOALS: [Goal; 3] = [
    goal(CEDAR_BUILT, 0.6),
    goal(REGORUS_JSON, 0.5),
    goal(CEDAR_PREBUILT, 1.0),
];

const fn goal(peer: &'static str, at_most: f64) -> Goal {
    Goal {
        ours: OURS,
        peer,
        at_most,
    }
}

/// Times one decision, ours and the peers' side by side.
#[derive(Parser)]
struct Arguments {
    /// How often the batch of each variant runs; a batch takes about 3 ms.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// Writes the outcome to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cases = facts::cases()?;
    let tables = cases.iter().map(|case| table(case, arguments.rounds));
    let report = Report {
        machine: Machine::this(),
        rounds: arguments.rounds,
        tables: tables.collect::<Result<_>>()?,
    };
    report.print();
    arguments.json.map_or(Ok(()), |path| report.write(&path))
}

fn table(case: &Case, rounds: u32) -> Result<Table> {
    let ready = variants::of(case).map(|variant| Ok((variant.name, variant.ready(case)?)));
    let timed = harness::time(ready.collect::<Result<_>>()?, rounds);
    let title = format!("The rule {}:", case.name);
    Table::new(title, &timed, OURS, &GOALS)
}
