//! A chain that is tried beside the one in force: how it has fared, and what becomes of it.

use atropos::domain::policies::Origin;
use atropos::domain::shadow::Tally;
use atropos::target::{Subdomain, Tenant};
use atropos_service::service::DataDirectory;
use serde_json::json;

use super::change::Change;
use super::history::shown;
use crate::cli::output::{Answer, Columns};
use crate::cli::values::Paging;
use crate::cli::{Failure, tenant};

const DIFFERENCES: Columns = &[
    ("FLIP", "/flip"),
    ("WHEN", "/atMs"),
    ("WAS", "/was"),
    ("WOULD BE", "/would"),
    ("POLICY", "/policy"),
    ("WHY", "/why"),
    ("DECISION", "/decision"),
];

/// Shows how the shadow has fared, and where it differs.
pub(crate) async fn show(
    data: &DataDirectory,
    subdomain: &Subdomain,
    paging: Paging,
) -> Result<Answer, Failure> {
    let tenant = tenant::named(data, subdomain).await?;
    let tally = tally(data, &tenant).await?;
    let differences = data.policies.differences(tenant.id, paging.into());
    let caption = summary(&tally);
    let mut value = json!(tally);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("differences".to_owned(), json!(differences.await?));
    }
    Answer::parts(&value, caption, "/differences", DIFFERENCES)
}

/// Puts the shadow in force.
pub(crate) async fn promote(data: &DataDirectory, change: Change) -> Result<Answer, Failure> {
    let changing = change.begin(data).await?;
    let tenant = changing.tenant.clone();
    let tally = tally(data, &tenant).await?;
    let found = summary(&tally);
    let why = match tally.why.as_str() {
        "" => found.clone(),
        why => format!("{why}; {found}"),
    };
    let chain = (tally.chain, tally.limits);
    let revision = changing.revise(data, Origin::Promoted, chain, why).await?;
    Ok(shown(data, &tenant, revision).await?.note(found))
}

/// Tries no chain any more.
pub(crate) async fn withdraw(
    data: &DataDirectory,
    subdomain: &Subdomain,
) -> Result<Answer, Failure> {
    let tenant = tenant::named(data, subdomain).await?;
    match data.policies.drop_shadow(tenant.id).await? {
        true => {
            let value = json!({ "tenant": tenant.subdomain, "shadow": null });
            let line = format!("{} tries no other chain any more", tenant.subdomain);
            Answer::line(&value, line)
        }
        false => Err(none(&tenant)),
    }
}

async fn tally(data: &DataDirectory, tenant: &Tenant) -> Result<Tally, Failure> {
    let tally = data.policies.tally(tenant.id).await?;
    tally.ok_or_else(|| none(tenant))
}

fn none(tenant: &Tenant) -> Failure {
    Failure::NotFound {
        what: "chain that is tried for tenant",
        name: tenant.subdomain.to_string(),
    }
}

fn summary(tally: &Tally) -> String {
    let counts = &tally.counts;
    format!(
        "asked about {} decisions, {} passed over: {} would be allowed that were refused, {} refused \
         that were allowed, {} would fail, {} would fail no more",
        counts.compared,
        counts.passed_over,
        counts.deny_to_allow,
        counts.allow_to_deny,
        counts.to_fault,
        counts.from_fault
    )
}
