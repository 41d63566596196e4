//! New chains: a whole one, or one policy in its place.

use atropos::domain::policies::Origin;
use atropos::domain::{ChainEntry, PolicyLimits};
use atropos_service::service::Service;
use serde_json::json;

use super::change::{Change, Changing};
use super::history::shown;
use super::prepare::{keep, prepare};
use crate::cli::Failure;
use crate::cli::chain::Link;
use crate::cli::limits::Limits;
use crate::cli::output::Answer;

/// Puts a whole chain in force, or has it tried.
pub(crate) async fn assign(
    service: &Service,
    change: Change,
    chain: &[Link],
    limits: Limits,
    shadow: bool,
) -> Result<Answer, Failure> {
    let changing = change.begin(service).await?;
    let limits = limits.over(changing.active.limits);
    let entries = keep(service, prepare(service, chain, limits).await?).await?;
    put(
        service,
        changing,
        Origin::Assigned,
        (entries, limits),
        shadow,
    )
    .await
}

/// Puts one policy in its place in the chain, or has the chain tried that would come about.
pub(crate) async fn deploy(
    service: &Service,
    change: Change,
    link: &Link,
    limits: Limits,
    shadow: bool,
) -> Result<Answer, Failure> {
    let changing = change.begin(service).await?;
    let limits = limits.over(changing.active.limits);
    let prepared = prepare(service, std::slice::from_ref(link), limits).await?;
    let mut entries = changing.active.entries.clone();
    for entry in keep(service, prepared).await? {
        entries = changing.active.entries_with(entry);
    }
    put(
        service,
        changing,
        Origin::Deployed,
        (entries, limits),
        shadow,
    )
    .await
}

async fn put(
    service: &Service,
    changing: Changing,
    origin: Origin,
    new: (Vec<ChainEntry>, PolicyLimits),
    shadow: bool,
) -> Result<Answer, Failure> {
    let tenant = changing.tenant.clone();
    if !shadow {
        let revision = changing.revise(service, origin, new, String::new()).await?;
        return shown(service, &tenant, revision).await;
    }
    let id = changing.shadow(service, new).await?;
    let value = json!({ "tenant": tenant.subdomain, "shadow": id });
    let line = format!(
        "{} tries the new chain beside the one in force",
        tenant.subdomain
    );
    let note = format!(
        "`atropos policy shadow --tenant {}` shows where it differs",
        tenant.subdomain
    );
    Ok(Answer::line(&value, line)?.note(note))
}
