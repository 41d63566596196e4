//! Legal holds: what is under one is not erased, whatever a policy says.

use atropos::target::now_ms;
use atropos_service::service::DataDirectory;
use clap::Subcommand;
use serde_json::json;

use super::Failure;
use super::object::Named;
use super::output::Answer;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Place a legal hold on an object; it can bear several
    #[command(after_help = "\
Example:
  atropos hold place photo 0f0c7f5e-… --tenant acme --user u-7 --reason 'case 2026/17'")]
    Place {
        #[command(flatten)]
        named: Named,
        /// Why, for whoever finds the hold later
        #[arg(long)]
        reason: String,
    },
    /// Release every hold on an object
    Release {
        #[command(flatten)]
        named: Named,
    },
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Place { named, reason } => {
            let target = named.target(data).await?;
            let hold = data
                .catalogue
                .place_hold(&target, &reason, now_ms())
                .await?;
            let value = json!({ "hold": hold, "object": target.id });
            Answer::line(&value, format!("placed hold {hold} on {}", target.id))
        }
        Verb::Release { named } => {
            let target = named.target(data).await?;
            let released = data.catalogue.release_holds(&target).await?;
            let value = json!({ "released": released, "object": target.id });
            let line = match released {
                0 => format!("there was no hold on {}", target.id),
                1 => format!("released the hold on {}", target.id),
                many => format!("released {many} holds on {}", target.id),
            };
            Answer::line(&value, line)
        }
    }
}
