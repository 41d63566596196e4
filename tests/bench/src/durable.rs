//! Durable deletes a second, beside the most that the disk lets anybody do, and beside what people write
//! by hand.

use std::borrow::Cow;

use anyhow::Result;

use crate::Run;
use crate::contest::{Bound, Figure, Goal, Heat, Report};
use crate::field::Field;
use crate::server::Kind;

const OURS: &str = "atropos";
const BARE: &str = "bare loop";
const BY_HAND: &str = "by hand";

const HEATS: [Heat; 4] = [heat(1, 300), heat(8, 1200), heat(64, 4000), heat(256, 4000)];

const fn heat(clients: usize, deletes: u64) -> Heat {
    Heat { clients, deletes }
}

const GOALS: [Goal; 3] = [
    goal(64, Figure::Throughput, BARE, Bound::AtLeast(0.5)),
    goal(64, Figure::Throughput, BY_HAND, Bound::AtLeast(5.0)),
    goal(1, Figure::P50, BY_HAND, Bound::AtMost(1.5)),
];

const fn goal(clients: usize, figure: Figure, peer: &'static str, bound: Bound) -> Goal {
    Goal {
        clients,
        figure,
        ours: Cow::Borrowed(OURS),
        peer: Cow::Borrowed(peer),
        bound,
    }
}

/// Measures it.
pub(crate) fn run(run: &Run) -> Result<Report> {
    let mut field = Field::new(run, &HEATS)?;
    field.enter(OURS, Kind::Guests)?;
    field.enter_bare(BARE)?;
    field.enter(BY_HAND, Kind::ByHand)?;
    field.run(&HEATS, run.rounds, &GOALS)
}
