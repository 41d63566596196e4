//! Whole servers side by side: in each round every entrant deletes as many objects for as many clients,
//! beginning with another entrant each time. Ratios are taken within a round.

use std::borrow::Cow;
use std::path::Path;
use std::{fmt, fs};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::barrier;
use crate::harness::{Spread, Timed};
use crate::load::Seen;
use crate::machine::{self, Machine};

/// Deletes so many objects for so many clients, and tells what these saw.
pub(crate) type Drive<'a> = Box<dyn FnMut(Heat) -> Result<Seen> + 'a>;

/// What an entrant does at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heat {
    /// How many ask at once.
    pub clients: usize,
    /// How many objects they delete together.
    pub deletes: u64,
}

impl fmt::Display for Heat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, deletes } = self;
        let plural = if *clients == 1 { "" } else { "s" };
        write!(f, "{clients} client{plural}, {deletes} deletes a round")
    }
}

/// What is compared.
pub(crate) struct Entrant<'a> {
    /// How the table names it.
    pub name: String,
    /// Has it delete.
    pub drive: Drive<'a>,
    /// Its process, if it has one of its own.
    pub pid: Option<u32>,
}

/// What must show.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// At which number of clients.
    pub clients: usize,
    /// What is compared.
    pub figure: Figure,
    /// The entrant.
    pub ours: Cow<'static, str>,
    /// What it is held against.
    pub peer: Cow<'static, str>,
    /// Which ratio it must keep to.
    pub bound: Bound,
}

/// Of what a heat shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Figure {
    /// Deletes a second.
    Throughput,
    /// Of each request, in milliseconds.
    P50,
    /// Of each request, in milliseconds.
    P99,
}

/// A limit for a ratio.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    /// It is met from here on.
    AtLeast(f64),
    /// It is met up to here.
    AtMost(f64),
}

/// All of one run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    machine: Machine,
    rounds: u32,
    /// How much longer a barrier takes than the disk asks for.
    barrier_ms: u64,
    /// One for each heat.
    pub tables: Vec<Table>,
}

/// Those who ran in one heat.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Table {
    title: String,
    /// What there is more and more of, if that is what is compared.
    pub axis: Option<String>,
    clients: usize,
    each_round: u64,
    /// One each.
    pub rows: Vec<Row>,
    goals: Vec<Outcome>,
}

/// What an entrant showed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// The entrant's.
    pub name: String,
    throughput: Cell,
    /// Of each request.
    pub p50_ms: Cell,
    /// Of each request.
    pub p99_ms: Cell,
    /// What its process has in memory, if it has one of its own.
    pub resident_mib: Option<u64>,
}

/// A figure, and its ratio to that of the first entrant.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Cell {
    /// In all rounds.
    pub value: Spread,
    ratio: Spread,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    what: String,
    bound: Bound,
    ratio: Spread,
    met: bool,
}

/// What one entrant showed in all rounds.
struct Shown {
    name: String,
    pid: Option<u32>,
    throughput: Timed,
    p50: Timed,
    p99: Timed,
}

impl Shown {
    fn new(name: &str, pid: Option<u32>) -> Self {
        let figure = || Timed {
            name: String::new(),
            batch: 1,
            nanos: Vec::new(),
        };
        Self {
            name: name.to_owned(),
            pid,
            throughput: figure(),
            p50: figure(),
            p99: figure(),
        }
    }

    fn add(&mut self, mut seen: Seen) -> Result<()> {
        seen.latencies.sort_unstable();
        let of_100 = |part: usize| {
            let at = (seen.latencies.len() * part).div_ceil(100).max(1) - 1;
            let latency = seen.latencies.get(at).context("nothing was deleted");
            latency.map(|latency| latency.as_secs_f64() * 1e3)
        };
        let (p50, p99) = (of_100(50)?, of_100(99)?);
        let rate = seen.latencies.len() as f64 / seen.took.as_secs_f64();
        self.throughput.nanos.push(rate);
        self.p50.nanos.push(p50);
        self.p99.nanos.push(p99);
        Ok(())
    }

    fn figure(&self, figure: Figure) -> &Timed {
        match figure {
            Figure::Throughput => &self.throughput,
            Figure::P50 => &self.p50,
            Figure::P99 => &self.p99,
        }
    }
}

/// Lets them run.
///
/// # Errors
/// An entrant failed.
pub(crate) fn run(
    mut entrants: Vec<Entrant<'_>>,
    heats: &[Heat],
    rounds: u32,
    goals: &[Goal],
) -> Result<Report> {
    let mut tables = Vec::new();
    for heat in heats {
        let mut shown: Vec<_> = entrants
            .iter()
            .map(|it| Shown::new(&it.name, it.pid))
            .collect();
        for round in 0..rounds as usize {
            for turn in 0..entrants.len() {
                let at = (round + turn) % entrants.len();
                let entrant = &mut entrants[at];
                let seen = (entrant.drive)(*heat);
                shown[at].add(seen.with_context(|| entrant.name.clone())?)?;
            }
        }
        tables.push(table(*heat, &shown, goals)?);
    }
    Ok(Report {
        tables,
        ..Report::new(rounds)
    })
}

