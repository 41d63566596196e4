//! Tenants: the customers of the platform.

use atropos::guest::ALLOW_ALL;
use atropos::target::{Subdomain, Tenant, WebsiteId};
use atropos_service::service::DataDirectory;
use clap::Subcommand;

use super::output::{Answer, Columns};
use super::{Failure, values};

const COLUMNS: Columns = &[("SUBDOMAIN", "/subdomain"), ("WEBSITE", "/websiteId")];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create a tenant; its chain is the built-in policy `allow-all`
    Create {
        /// How document callers name it: a DNS label
        subdomain: Subdomain,
        /// How photo callers name it: a whole number greater than 0
        #[arg(long, value_name = "N")]
        website_id: WebsiteId,
    },
    /// List every tenant
    List,
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Create {
            subdomain,
            website_id,
        } => {
            let tenant = data.create_tenant(subdomain, website_id, values::operator());
            let tenant = tenant.await?;
            let line = format!(
                "created {}, website {}",
                tenant.subdomain, tenant.website_id
            );
            let note = format!(
                "its chain is `{}`: whatever its callers ask to delete is deleted; see `atropos \
                 policy assign --help`",
                ALLOW_ALL.0
            );
            Ok(Answer::line(&tenant, line)?.note(note))
        }
        Verb::List => Answer::table(&data.tenants.tenants().await?, COLUMNS),
    }
}

/// The tenant that was named, for every other noun.
pub(crate) async fn named(data: &DataDirectory, subdomain: &Subdomain) -> Result<Tenant, Failure> {
    let tenant = data.tenants.tenant(subdomain).await?;
    tenant.ok_or_else(|| Failure::NotFound {
        what: "tenant",
        name: subdomain.to_string(),
    })
}
