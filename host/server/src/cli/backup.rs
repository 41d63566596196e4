//! The backup: all rows and bytes in a folder of their own.

use std::path::PathBuf;
use std::time::Duration;

use atropos::ports::StoreError;
use atropos_service::config::Config;
use atropos_service::storage::Embedded;
use atropos_stores::backup::{Limits, Manifest, take};
use atropos_stores::sqlite;
use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use rustix::fs::Mode;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::Failure;
use super::open::must_exist;
use super::output::{Answer, Columns};
use super::values::duration_ms;

const FIELDS: Columns = &[
    ("BACKUP", "/id"),
    ("FOLDER", "/folder"),
    ("AS OF", "/asOfMs"),
    ("TOOK MS", "/tookMs"),
    ("OBJECTS", "/objects"),
    ("FILES", "/files"),
    ("BYTES", "/bytes"),
    ("DATABASE BYTES", "/databaseBytes"),
    ("ERASED MEANWHILE", "/erasedMeanwhile"),
    ("MISSING", "/missing"),
    ("UNREADABLE ROWS", "/unreadableRows"),
];

#[derive(Args, Debug)]
#[command(after_help = "\
Copies every byte, and links none: a link would keep what is erased later. What is erased while the
backup is made is not in it, and manifest.json lists the keys; uploads that are not finished are not
in it either. Everything is synced and read back before the manifest says that the backup is finished.

What is erased after the time `AS OF` stays in the backup until you remove it: how long backups are
kept is how long erased bytes can come back.

Exit status: 0 done; 4 done, but bytes are missing that `atropos doctor` finds missing, too.

Examples:
  atropos backup /backup/monday
  atropos backup /backup/monday --longest-snapshot 5m")]
pub(crate) struct Backup {
    /// The folder to make; it may be there if it is empty
    folder: PathBuf,
    /// How long the rows may take to be copied, while which the write-ahead log grows by what is written
    #[arg(long, value_name = "TIME", value_parser = duration_ms, default_value = "60s")]
    longest_snapshot: u64,
}

/// What became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    id: String,
    folder: String,
    as_of_ms: u64,
    took_ms: u64,
    objects: u64,
    files: u64,
    bytes: u64,
    database_bytes: u64,
    erased_meanwhile: usize,
    missing: usize,
    unreadable_rows: u64,
}

pub(crate) async fn run(typed: Backup, config: Config, json: bool) -> Result<(), Failure> {
    must_exist(&config.data_dir)?;
    let database = config.data_dir.join(sqlite::FILE);
    if !database.exists() {
        return Err(Failure::NotFound {
            what: "database",
            name: database.display().to_string(),
        });
    }
    private();
    let storage = Embedded::open(&config.data_dir)?;
    let folder = typed.folder.clone();
    let limits = Limits {
        longest_snapshot: Duration::from_millis(typed.longest_snapshot),
    };
    let manifest = blocking(move |bar| {
        let tell = |doing: &str, bytes: u64| say(&bar, doing, bytes);
        take(&storage.rows, &storage.bytes, &folder, limits, &tell)
    })
    .await??;
    let made = Made::new(&manifest, &typed);
    Answer::fields(&made, FIELDS)?.print(json)?;
    match made.missing as u64 + made.unreadable_rows {
        0 => Ok(()),
        left => Err(Failure::Diverged {
            left,
            remedy: "the backup is good for all others; `atropos doctor` tells of these",
        }),
    }
}

impl Made {
    fn new(manifest: &Manifest, typed: &Backup) -> Self {
        Self {
            id: manifest.id.to_string(),
            folder: typed.folder.display().to_string(),
            as_of_ms: manifest.as_of_ms,
            took_ms: manifest.ended_at_ms.saturating_sub(manifest.begun_at_ms),
            objects: manifest.objects,
            files: manifest.files,
            bytes: manifest.bytes,
            database_bytes: manifest.database.size_bytes,
            erased_meanwhile: manifest.left_out.erased_meanwhile.len(),
            missing: manifest.left_out.missing.len(),
            unreadable_rows: manifest.left_out.unreadable_rows,
        }
    }
}

/// Makes whatever this process creates from here on readable by its owner alone: files get the mode 0600,
/// folders 0700.
pub(super) fn private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Does long work on a thread of its own, with a bar for people that is gone afterwards.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(ProgressBar) -> T + Send + 'static,
) -> Result<T, Failure> {
    let bar = ProgressBar::new_spinner();
    let bar = match ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    let gone = bar.clone();
    let done = spawn_blocking(move || work(bar)).await;
    gone.finish_and_clear();
    done.map_err(|error| StoreError::Unavailable(error.into()).into())
}

/// Shows how far it is.
pub(super) fn say(bar: &ProgressBar, doing: &str, bytes: u64) {
    bar.set_message(format!("{doing}: {}", HumanBytes(bytes)));
    bar.tick();
}
