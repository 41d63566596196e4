//! The restore: a backup, verified and put into an empty data directory.

use std::path::PathBuf;

use atropos_service::config::Config;
use atropos_stores::backup::{Manifest, Terms, restore};
use clap::Args;

use super::Failure;
use super::backup::{blocking, private, say};
use super::lock::ServerLock;
use super::output::{Answer, Columns};
use super::values::duration_ms;

const FIELDS: Columns = &[
    ("BACKUP", "/id"),
    ("AS OF", "/asOfMs"),
    ("AGE MS", "/ageMs"),
    ("OBJECTS", "/objects"),
    ("FILES", "/files"),
    ("BYTES", "/bytes"),
    ("MISSING", "/missing"),
    ("SET ASIDE", "/setAside"),
    ("RESUMED", "/resumed"),
];

#[derive(Args, Debug)]
#[command(after_help = "\
WHAT WAS ERASED SINCE THE BACKUP COMES BACK WITH IT, and has to be erased again. Without the flag
--accept-erased-since, or if the backup is older than what it says, the restore is refused and told
how old the backup is.

The backup is read and verified before anything is put in its place. A restore that is cut short
leaves a data directory that no verb opens; the same command again completes it. Neither a server
nor another verb may work in the directory meanwhile.

Examples:
  atropos restore /backup/monday --data-dir new --accept-erased-since 3d
  atropos restore /backup/monday --accept-erased-since 3d --set-aside
                                    what is in the data directory goes to `set-aside-…` in it")]
pub(crate) struct Restore {
    /// The folder of the backup
    folder: PathBuf,
    /// Have what was erased in so long a time come back, such as 3d
    #[arg(long, value_name = "TIME", value_parser = duration_ms)]
    accept_erased_since: Option<u64>,
    /// Move what is in the data directory to a folder in it, instead of being refused
    #[arg(long)]
    set_aside: bool,
}

pub(crate) async fn run(typed: Restore, config: Config) -> Result<Answer, Failure> {
    let terms = Terms {
        erased_since_ms: typed.accept_erased_since,
        set_aside: typed.set_aside,
    };
    // Refused before anything is made.
    terms.accept(&Manifest::read(&typed.folder)?)?;
    private();
    let _lock = ServerLock::take(&config.data_dir)?;
    let (from, to) = (typed.folder, config.data_dir);
    let restored = blocking(move |bar| {
        let tell = |doing: &str, bytes: u64| say(&bar, doing, bytes);
        restore(&from, &to, terms, &tell)
    })
    .await??;
    let mut answer = Answer::fields(&restored, FIELDS)?;
    if restored.resumed {
        answer = answer.note("an earlier restore had been cut short; this one completed it");
    }
    if let Some(aside) = &restored.set_aside {
        answer = answer.note(format!(
            "what was in the data directory is in its folder {aside}; remove that once it is of no use"
        ));
    }
    Ok(answer.note("what was erased since the time `AS OF` is back, and has to be erased again"))
}
