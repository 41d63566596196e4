//! What the policies of a tenant may consume, as it is typed.

use atropos::domain::PolicyLimits;
use atropos_service::config::Config;
use clap::Args;

use super::{Failure, values};

/// What each policy may consume per call.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Instructions that each policy may execute per call, in wasmtime's units
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fuel: Option<u64>,
    /// Memory that each policy may have, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = values::size_bytes)]
    memory: Option<u64>,
    /// Time that each policy may take per call, such as 500ms
    #[arg(long, value_name = "TIME", value_parser = values::duration_ms)]
    deadline: Option<u64>,
}

impl Limits {
    /// What was typed, and what stands in `rest` for everything else.
    pub(crate) fn over(self, rest: PolicyLimits) -> PolicyLimits {
        PolicyLimits {
            fuel: self.fuel.or(rest.fuel),
            deadline_ms: self.deadline.or(rest.deadline_ms),
            memory_bytes: self.memory.or(rest.memory_bytes),
            transfer_bytes: rest.transfer_bytes,
        }
    }
}

/// Refuses limits that the host would not give.
pub(crate) fn within_ceiling(limits: PolicyLimits, config: &Config) -> Result<(), Failure> {
    let checked = limits.check(config.allowance());
    checked.map_err(|error| Failure::Usage(error.to_string()))
}
