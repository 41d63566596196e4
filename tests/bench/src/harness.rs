//! Times variants side by side: in each round every variant runs one batch, beginning with another
//! one each time, so that what disturbs the machine disturbs all of them alike. Ratios are taken
//! within a round.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Serialize;

/// How long the batch of one variant takes in one round.
const BATCH: Duration = Duration::from_millis(2);

/// One decision, from facts to verdict.
pub type Decide = Box<dyn FnMut() -> bool>;

/// A variant with the times it took.
pub struct Timed {
    /// How the table names it.
    pub name: String,
    /// How many decisions it made in a round.
    pub batch: u32,
    /// Of each round, nanoseconds a decision.
    pub nanos: Vec<f64>,
}

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// A quarter lies below.
    pub lower: f64,
    /// A half lies below.
    pub median: f64,
    /// Three quarters lie below.
    pub upper: f64,
}

/// Times all variants in `rounds` rounds, which are at least one.
pub fn time(variants: Vec<(String, Decide)>, rounds: u32) -> Vec<Timed> {
    let mut running: Vec<_> = variants
        .into_iter()
        .map(|(name, mut decide)| {
            let batch = batch(&mut decide);
            let nanos = Vec::new();
            (decide, Timed { name, batch, nanos })
        })
        .collect();
    for round in 0..rounds {
        let first = round as usize % running.len();
        let (before, after) = running.split_at_mut(first);
        for (decide, timed) in after.iter_mut().chain(before) {
            let took = run(decide, timed.batch).as_nanos() as f64;
            timed.nanos.push(took / f64::from(timed.batch));
        }
    }
    running.into_iter().map(|(_, timed)| timed).collect()
}

/// How many decisions fill a batch.
fn batch(decide: &mut Decide) -> u32 {
    let mut count = 1;
    while run(decide, count) < BATCH {
        count *= 2;
    }
    count
}

fn run(decide: &mut Decide, count: u32) -> Duration {
    let started = Instant::now();
    for _ in 0..count {
        black_box(decide());
    }
    started.elapsed()
}

impl Timed {
    /// Nanoseconds a decision.
    pub fn spread(&self) -> Spread {
        Spread::of(self.nanos.clone())
    }

    /// How many times as long as `other` it took.
    pub fn over(&self, other: &Self) -> Spread {
        let rounds = self.nanos.iter().zip(&other.nanos);
        Spread::of(rounds.map(|(this, other)| this / other).collect())
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lower,
            median,
            upper,
        } = self;
        write!(f, "{median:.2} ({lower:.2}–{upper:.2})")
    }
}

impl Spread {
    /// Of at least one value.
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
        Self {
            lower: at(0.25),
            median: at(0.5),
            upper: at(0.75),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_the_quartiles() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected = Spread {
            lower: 2.0,
            median: 3.0,
            upper: 4.0,
        };
        assert_eq!(spread, expected);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let timed = |nanos: &[f64]| Timed {
            name: String::new(),
            batch: 1,
            nanos: nanos.to_vec(),
        };
        // The machine was ten times as slow in the second round, for both.
        let slow = timed(&[2.0, 20.0, 2.0]);
        let fast = timed(&[1.0, 10.0, 1.0]);
        let ratio = slow.over(&fast);
        assert_eq!((ratio.lower, ratio.median, ratio.upper), (2.0, 2.0, 2.0));
    }

    #[test]
    fn every_variant_runs_in_every_round() {
        let variants: Vec<(_, Decide)> = vec![
            ("a".to_owned(), Box::new(|| true)),
            ("b".to_owned(), Box::new(|| false)),
            ("c".to_owned(), Box::new(|| true)),
        ];
        let timed = time(variants, 4);
        assert!(timed.iter().all(|variant| variant.nanos.len() == 4));
        assert_eq!(timed.iter().map(|it| &*it.name).collect::<String>(), "abc");
    }
}
