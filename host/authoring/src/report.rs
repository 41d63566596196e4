//! What became of all cases together.

use atropos::domain::PolicyLimits;
use atropos::guest::Description;
use atropos::target::Digest;
use serde::Serialize;

use super::trial::{Decided, Tried};

/// The outcome of a run of cases against one policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the policy says of itself.
    pub policy: Description,
    /// Which component it is.
    pub digest: Digest,
    /// What each decision might have consumed.
    pub limits: PolicyLimits,
    /// How many cases came out as expected.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Every case, in the order of the files.
    pub cases: Vec<Tried>,
}

impl Report {
    /// Counts.
    pub fn new(
        policy: Description,
        digest: Digest,
        limits: PolicyLimits,
        cases: Vec<Tried>,
    ) -> Self {
        let passed = cases.iter().filter(|case| case.passed).count();
        Self {
            policy,
            digest,
            limits,
            passed,
            failed: cases.len() - passed,
            cases,
        }
    }

    /// The largest of a figure over all decisions.
    pub fn most(&self, figure: fn(&Decided) -> u64) -> u64 {
        let decided = self.cases.iter().filter_map(|case| case.decided.as_ref());
        decided.map(figure).max().unwrap_or(0)
    }
}
