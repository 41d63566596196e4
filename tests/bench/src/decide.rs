//! One variant alone, for a tool that counts what it does.

use std::hint::black_box;

use anyhow::{Context, Result};
use clap::Args;

use crate::{facts, sandbox, variants};

/// Which, how, how often.
#[derive(Args)]
pub(crate) struct Decide {
    /// Which variant, as the table names it
    variant: String,
    /// `allows` or `denies`
    case: String,
    /// How many decisions
    decisions: u32,
}

impl Decide {
    pub(crate) fn run(self) -> Result<()> {
        sandbox::one_at_a_time();
        let cases = facts::cases()?;
        let case = cases.iter().find(|case| case.name == self.case);
        let case = case.context("no such case")?;
        let variant = variants::of(case).find(|variant| variant.name == self.variant);
        let mut decide = variant.context("no such variant")?.ready(case)?;
        for _ in 0..self.decisions {
            black_box(decide());
        }
        Ok(())
    }
}