/// The table of what was seen elsewhere, one row each.
///
/// # Errors
/// Nothing was seen.
pub(crate) fn side_by_side(
    title: String,
    heat: Heat,
    rows: impl Iterator<Item = (String, Vec<Seen>)>,
) -> Result<Table> {
    let mut shown = Vec::new();
    for (name, seen) in rows {
        let mut one = Shown::new(&name, None);
        seen.into_iter().try_for_each(|seen| one.add(seen))?;
        shown.push(one);
    }
    let table = table(heat, &shown, &[])?;
    Ok(Table { title, ..table })
}

fn table(heat: Heat, shown: &[Shown], goals: &[Goal]) -> Result<Table> {
    let first = shown.first().context("nobody runs")?;
    let row = |one: &Shown| {
        let cell = |figure| Cell {
            value: one.figure(figure).spread(),
            ratio: one.figure(figure).over(first.figure(figure)),
        };
        Row {
            name: one.name.clone(),
            throughput: cell(Figure::Throughput),
            p50_ms: cell(Figure::P50),
            p99_ms: cell(Figure::P99),
            resident_mib: one.pid.and_then(machine::resident_mib),
        }
    };
    let find = |name: &str| {
        let found = shown.iter().find(|one| one.name == name);
        found.with_context(|| format!("{name} did not run"))
    };
    let goals = goals.iter().filter(|goal| goal.clients == heat.clients);
    let outcome = |goal: &Goal| {
        let (ours, peer) = (find(&goal.ours)?, find(&goal.peer)?);
        let ratio = ours.figure(goal.figure).over(peer.figure(goal.figure));
        Ok(Outcome {
            what: format!("{:?} of {} / {}", goal.figure, goal.ours, goal.peer),
            bound: goal.bound,
            ratio,
            met: match goal.bound {
                Bound::AtLeast(least) => ratio.median >= least,
                Bound::AtMost(most) => ratio.median <= most,
            },
        })
    };
    Ok(Table {
        title: heat.to_string(),
        axis: None,
        clients: heat.clients,
        each_round: heat.deletes,
        rows: shown.iter().map(row).collect(),
        goals: goals.map(outcome).collect::<Result<_>>()?,
    })
}

impl Report {
    /// Of nothing yet.
    pub(crate) fn new(rounds: u32) -> Self {
        Self {
            machine: Machine::this(),
            rounds,
            barrier_ms: barrier::longer_ms(),
            tables: Vec::new(),
        }
    }

    /// Says what there is more and more of.
    pub(crate) fn entitle(&mut self, axis: &str) {
        for table in &mut self.tables {
            table.title = format!("More {axis}: {}", table.title);
            table.axis = Some(axis.to_owned());
        }
    }

    /// Takes over the tables of another.
    pub(crate) fn extend(&mut self, other: Self) {
        self.tables.extend(other.tables);
    }

    /// As Markdown, on stdout.
    pub(crate) fn print(&self) {
        println!("{}; {} rounds", self.machine, self.rounds);
        if self.barrier_ms > 0 {
            println!("Each barrier takes {} ms longer.", self.barrier_ms);
        }
        for table in &self.tables {
            println!("\n{}\n", table.title);
            println!("| | a second | × | p50 ms | × | p99 ms | × | MiB |");
            println!("|---|--:|--:|--:|--:|--:|--:|--:|");
            for row in &table.rows {
                let Row {
                    name,
                    throughput,
                    p50_ms,
                    p99_ms,
                    resident_mib,
                } = row;
                let resident = resident_mib.map_or("-".to_owned(), |mib| mib.to_string());
                println!(
                    "| {name} | {:.0} | {} | {:.2} | {} | {:.2} | {} | {resident} |",
                    throughput.value.median,
                    throughput.ratio,
                    p50_ms.value.median,
                    p50_ms.ratio,
                    p99_ms.value.median,
                    p99_ms.ratio,
                );
            }
            println!();
            for goal in &table.goals {
                let met = if goal.met { "met" } else { "NOT met" };
                let bound = match goal.bound {
                    Bound::AtLeast(least) => format!("at least {least:.2}"),
                    Bound::AtMost(most) => format!("at most {most:.2}"),
                };
                println!("- {}: {}, {bound}: {met}", goal.what, goal.ratio);
            }
        }
    }

    /// As JSON, to `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))
    }
}
