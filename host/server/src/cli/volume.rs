//! Which volume of bytes the database belongs to, shown and settled.

use atropos::ports::KnownVolume as _;
use atropos_service::config::Config;
use atropos_service::storage::Embedded;
use atropos_stores::local::place;
use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use super::open::must_exist;
use super::output::Answer;

/// `atropos volume …`
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the id that the database knows and the one in the marker, `blobs/volume-id`
    Show,
    /// Mark the directory `blobs` as the volume that the database belongs to, whatever it bears
    Adopt(Adopt),
}

#[derive(Args, Debug)]
#[command(after_help = "\
A file that is absent counts as gone only on the volume that the database belongs to. An id in the file
`volume-id`, which the database knows, proves which one that is. A server refuses to start on another
volume, and while it runs takes no upload and calls no delete done. It goes on by itself once the volume
is back, or another is adopted.

Examples:
  atropos volume show
  atropos volume adopt                      files were restored to this place without their marker
  atropos volume adopt --bytes-are-lost     the files are lost for good, and this is the new place")]
pub(crate) struct Adopt {
    /// Adopt it even though it has none of the files that the database names: they are lost for good
    #[arg(long)]
    bytes_are_lost: bool,
}

pub(crate) async fn run(verb: Verb, config: Config) -> Result<Answer, Failure> {
    let data_dir = &config.data_dir;
    must_exist(data_dir)?;
    let storage = Embedded::unproved(data_dir)?;
    match verb {
        Verb::Show => {
            let known = storage.rows.volume()?.map(|id| id.to_string());
            let marked = place::marked(data_dir)?.map(|id| id.to_string());
            let words = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".to_owned());
            let line = format!(
                "the database belongs to the volume {}; the marker in `blobs` is {}",
                words(&known),
                words(&marked)
            );
            Answer::line(&json!({ "known": known, "marked": marked }), line)
        }
        Verb::Adopt(typed) => {
            let id = place::adopt(data_dir, &*storage.rows, typed.bytes_are_lost)?;
            let line = format!("`blobs` is the volume {id}, which the database belongs to");
            Answer::line(&json!({ "volume": id.to_string() }), line)
        }
    }
}
