//! The outcome of one run, for people and for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::harness::{Spread, Timed};
use crate::machine::Machine;

/// All of one run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// On what it ran.
    pub machine: Machine,
    /// How often each variant's batch ran.
    pub rounds: u32,
    /// A table for each.
    pub tables: Vec<Table>,
}

/// Variants that were timed side by side.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// What they were asked.
    pub title: String,
    /// One each.
    pub rows: Vec<Row>,
    /// What must show.
    pub goals: Vec<Outcome>,
}

/// A variant beside the one that all are compared with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    name: String,
    /// How many decisions one time is the mean of.
    batch: u32,
    nanos: Spread,
    /// How many times as long as the reference it took.
    ratio: Spread,
}

/// A ratio that must not be exceeded.
pub struct Goal {
    /// The variant.
    pub ours: &'static str,
    /// What it is held against.
    pub peer: &'static str,
    /// How many times as long it may take.
    pub at_most: f64,
}

/// A goal and how far we are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    what: String,
    at_most: f64,
    ratio: Spread,
    met: bool,
}

impl Table {
    /// Compares all with `reference`.
    ///
    /// # Errors
    /// `reference` or a variant that a goal names was not timed.
    pub fn new(title: String, timed: &[Timed], reference: &str, goals: &[Goal]) -> Result<Self> {
        let find = |name: &str| {
            let found = timed.iter().find(|timed| timed.name == name);
            found.with_context(|| format!("{name} was not timed"))
        };
        let reference = find(reference)?;
        let row = |timed: &Timed| Row {
            name: timed.name.clone(),
            batch: timed.batch,
            nanos: timed.spread(),
            ratio: timed.over(reference),
        };
        let outcome = |goal: &Goal| {
            let ratio = find(goal.ours)?.over(find(goal.peer)?);
            Ok(Outcome {
                what: format!("{} / {}", goal.ours, goal.peer),
                at_most: goal.at_most,
                ratio,
                met: ratio.median <= goal.at_most,
            })
        };
        Ok(Self {
            title,
            rows: timed.iter().map(row).collect(),
            goals: goals.iter().map(outcome).collect::<Result<_>>()?,
        })
    }
}

impl Report {
    /// As Markdown, on stdout.
    pub fn print(&self) {
        println!("{}; {} rounds", self.machine, self.rounds);
        for table in &self.tables {
            println!("\n{}\n", table.title);
            println!("| variant | × ours | quartiles | µs | quartiles |");
            println!("|---|--:|--:|--:|--:|");
            for row in &table.rows {
                let (ratio, nanos) = (row.ratio, row.nanos);
                println!(
                    "| {} | {:.2} | {:.2}–{:.2} | {:.2} | {:.2}–{:.2} |",
                    row.name,
                    ratio.median,
                    ratio.lower,
                    ratio.upper,
                    nanos.median / 1e3,
                    nanos.lower / 1e3,
                    nanos.upper / 1e3,
                );
            }
            println!();
            for goal in &table.goals {
                let met = if goal.met { "met" } else { "NOT met" };
                println!(
                    "- {}: {}, at most {:.2}: {met}",
                    goal.what, goal.ratio, goal.at_most,
                );
            }
        }
    }

    /// As JSON, to `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))
    }
}
