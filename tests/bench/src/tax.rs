//! What the sandbox costs: the same server twice, once with native code in place of its guests.

use std::borrow::Cow;

use anyhow::Result;

use crate::Run;
use crate::contest::{Bound, Figure, Goal, Heat, Report};
use crate::field::Field;
use crate::server::Kind;

const GUESTS: &str = "guests";
const NATIVE: &str = "native gate";

const HEATS: [Heat; 2] = [
    Heat {
        clients: 1,
        deletes: 400,
    },
    Heat {
        clients: 64,
        deletes: 4000,
    },
];

const GOALS: [Goal; 2] = [
    goal(Figure::Throughput, Bound::AtLeast(0.9)),
    goal(Figure::P99, Bound::AtMost(1.15)),
];

const fn goal(figure: Figure, bound: Bound) -> Goal {
    Goal {
        clients: 64,
        figure,
        ours: Cow::Borrowed(GUESTS),
        peer: Cow::Borrowed(NATIVE),
        bound,
    }
}

/// Measures it.
pub(crate) fn run(run: &Run) -> Result<Report> {
    let mut field = Field::new(run, &HEATS)?;
    field.enter(NATIVE, Kind::Native)?;
    field.enter(GUESTS, Kind::Guests)?;
    field.run(&HEATS, run.rounds, &GOALS)
}
