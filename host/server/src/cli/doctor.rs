//! The doctor: what has come apart between rows and bytes, and what was done about it.

use std::time::Duration;

use atropos::commit::doctor::{Doubt, Instead, Report, Treatment};
use atropos_service::config::Config;
use atropos_service::storage::Storage;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Failure;
use super::open::with_directory;
use super::output::{Answer, Columns};

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
  orphan    a file that nothing names; --repair moves it to quarantine, unless the key of a live
            object cannot be read, whose file it may be
  lost      a live object whose file is missing or of another size; --forget-lost
  overdue   bytes that were to be gone by now; the detail says why they are not
  foreign   something that is no blob; no fault, and never touched

No crash leaves orphans. If there are more than 10, or some are older than the database, the database
was lost or restored from an old backup, most likely, and --repair leaves them where they are: restore the
newest database. --many-orphans and --younger-database say that it is not so. Files in quarantine are
erased after `erase.quarantine-ms`, a week unless it is set; until then `atropos quarantine release` brings
back those that a row names.

Lost bytes do not come back. --forget-lost takes the rows away of objects of which no file is left,
unless a hold or a retention date keeps them, and their owners' activity says so. If more than half
of all files are missing, it forgets nothing: look first whether `blobs` is in its place.

Exit status: 0 nothing found, or all of it mended; 4 something is left.

Examples:
  atropos doctor
  atropos doctor --repair
  atropos doctor --repair --forget-lost")]
pub(crate) struct Doctor {
    /// Move orphans to quarantine, erase what has been there for its period, and try again at once to
    /// remove what is overdue
    #[arg(long)]
    repair: bool,
    /// Move them even though there are more than 10: no row of theirs is missing in the database
    #[arg(long, requires = "repair")]
    many_orphans: bool,
    /// Move them even though some are older than the database: it took the place of no other
    #[arg(long, requires = "repair")]
    younger_database: bool,
    /// Also take away the rows of objects whose bytes are lost
    #[arg(long, requires = "repair")]
    forget_lost: bool,
}

pub(crate) async fn run(typed: Doctor, config: Config, json: bool) -> Result<(), Failure> {
    super::open::must_exist(&config.data_dir)?;
    let treatment = Treatment {
        repair: typed.repair,
        many_orphans: typed.many_orphans,
        younger_database: typed.younger_database,
        forget_lost: typed.forget_lost,
        quarantine: Duration::from_millis(config.erase.quarantine_ms),
    };
    let report = match typed.repair {
        // Where nothing is at work, nothing changes.
        false => examine(&Storage::open(&config)?, treatment).await?,
        true => {
            with_directory(config, async |data| examine(&data.storage, treatment).await).await?
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
    } else if is_recoverable(report) {
        "`atropos quarantine release` brings files back that rows name"
    } else if report.is_mass_loss() {
        "more than half of all files are missing: is `blobs` in its place? Nothing was forgotten"
    } else if !typed.repair {
        "`atropos doctor --repair` mends what can be mended"
    } else if let Some(doubt) = report.doubts.first() {
        match doubt {
            Doubt::ManyOrphans => {
                "more than 10 files are named by nothing, and stay where they are: was the database lost, \
                 or restored from an old backup? Restore the newest one; if it is the newest, add \
                 --many-orphans"
            }
            Doubt::YoungerDatabase => {
                "files that are named by nothing are older than the database, and stay where they are: \
                 was another database lost? Restore it; if there was none, add --younger-database"
            }
        }
    } else if report.lost.count > 0 && !typed.forget_lost {
        "restore the lost files from a backup, or give them up with --forget-lost"
    } else {
        "what keeps each is in the answer"
    }
}

/// Whether some of what is lost is in quarantine.
fn is_recoverable(report: &Report) -> bool {
    let mut lost = report.lost.first.iter();
    lost.any(|lost| lost.found == Instead::Quarantined)
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
        "{} files and {} blobs of rows compared; {} orphans moved to quarantine, where {} files are and {} \
         were erased; {} objects forgotten",
        report.files,
        report.blobs,
        report.quarantined,
        report.in_quarantine,
        report.expired,
        report.forgotten
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
    let verb = if report.quarantined > 0 { "was" } else { "is" };
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
            Instead::Quarantined => "its file is in quarantine".to_owned(),
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
