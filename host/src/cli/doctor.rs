//! The doctor: what has come apart between rows and bytes, and what was done about it.

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::output::{Answer, Columns};
use super::{Failure, with_service};
use crate::config::Config;
use crate::service::Storage;
use crate::store::doctor::{Instead, Report, Treatment};

const COLUMNS: Columns = &[
    ("FINDING", "/finding"),
    ("WHICH", "/which"),
    ("DETAIL", "/detail"),
];

#[derive(Args, Debug)]
#[command(after_help = "\
Changes nothing unless told to, and may run beside a server with uploads and deletes under way.

  damage    the database contradicts itself; restore it from a backup
  dangling  a row refers to what is not there, or cannot be read; nothing here mends it
  orphan    a file that nothing names; --repair removes it, unless the key of a live object cannot
            be read, whose file it may be
  lost      a live object whose file is missing or of another size; --forget-lost
  overdue   bytes that were to be gone by now; the detail says why they are not
  foreign   something that is no blob; no fault, and never touched

Lost bytes do not come back. --forget-lost takes the rows away of objects of which no file is left,
unless a hold or a retention date keeps them, and their owners' activity says so. If more than half
of all files are missing, it forgets nothing: look first whether `blobs` is in its place.

Exit status: 0 nothing found, or all of it mended; 4 something is left.

Examples:
  atropos doctor
  atropos doctor --repair
  atropos doctor --repair --forget-lost")]
pub(crate) struct Doctor {
    /// Remove orphans, and try again at once to remove what is overdue
    #[arg(long)]
    repair: bool,
    /// Also take away the rows of objects whose bytes are lost
    #[arg(long, requires = "repair")]
    forget_lost: bool,
}

pub(crate) async fn run(typed: Doctor, config: Config, json: bool) -> Result<(), Failure> {
    super::must_exist(&config.data_dir)?;
    let treatment = Treatment {
        doom_orphans: typed.repair,
        forget_lost: typed.forget_lost,
    };
    let report = match typed.repair {
        // Where nothing is at work, nothing changes.
        false => examine(&Storage::open(&config.data_dir)?, treatment).await?,
        true => {
            with_service(config, async |service| {
                examine(&service.storage, treatment).await
            })
            .await?
        }
    };
    answer(&report)?.print(json)?;
    match report.left() {
        0 => Ok(()),
        left => Err(Failure::Diverged {
            left,
            remedy: remedy(&report, &typed),
        }),
    }
}

async fn examine(storage: &Storage, treatment: Treatment) -> Result<Report, Failure> {
    let bar = progress();
    let tell = |files: u64, blobs: u64| {
        bar.set_message(format!("{files} files, {blobs} blobs of rows"));
        bar.tick();
    };
    let report = storage.doctor().examine(treatment, &tell).await;
    bar.finish_and_clear();
    Ok(report?)
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} comparing: {msg} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The next thing to do about what is left.
fn remedy(report: &Report, typed: &Doctor) -> &'static str {
    if !report.damage.is_empty() {
        "the database is damaged, and nothing was compared: restore it from a backup"
    } else if report.is_mass_loss() {
        "more than half of all files are missing: is `blobs` in its place? Nothing was forgotten"
    } else if !typed.repair {
        "`atropos doctor --repair` mends what can be mended"
    } else if report.lost.count > 0 && !typed.forget_lost {
        "restore the lost files from a backup, or give them up with --forget-lost"
    } else {
        "what keeps each is in the answer"
    }
}

/// A finding as people see it.
#[derive(Serialize)]
struct Line {
    finding: &'static str,
    which: String,
    detail: String,
}

fn answer(report: &Report) -> Result<Answer, Failure> {
    let lines = lines(report);
    let caption = format!(
        "{} files and {} blobs of rows compared; {} orphans doomed, {} objects forgotten",
        report.files, report.blobs, report.doomed, report.forgotten
    );
    if lines.is_empty() {
        return Answer::line(report, format!("{caption}; nothing is wrong"));
    }
    Answer::parts(report, caption, "", COLUMNS)?.seen_as(&lines)
}

fn lines(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |finding, which: String, detail: String| {
        lines.push(Line {
            finding,
            which,
            detail,
        });
    };
    for sentence in &report.damage {
        add("damage", String::new(), sentence.clone());
    }
    for sentence in &report.dangling {
        add("dangling", String::new(), sentence.clone());
    }
    let verb = if report.doomed > 0 { "was" } else { "is" };
    for orphan in &report.orphans.first {
        let detail = format!(
            "{} bytes {verb} there that nothing names",
            orphan.size_bytes
        );
        add("orphan", orphan.key.to_string(), detail);
    }
    for lost in &report.lost.first {
        let instead = match &lost.found {
            Instead::Nothing => "there is no file".to_owned(),
            Instead::OtherSize(size) => format!("the file has {size}"),
            Instead::Unreadable(why) => why.clone(),
        };
        let detail = format!(
            "{} {} of user {} of {}: {} bytes, and {instead}",
            lost.kind, lost.id, lost.user, lost.tenant, lost.size_bytes
        );
        add("lost", lost.key.to_string(), detail);
    }
    for overdue in &report.overdue.first {
        let error = overdue.last_error.as_deref().unwrap_or("not tried yet");
        let detail = format!("{} attempts; {error}", overdue.attempts);
        add("overdue", overdue.key.to_string(), detail);
    }
    for path in &report.foreign.first {
        add("foreign", path.clone(), "is no blob".to_owned());
    }
    let shown = [
        ("orphan", report.orphans.count, report.orphans.first.len()),
        ("lost", report.lost.count, report.lost.first.len()),
        ("overdue", report.overdue.count, report.overdue.first.len()),
        ("foreign", report.foreign.count, report.foreign.first.len()),
    ];
    for (finding, count, shown) in shown {
        if let Some(more @ 1..) = count.checked_sub(shown as u64) {
            add(finding, String::new(), format!("and {more} more"));
        }
    }
    lines
}
