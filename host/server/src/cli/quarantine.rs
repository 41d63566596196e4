//! The quarantine: files that the doctor found, and that nothing named.

use atropos::domain::quarantine::Quarantined;
use atropos_service::config::Config;
use atropos_service::storage::Storage;
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::Failure;
use super::output::{Answer, Columns};

const COLUMNS: Columns = &[
    ("KEY", "/key"),
    ("BYTES", "/sizeBytes"),
    ("SINCE", "/sinceMs"),
    ("ERASED", "/erasedAtMs"),
];

/// `atropos quarantine …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
`atropos doctor --repair` moves files there that neither a row nor a shred record names, to the folder
`quarantine` in `blobs`. They are erased when `erase.quarantine-ms` have passed, by a running server or by
`atropos doctor --repair`.")]
pub(crate) enum Verb {
    /// List what is in quarantine, and when each is erased
    List,
    /// Move back whatever a row names by now, as after the right database was restored
    Release,
}

/// A file in quarantine, and when it goes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    file: Quarantined,
    erased_at_ms: u64,
}

pub(crate) async fn run(verb: Verb, config: Config) -> Result<Answer, Failure> {
    super::open::must_exist(&config.data_dir)?;
    let storage = Storage::open(&config)?;
    let mut files = storage.bytes.quarantined().await?;
    match verb {
        Verb::List => {
            files.sort_by_key(|file| (file.since_ms, file.key));
            let period = config.erase.quarantine_ms;
            let line = |file: Quarantined| Line {
                file,
                erased_at_ms: file.since_ms.saturating_add(period),
            };
            let lines: Vec<_> = files.into_iter().map(line).collect();
            Answer::table(&lines, COLUMNS)
        }
        Verb::Release => {
            let mut keys: Vec<_> = files.iter().map(|file| file.key).collect();
            let unnamed = storage.rows.unnamed(&keys).await?;
            keys.retain(|key| !unnamed.contains(key));
            let released = storage.bytes.release(&keys).await?;
            let left = unnamed.len();
            let line = format!("{released} files are back; {left} stay that no row names");
            Answer::line(&json!({ "released": released, "left": left }), line)
        }
    }
}
