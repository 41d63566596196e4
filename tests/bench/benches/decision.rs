//! One decision: may this photo go? Atropos beside a native closure and its peers.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
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
    /// Times the policy `retention` of this file, too; may be given several times.
    #[arg(long = "component", value_name = "NAME=FILE", value_parser = named)]
    components: Vec<(String, PathBuf)>,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn named(typed: &str) -> Result<(String, PathBuf)> {
    let (name, file) = typed.split_once('=').context("it is NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cases = facts::cases()?;
    let tables = cases.iter().map(|case| table(case, &arguments));
    let report = Report {
        machine: Machine::this(),
        rounds: arguments.rounds,
        tables: tables.collect::<Result<_>>()?,
    };
    report.print();
    arguments.json.map_or(Ok(()), |path| report.write(&path))
}

fn table(case: &Case, arguments: &Arguments) -> Result<Table> {
    let usual = variants::of(case);
    let usual = usual.map(|variant| Ok((variant.name.to_owned(), variant.ready(case)?)));
    let named = arguments.components.iter();
    let named = named.map(|(name, file)| {
        let decide = variants::component(name, file, case)?;
        Ok((name.clone(), decide))
    });
    let ready = usual.chain(named).collect::<Result<_>>()?;
    let timed = harness::time(ready, arguments.rounds);
    let title = format!("The rule {}:", case.name);
    Table::new(title, &timed, OURS, &GOALS)
}
