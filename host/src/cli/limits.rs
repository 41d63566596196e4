//! What one call into a component may consume, as typed.

use clap::Args;

use super::{Failure, values};
use crate::config::Config;

/// Limits that are typed over the configured ones.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Fuel of one call, in wasmtime's units [default: as configured, or 20000000]
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Memory of one call, such as `64MiB` [default: as configured, or 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    memory: Option<u64>,
    /// Time of one call, such as `2s` [default: as configured, or 250ms]
    #[arg(long, value_name = "TIME", value_parser = values::duration_ms)]
    deadline: Option<u64>,
}

impl Limits {
    /// Sets them for policies.
    ///
    /// # Errors
    /// One is outside its range.
    pub(crate) fn over(self, mut config: Config) -> Result<Config, Failure> {
        let limits = &mut config.policy;
        limits.fuel = self.fuel.unwrap_or(limits.fuel);
        limits.memory_bytes = self.memory.unwrap_or(limits.memory_bytes);
        limits.deadline_ms = self.deadline.unwrap_or(limits.deadline_ms);
        config.check()?;
        Ok(config)
    }
}
