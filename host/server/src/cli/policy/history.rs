//! The chain of a tenant as it is, as it was, and back.

use atropos::domain::policies::{Origin, Revision};
use atropos::target::{Subdomain, Tenant};
use atropos_service::service::DataDirectory;
use serde_json::json;

use super::change::Change;
use crate::cli::output::{Answer, Columns};
use crate::cli::values::Paging;
use crate::cli::{Failure, tenant};

const CHAIN: Columns = &[
    ("POLICY", "/policy"),
    ("DIGEST", "/digest"),
    ("SETTINGS", "/settings"),
];

const REVISIONS: Columns = &[
    ("REVISION", "/revision"),
    ("SINCE", "/atMs"),
    ("HOW", "/origin"),
    ("BY", "/by"),
    ("WHY", "/why"),
    ("POLICIES", "/policies"),
    ("REPORT", "/report"),
];

/// Shows the chain in force.
pub(crate) async fn show(data: &DataDirectory, subdomain: &Subdomain) -> Result<Answer, Failure> {
    let tenant = tenant::named(data, subdomain).await?;
    let Some(chain) = data.chains.chain(tenant.id).await? else {
        return Err(Failure::NotFound {
            what: "chain for tenant",
            name: tenant.subdomain.to_string(),
        });
    };
    shown(data, &tenant, chain.revision).await
}

/// Shows one revision as the chain of a tenant.
pub(super) async fn shown(
    data: &DataDirectory,
    tenant: &Tenant,
    number: u64,
) -> Result<Answer, Failure> {
    let revision = revision(data, tenant, number).await?;
    let replay_required = data.policies.replay_required(tenant.id).await?;
    let shadow = data.policies.tally(tenant.id).await?;
    let caption = format!("{}, revision {number}", tenant.subdomain);
    let value = json!({
        "tenant": tenant.subdomain,
        "revision": revision.revision,
        "sinceMs": revision.at_ms,
        "origin": revision.origin,
        "by": revision.by,
        "why": revision.why,
        "report": revision.report,
        "limits": revision.limits,
        "replayRequired": replay_required,
        "shadow": shadow.as_ref().map(|tally| tally.id),
        "chain": revision.chain,
    });
    let mut answer = Answer::parts(&value, caption, "/chain", CHAIN)?;
    if shadow.is_some() {
        answer = answer.note(format!(
            "another chain is tried beside it: `atropos policy shadow --tenant {}`",
            tenant.subdomain
        ));
    }
    Ok(answer)
}

/// Shows the revisions of a tenant, latest first.
pub(crate) async fn list(
    data: &DataDirectory,
    subdomain: &Subdomain,
    paging: Paging,
) -> Result<Answer, Failure> {
    let tenant = tenant::named(data, subdomain).await?;
    let revisions = data.policies.revisions(tenant.id, paging.into()).await?;
    let row = |revision: &Revision| {
        let names = revision.chain.iter().map(|entry| entry.policy.as_str());
        let mut row = json!(revision);
        if let Some(fields) = row.as_object_mut() {
            fields.insert("policies".to_owned(), json!(names.collect::<Vec<_>>()));
        }
        row
    };
    let rows: Vec<_> = revisions.iter().map(row).collect();
    Answer::table(&rows, REVISIONS)
}

/// Puts an earlier chain in force again.
pub(crate) async fn rollback(
    data: &DataDirectory,
    change: Change,
    to: Option<u64>,
) -> Result<Answer, Failure> {
    let changing = change.begin(data).await?;
    let tenant = changing.tenant.clone();
    let to = to.unwrap_or(changing.active.revision.saturating_sub(1));
    let earlier = revision(data, &tenant, to).await?;
    let why = format!("back to revision {to}");
    let chain = (earlier.chain, earlier.limits);
    let new = changing
        .revise(data, Origin::RolledBack, chain, why)
        .await?;
    shown(data, &tenant, new).await
}

async fn revision(data: &DataDirectory, tenant: &Tenant, number: u64) -> Result<Revision, Failure> {
    let found = data.policies.revision(tenant.id, number).await?;
    found.ok_or_else(|| Failure::NotFound {
        what: "revision",
        name: number.to_string(),
    })
}
