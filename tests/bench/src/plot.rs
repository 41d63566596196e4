//! Growth as curves: latency on the left, memory on the right, both over a logarithmic axis.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::contest::{Report, Row, Table};

const SIZE: (u32, u32) = (900, 320);

/// A point of a curve.
type Point = (f64, f64);

/// Draws each table as a file of its own.
pub(crate) fn draw(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for table in &report.tables {
        let axis = table.axis.as_deref().unwrap_or_default();
        let path = folder.join(format!("{}.svg", axis.replace(' ', "-")));
        let drawn = one(table, axis, &path);
        drawn.with_context(|| format!("drawing {}", path.display()))?;
    }
    Ok(())
}

fn one(table: &Table, axis: &str, path: &Path) -> Result<()> {
    let canvas = SVGBackend::new(path, SIZE).into_drawing_area();
    canvas.fill(&WHITE)?;
    let halves = canvas.split_evenly((1, 2));
    let [left, right] = halves.as_slice() else {
        anyhow::bail!("no two halves");
    };
    let p50 = curve(table, |row| Some(row.p50_ms.value.median))?;
    let p99 = curve(table, |row| Some(row.p99_ms.value.median))?;
    let memory = curve(table, |row| row.resident_mib.map(|mib| mib as f64))?;
    panel(left, axis, "ms", &[("p50", p50), ("p99", p99)])?;
    panel(right, axis, "MiB resident", &[("", memory)])?;
    Ok(canvas.present()?)
}

/// A figure of each entrant over what it has so many of.
fn curve(table: &Table, figure: impl Fn(&Row) -> Option<f64>) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for row in &table.rows {
        let many = row.name.split(' ').next();
        let many = many.context("a name begins with a number")?.parse()?;
        points.extend(figure(row).map(|figure| (many, figure)));
    }
    Ok(points)
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    unit: &str,
    curves: &[(&str, Vec<Point>)],
) -> Result<()> {
    let points = || curves.iter().flat_map(|(_, curve)| curve.iter().copied());
    let least = points().fold(f64::MAX, |least, (x, _)| x.min(least));
    let most = points().fold(1.0, |most, (x, _)| x.max(most));
    let highest = points().fold(0.0, |highest, (_, y)| y.max(highest));
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d((least..most).log_scale(), 0.0..highest * 1.2)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(title).y_desc(unit).draw()?;
    for (index, (name, curve)) in curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart.draw_series(LineSeries::new(curve.iter().copied(), &color))?;
        let dot = |point: &Point| Circle::new(*point, 3, color.filled());
        chart.draw_series(curve.iter().map(dot))?;
        if let Some(end) = curve.last() {
            let label = Text::new((*name).to_owned(), *end, ("sans-serif", 13).into_font());
            chart.draw_series([label])?;
        }
    }
    Ok(())
}
