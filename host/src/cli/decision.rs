//! Decisions: what the chain of a tenant said on each request, and why.

use clap::Subcommand;
use serde::Serialize;
use uuid::Uuid;

use super::output::{Answer, Columns};
use super::{Failure, tenant, values};
use crate::service::Service;
use crate::store::decision::{Decision, DecisionCaller, PolicyReview};
use crate::target::{Kind, Subdomain};

const COLUMNS: Columns = &[
    ("WHEN", "/atMs"),
    ("VERDICT", "/verdict"),
    ("KIND", "/kind"),
    ("OBJECT", "/objectId"),
    ("CALLER", "/caller/id"),
    ("CHAIN", "/chainRevision"),
    ("POLICY", "/policy"),
    ("WHY", "/why"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the recorded decisions of a tenant, latest first
    #[command(after_help = "\
POLICY is the one that did not allow, and WHY its failed findings. With --json you get every policy
that was asked, with all findings, digests, settings and fuel.")]
    List {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        #[command(flatten)]
        paging: values::Paging,
    },
}

pub(crate) async fn run(verb: Verb, service: &Service) -> Result<Answer, Failure> {
    let Verb::List { tenant, paging } = verb;
    let tenant = tenant::named(service, &tenant).await?.id;
    let decisions = service.catalogue.decisions(tenant, paging.into()).await?;
    Answer::table(
        &decisions.into_iter().map(Shown::of).collect::<Vec<_>>(),
        COLUMNS,
    )
}

/// A decision, with the why drawn out of its reviews.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: Uuid,
    at_ms: u64,
    tenant: Subdomain,
    caller: DecisionCaller,
    kind: Kind,
    user: String,
    object_id: String,
    object_version: u64,
    chain_revision: u64,
    verdict: String,
    policy: Option<String>,
    why: Vec<String>,
    reviews: Vec<PolicyReview>,
}

impl Shown {
    fn of(decision: Decision) -> Self {
        let refusing = decision
            .reviews
            .iter()
            .find(|review| review.outcome != "allow");
        let (policy, why) = match refusing {
            Some(review) => (Some(review.policy.clone()), review.why()),
            None => (None, Vec::new()),
        };
        let target = decision.object.target;
        Self {
            id: decision.id,
            at_ms: decision.at_ms,
            tenant: decision.tenant,
            caller: decision.caller,
            kind: target.kind,
            user: target.owner,
            object_id: target.id,
            object_version: decision.object.version,
            chain_revision: decision.chain_revision,
            verdict: decision.verdict.as_str().to_owned(),
            policy,
            why,
            reviews: decision.reviews,
        }
    }
}
