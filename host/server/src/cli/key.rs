//! Site keys: what photo callers authenticate with.

use atropos::target::{Subdomain, now_ms};
use atropos_service::auth::Issued;
use atropos_service::service::DataDirectory;
use clap::Subcommand;
use serde::Serialize;

use super::output::{Answer, Columns};
use super::{Failure, tenant, values};

const COLUMNS: Columns = &[
    ("ID", "/id"),
    ("LABEL", "/label"),
    ("ISSUED", "/issuedAtMs"),
    ("EXPIRES", "/expiresAtMs"),
    ("REVOKED", "/revokedAtMs"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Issue a site key and show it, this once, on stdout
    #[command(after_help = "Example:\n  KEY=$(atropos key issue --tenant acme --label web)")]
    Issue {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        /// What the key is for
        #[arg(long, default_value = "")]
        label: String,
        /// After what time it becomes void by itself, such as 90d [default: never]
        #[arg(long, value_name = "TIME", value_parser = values::duration_ms)]
        lifetime: Option<u64>,
    },
    /// List the site keys of a tenant; the keys themselves are not kept
    List {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
    /// Make a site key void at once
    Revoke {
        /// Its id, as `atropos key list` shows it
        id: String,
    },
}

/// A credential on the one occasion on which it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    id: String,
    secret: String,
    expires_at_ms: Option<u64>,
}

impl Shown {
    /// Answers with the bare secret on stdout, fit for a script, and the rest on stderr.
    pub(crate) fn answer(issued: Issued, what: &str) -> Result<Answer, Failure> {
        let shown = Self {
            id: issued.stored.id,
            secret: issued.secret,
            expires_at_ms: issued.stored.expires_at_ms,
        };
        let note = format!(
            "this is the only time that the {what} is shown; it is known as {}",
            shown.id
        );
        Ok(Answer::line(&shown, shown.secret.clone())?.note(note))
    }
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Issue {
            tenant,
            label,
            lifetime,
        } => {
            let tenant = tenant::named(data, &tenant).await?;
            let issued = Issued::new(&label, lifetime);
            data.tenants
                .add_key(tenant.id, issued.stored.clone())
                .await?;
            Shown::answer(issued, "key")
        }
        Verb::List { tenant } => {
            let tenant = tenant::named(data, &tenant).await?;
            Answer::table(&data.tenants.keys(tenant.id).await?, COLUMNS)
        }
        Verb::Revoke { id } => {
            data.tenants.revoke_key(&id, now_ms()).await?;
            revoked(&id)
        }
    }
}

/// The answer to every revocation.
pub(crate) fn revoked(id: &str) -> Result<Answer, Failure> {
    let value = serde_json::json!({ "revoked": id });
    Answer::line(&value, format!("revoked {id}"))
}
