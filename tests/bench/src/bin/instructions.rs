//! Decides so many times and ends: what `guard` counts the instructions of.

use std::hint::black_box;

use anyhow::{Context, Result};
use atropos_bench::facts;
use atropos_bench::variants;
use clap::Parser;

/// Decides so many times and ends.
#[derive(Parser)]
struct Arguments {
    /// Which variant, as the table names it.
    variant: String,
    /// `allows` or `denies`.
    case: String,
    /// How many decisions.
    decisions: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cases = facts::cases()?;
    let case = cases.iter().find(|case| case.name == arguments.case);
    let case = case.context("no such case")?;
    let variant = variants::of(case).find(|variant| variant.name == arguments.variant);
    let mut decide = variant.context("no such variant")?.ready(case)?;
    for _ in 0..arguments.decisions {
        black_box(decide());
    }
    Ok(())
}
