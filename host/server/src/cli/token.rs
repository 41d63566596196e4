//! Bearer tokens: what an API client shows with each request.

use atropos::target::now_ms;
use atropos_service::auth::Issued;
use atropos_service::service::DataDirectory;
use clap::Subcommand;

use super::key::{Shown, revoked};
use super::output::Answer;
use super::{Failure, values};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Issue a token to a client and show it, this once, on stdout
    #[command(after_help = "\
The client's secret is not asked for: whoever works on the data directory may do this.

Example:
  ATROPOS_TOKEN=$(atropos token issue crm --lifetime 24h)")]
    Issue {
        /// Client id
        client: String,
        /// How long it is valid [default: what the configuration says, or 1h]
        #[arg(long, value_name = "TIME", value_parser = values::duration_ms)]
        lifetime: Option<u64>,
    },
    /// Make a token void at once
    Revoke {
        /// Its id, as told when it was issued; not the token itself
        id: String,
    },
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Issue { client, lifetime } => {
            let lifetime = lifetime.unwrap_or(data.config.http.token_lifetime_ms);
            let issued = Issued::new("access token", Some(lifetime));
            let most = data.config.auth.client_tokens;
            data.tenants
                .add_token(&client, issued.stored.clone(), most)
                .await?;
            Shown::answer(issued, "token")
        }
        Verb::Revoke { id } => {
            data.tenants.revoke_token(&id, now_ms()).await?;
            revoked(&id)
        }
    }
}
