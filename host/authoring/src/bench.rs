//! What decisions cost, and whether they cost more than they did.
//!
//! Fuel is the same on every machine and in every run, so that it is compared exactly. Time is not, so
//! that it is compared by its median and with some tolerance.
//!
//! **Invariant:** a policy whose fuel or answer differs from one run to the next fails its benchmark:
//! recorded decisions could not be replayed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use atropos::config::GuestLimits;
use atropos::guest::Judge;
use atropos::target::Digest;
use serde::{Deserialize, Serialize};

use super::case::{Asked, Case};
use super::trial::Decided;

/// What the decisions of one policy cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bench {
    /// The policy's name.
    pub policy: String,
    /// The component.
    pub digest: Digest,
    /// By the names of the cases.
    pub cases: BTreeMap<String, Cost>,
}

/// What one decision costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cost {
    /// In wasmtime's units; the same in every run.
    pub fuel: u64,
    /// The most memory it had.
    pub memory_bytes: u64,
    /// Half of the decisions took less, in microseconds.
    pub median_us: u64,
    /// One in a hundred took longer, in microseconds.
    pub p99_us: u64,
}

/// One figure that is worse than it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Regression {
    /// The name of the case.
    pub case: String,
    /// `fuel` or `median-us`.
    pub figure: &'static str,
    /// What it was.
    pub before: u64,
    /// What it is.
    pub after: u64,
}

/// Why there is no benchmark, or nothing to compare it with.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A case did not end with a verdict, so that its cost says nothing.
    #[error("the case `{case}` ends with {outcome} and no verdict")]
    Fault {
        /// Its name.
        case: String,
        /// The code of the fault.
        outcome: &'static str,
    },
    /// The policy is no pure function.
    #[error("the case `{case}` came out otherwise when it was asked again")]
    Differs {
        /// Its name.
        case: String,
    },
    /// Two cases have one name, by which figures are compared.
    #[error("two cases are named `{case}`")]
    Twice {
        /// The name.
        case: String,
    },
    /// No case asks for a verdict.
    #[error("no case has a request to be judged")]
    Nothing,
    /// The figures to compare with cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They are no figures of a benchmark.
    #[error("{} holds no figures that `policy bench --save` wrote", path.display())]
    Form {
        /// Their file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl Bench {
    /// Asks the policy each case so many times, in a fresh instance each time, and tells after every
    /// case how many are done.
    ///
    /// # Errors
    /// What makes the figures meaningless.
    pub fn measure(
        judge: &Judge,
        policy: &str,
        cases: &[Case],
        limits: GuestLimits,
        times: usize,
        done: impl Fn(usize),
    ) -> Result<Self, BenchError> {
        let mut costs = BTreeMap::new();
        for (count, case) in cases.iter().enumerate() {
            let Asked::Review(review) = &case.asked else {
                continue;
            };
            let ask = || Decided::from(judge.ask(&review.question, &case.settings, limits));
            let cost = cost(&case.name, times, ask)?;
            if costs.insert(case.name.clone(), cost).is_some() {
                let case = case.name.clone();
                return Err(BenchError::Twice { case });
            }
            done(count + 1);
        }
        if costs.is_empty() {
            return Err(BenchError::Nothing);
        }
        Ok(Self {
            policy: policy.to_owned(),
            digest: judge.digest(),
            cases: costs,
        })
    }

    /// Reads saved figures.
    ///
    /// # Errors
    /// There are none.
    pub fn load(path: PathBuf) -> Result<Self, BenchError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(BenchError::Read { path, source }),
        };
        serde_json::from_str(&text).map_err(|source| BenchError::Form { path, source })
    }

    /// What is worse than `before`: more fuel at all, or a median that is more than `threshold`
    /// percent above. A case that is new or gone is not compared.
    pub fn regressions(&self, before: &Self, threshold: u32) -> Vec<Regression> {
        let mut regressions = Vec::new();
        for (case, after) in &self.cases {
            let Some(before) = before.cases.get(case) else {
                continue;
            };
            let mut add = |figure, before, after| {
                regressions.push(Regression {
                    case: case.clone(),
                    figure,
                    before,
                    after,
                });
            };
            if after.fuel > before.fuel {
                add("fuel", before.fuel, after.fuel);
            }
            let most = u128::from(before.median_us) * u128::from(100 + u64::from(threshold));
            if u128::from(after.median_us) * 100 > most {
                add("median-us", before.median_us, after.median_us);
            }
        }
        regressions
    }
}

fn cost(case: &str, times: usize, ask: impl Fn() -> Decided) -> Result<Cost, BenchError> {
    let first = ask();
    if !matches!(first.outcome, "allow" | "deny") {
        return Err(BenchError::Fault {
            case: case.to_owned(),
            outcome: first.outcome,
        });
    }
    let mut durations = Vec::with_capacity(times);
    for _ in 0..times.max(1) {
        let next = ask();
        let same = (next.outcome, next.fuel) == (first.outcome, first.fuel);
        if !same || next.findings != first.findings {
            return Err(BenchError::Differs {
                case: case.to_owned(),
            });
        }
        durations.push(next.duration_us);
    }
    durations.sort_unstable();
    let at = |percent: usize| {
        let place = (durations.len() - 1) * percent / 100;
        durations.get(place).copied().unwrap_or_default()
    };
    Ok(Cost {
        fuel: first.fuel,
        memory_bytes: first.memory_bytes,
        median_us: at(50),
        p99_us: at(99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(fuel: u64, median_us: u64) -> Bench {
        let cost = Cost {
            fuel,
            memory_bytes: 65_536,
            median_us,
            p99_us: 50,
        };
        Bench {
            policy: "x".to_owned(),
            digest: Digest::of(b""),
            cases: BTreeMap::from([("a case".to_owned(), cost)]),
        }
    }

    #[test]
    fn fuel_is_compared_exactly_and_time_with_tolerance() {
        let before = bench(1000, 10);
        let figures = |after: &Bench, threshold| {
            let regressions = after.regressions(&before, threshold);
            regressions.iter().map(|it| it.figure).collect::<Vec<_>>()
        };
        assert_eq!(figures(&bench(1000, 20), 100), Vec::<&str>::new());
        assert_eq!(figures(&bench(999, 1), 0), Vec::<&str>::new());
        assert_eq!(figures(&bench(1001, 10), 100), ["fuel"]);
        assert_eq!(figures(&bench(1001, 21), 100), ["fuel", "median-us"]);
        assert_eq!(figures(&bench(1000, 11), 0), ["median-us"]);
    }

    #[test]
    fn a_policy_that_answers_otherwise_when_asked_again_is_found_out() {
        let fuel = std::cell::Cell::new(0);
        let ask = || Decided {
            outcome: "allow",
            findings: Vec::new(),
            fuel: fuel.replace(fuel.get() + 1),
            memory_bytes: 0,
            duration_us: 0,
        };
        let error = cost("a case", 5, ask).unwrap_err();
        assert!(matches!(error, BenchError::Differs { .. }), "{error}");
    }
}
