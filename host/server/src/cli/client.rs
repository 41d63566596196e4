//! API clients: what document callers authenticate with, and what they may do where.

use atropos::domain::ClientInfo;
use atropos::domain::tenants::NewCredential;
use atropos::target::{Permission, Subdomain};
use atropos_service::auth::Issued;
use atropos_service::service::DataDirectory;
use clap::Subcommand;
use serde_json::json;

use super::key::Shown;
use super::output::{Answer, Columns};
use super::{Failure, tenant};

const COLUMNS: Columns = &[
    ("ID", "/id"),
    ("LABEL", "/label"),
    ("CREATED", "/createdAtMs"),
    ("GRANTS", "/grants"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create an API client and show its secret, this once, on stdout
    #[command(after_help = "\
Example:
  SECRET=$(atropos client create crm)
  atropos client grant crm --tenant acme documents:read documents:write
  TOKEN=$(atropos token issue crm)")]
    Create {
        /// Its client id, chosen by you: 1 to 64 letters, digits, `-`, `_` and `.`
        #[arg(value_parser = client_id)]
        id: String,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Say what a client may do in a tenant, in place of what it might do there before
    Grant {
        /// Its client id
        id: String,
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        /// What it may do there
        #[arg(
            required_unless_present = "nothing",
            conflicts_with = "nothing",
            value_parser = super::values::permission(),
        )]
        permissions: Vec<Permission>,
        /// Withdraw its access to the tenant
        #[arg(long)]
        nothing: bool,
    },
    /// List every API client with its grants
    List,
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Create { id, label } => {
            let mut issued = Issued::new(&label, None);
            issued.stored = NewCredential {
                id,
                ..issued.stored
            };
            data.tenants.add_client(issued.stored.clone()).await?;
            Shown::answer(issued, "secret")
        }
        Verb::Grant {
            id,
            tenant,
            permissions,
            nothing: _,
        } => {
            let tenant = tenant::named(data, &tenant).await?;
            data.tenants.grant(&id, tenant.id, &permissions).await?;
            let value = json!({
                "client": id, "tenant": tenant.subdomain, "permissions": permissions,
            });
            let line = match words(&permissions).as_str() {
                "" => format!("{id} has no access to {}", tenant.subdomain),
                words => format!("{id} may {words} in {}", tenant.subdomain),
            };
            Answer::line(&value, line)
        }
        Verb::List => {
            let clients = data.tenants.clients().await?;
            let rows = clients.iter().map(row).collect::<Vec<_>>();
            Answer::table(&clients, COLUMNS)?.seen_as(&rows)
        }
    }
}

/// A client as the table shows it: its grants in words.
fn row(client: &ClientInfo) -> serde_json::Value {
    let grants = client.grants.iter();
    let grants = grants.map(|grant| format!("{}: {}", grant.tenant, words(&grant.permissions)));
    json!({
        "id": client.id, "label": client.label, "createdAtMs": client.created_at_ms,
        "grants": grants.collect::<Vec<_>>().join("; "),
    })
}

fn words(permissions: &[Permission]) -> String {
    let words = permissions.iter().map(|permission| permission.as_str());
    words.collect::<Vec<_>>().join(", ")
}

fn client_id(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 letters, digits, `-`, `_` and `.`".to_owned())
    }
}
