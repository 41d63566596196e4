//! What the verbs of an author share: a policy from a file, ready to be asked, and its figures.

use std::path::Path;

use atropos::domain::PolicyLimits;
use atropos::guest::{Description, Judge, Sandbox, SettingsProblem};
use atropos_authoring::{Report, Tried};
use atropos_service::config::{Config, GuestLimits};

use crate::cli::Failure;
use crate::cli::bare::sandbox;
use crate::cli::component::{read, unusable};
use crate::cli::limits::{Limits, within_ceiling};

/// A policy that can be asked.
pub(crate) struct Asked {
    pub(crate) judge: Judge,
    pub(crate) limits: GuestLimits,
    pub(crate) description: Description,
    /// Its clock interrupts the policy.
    _sandbox: Sandbox,
}

/// Compiles the policy and asks what it says of itself.
pub(crate) async fn start(file: &Path, typed: Limits, config: Config) -> Result<Asked, Failure> {
    let typed = typed.over(PolicyLimits::default());
    within_ceiling(typed, &config)?;
    let limits = typed.over(config.policy);
    let bytes = read(file).await?;
    let sandbox = sandbox(&config)?;
    let failed = |error| unusable(file.display(), error);
    let judge = sandbox.judge(&bytes).await.map_err(failed)?;
    let description = judge.describe(limits).map_err(failed)?;
    Ok(Asked {
        judge,
        limits,
        description,
        _sandbox: sandbox,
    })
}

impl Asked {
    /// What the policy has against settings.
    pub(crate) fn problems(
        &self,
        file: &Path,
        settings: &str,
    ) -> Result<Vec<SettingsProblem>, Failure> {
        let problems = self.judge.validate(settings, self.limits);
        problems.map_err(|error| unusable(file.display(), error))
    }

    /// What became of its cases.
    pub(crate) fn report(&self, cases: Vec<Tried>) -> Report {
        Report::new(
            self.description.clone(),
            self.judge.digest(),
            PolicyLimits::of(self.limits),
            cases,
        )
    }
}

/// What was consumed, against what may be.
#[derive(Clone, Copy)]
pub(crate) struct Figures(pub(crate) GuestLimits);

impl Figures {
    /// Such as `2412 fuel (0.01 %)`.
    pub(crate) fn fuel(self, fuel: u64) -> String {
        format!("{fuel} fuel ({})", percent(fuel, self.0.fuel))
    }

    /// Such as `64 KiB (0.4 %)`.
    pub(crate) fn memory(self, bytes: u64) -> String {
        let share = percent(bytes, self.0.memory_bytes);
        format!("{} KiB ({share})", bytes >> 10)
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn percent(part: u64, whole: u64) -> String {
    format!("{:.2} %", 100.0 * part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_against_the_limits() {
        let figures = Figures(GuestLimits::default());
        assert_eq!(figures.fuel(2_000_000), "2000000 fuel (10.00 %)");
        assert_eq!(figures.memory(64 << 10), "64 KiB (0.39 %)");
    }
}
