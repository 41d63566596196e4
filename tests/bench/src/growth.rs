//! Growth: one client beside another, each at a server that has more of something. What does not grow
//! with it takes as long for all.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::Run;
use crate::contest::{Bound, Figure, Goal, Heat, Report};
use crate::field::Field;
use crate::stage::Stage;

/// Deletes of each server in a round, one after the other.
const DELETES: u64 = 200;

const HEAT: Heat = Heat {
    clients: 1,
    deletes: DELETES,
};

/// What there is more and more of.
struct Axis {
    name: &'static str,
    /// From little to much.
    steps: &'static [u64],
    stage: fn(u64) -> Stage,
    /// How many times as long the last may take as the first.
    goals: &'static [(Figure, f64)],
}

const AXES: [Axis; 5] = [
    Axis {
        name: "objects",
        steps: &[1_000, 10_000, 100_000, 1_000_000],
        stage: |objects| Stage {
            objects,
            bytes: 1_000,
            ..Stage::default()
        },
        goals: &[(Figure::P50, 1.3)],
    },
    Axis {
        name: "tenants",
        steps: &[1, 100, 10_000],
        // A policy of their own for each ten of them.
        stage: |tenants| Stage {
            tenants,
            components: (tenants / 10).max(1),
            ..Stage::default()
        },
        goals: &[(Figure::P50, 1.3), (Figure::P99, 2.0)],
    },
    Axis {
        name: "policies",
        steps: &[1, 10, 100, 1_000],
        stage: |components| Stage {
            tenants: components,
            components,
            ..Stage::default()
        },
        goals: &[],
    },
    Axis {
        name: "policies in a chain",
        steps: &[1, 2, 4, 8],
        stage: |chain| Stage {
            chain,
            ..Stage::default()
        },
        goals: &[],
    },
    Axis {
        name: "bytes",
        steps: &[1_000, 100_000, 10_000_000, 100_000_000],
        stage: |bytes| Stage {
            bytes,
            ..Stage::default()
        },
        goals: &[],
    },
];

/// Objects of this size are few enough to fit a disk.
const HEAVY: u64 = 1_000_000;

/// Measures one axis after the other.
pub(crate) fn run(run: &Run, plots: Option<&Path>) -> Result<Report> {
    let mut all = Report::new(run.rounds);
    for axis in &AXES {
        all.extend(measure(axis, run)?);
    }
    plots.map_or(Ok(()), |folder| crate::plot::draw(&all, folder))?;
    Ok(all)
}

fn measure(axis: &Axis, run: &Run) -> Result<Report> {
    let mut field = Field::empty(run)?;
    let mut heat = HEAT;
    if axis
        .steps
        .iter()
        .any(|step| (axis.stage)(*step).bytes > HEAVY)
    {
        heat.deletes = 5;
    }
    let stages = axis.steps.iter().map(|step| (axis.stage)(*step));
    let components = stages.map(|stage| stage.components).max().unwrap_or(1);
    // Before the counted rounds every policy is loaded and asked once.
    let warm_up = Heat {
        deletes: heat.deletes.max(components),
        ..heat
    };
    let needed = warm_up.deletes + heat.deletes * u64::from(run.rounds);
    for step in axis.steps {
        let stage = (axis.stage)(*step);
        let stage = Stage {
            objects: stage.objects.max(needed),
            ..stage
        };
        field.enter_grown(&name(axis, *step), stage)?;
    }
    field.warm_up(warm_up)?;
    let ends = axis.steps.first().zip(axis.steps.last());
    let (first, last) = ends.context("an axis has steps")?;
    let goal = |(figure, most): &(Figure, f64)| Goal {
        clients: 1,
        figure: *figure,
        ours: name(axis, *last).into(),
        peer: name(axis, *first).into(),
        bound: Bound::AtMost(*most),
    };
    let goals: Vec<_> = axis.goals.iter().map(goal).collect();
    let mut report = field.run(&[heat], run.rounds, &goals)?;
    report.entitle(axis.name);
    Ok(report)
}

fn name(axis: &Axis, step: u64) -> String {
    format!("{step} {}", axis.name)
}
