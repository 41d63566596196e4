//! Decisions: what the chain of a tenant said on each request, and why.

mod explain;
mod export;
mod record;

use std::path::PathBuf;

use atropos::domain::decision::{Decision, Verdict};
use atropos::domain::{Order, Stretch, Wanted};
use atropos::target::{Digest, Kind, Subdomain, Tenant};
use atropos_service::service::DataDirectory;
use clap::{Args, Subcommand};
use uuid::Uuid;

use self::record::Record;
use super::output::{Answer, Columns};
use super::{Failure, tenant, values};

const ROW: Columns = &[
    ("ID", "/id"),
    ("WHEN", "/atMs"),
    ("VERDICT", "/verdict"),
    ("KIND", "/kind"),
    ("OBJECT", "/objectId"),
    ("CALLER", "/caller/id"),
    ("CHAIN", "/chainRevision"),
    ("POLICY", "/policy"),
    ("WHY", "/why"),
];

const FIELDS: Columns = &[
    ("Id", "/id"),
    ("When", "/atMs"),
    ("Verdict", "/verdict"),
    ("Policy", "/policy"),
    ("Why", "/why"),
    ("Tenant", "/tenant"),
    ("Caller", "/caller/id"),
    ("Caller kind", "/caller/kind"),
    ("Permissions", "/caller/permissions"),
    ("Kind", "/kind"),
    ("User", "/user"),
    ("Object", "/objectId"),
    ("Version", "/objectVersion"),
    ("Bytes", "/sizeBytes"),
    ("Media type", "/mediaType"),
    ("Created", "/createdAtMs"),
    ("Labels", "/labels"),
    ("Held", "/held"),
    ("Kept until", "/retainUntilMs"),
    ("Chain", "/chainRevision"),
];

const REVIEWS: Columns = &[
    ("ASKED", "/policy"),
    ("OUTCOME", "/outcome"),
    ("FUEL", "/fuel"),
    ("OF", "/limits/fuel"),
    ("TOOK (µS)", "/durationUs"),
    ("DIGEST", "/digest"),
    ("SETTINGS", "/settings"),
    ("FINDINGS", "/findings"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the recorded decisions of a tenant, latest first
    #[command(after_help = "\
POLICY is the one that did not allow, and WHY its failed findings. With --json you get every policy
that was asked, with all findings, digests, settings and fuel.

Examples:
  atropos decision list --tenant acme --verdict denied --since 24h
  atropos decision list --tenant acme --user u-7 --policy retention
  atropos decision list --tenant acme --limit 20 --after 5e0c1f6a-…   the next 20")]
    List {
        #[command(flatten)]
        sought: Sought,
        /// Go on after this decision, the last one of the list before
        #[arg(long, value_name = "ID")]
        after: Option<Uuid>,
        /// How many rows to show at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Show all that is on record of one decision
    Show(Named),
    /// Say in plain words why a delete was allowed or refused, and what would have to change
    Explain(Named),
    /// Write recorded decisions as JSON, one a line, oldest first
    #[command(after_help = "\
Each line is one object with the fields that `decision show --json` has. To go on later where an
export ended, give the id in its last line to --after.

Example:
  atropos decision export --tenant acme --since 2026-01-01 --until 2026-02-01 --output january.jsonl")]
    Export {
        #[command(flatten)]
        sought: Sought,
        /// Go on after this decision, the last one of the export before
        #[arg(long, value_name = "ID")]
        after: Option<Uuid>,
        /// Write to this file, replacing it [default: stdout]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// One decision.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Its id, as lists show it
    id: Uuid,
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
}

/// Some of the decisions of a tenant: those that meet all that is given.
#[derive(Args, Debug)]
pub(crate) struct Sought {
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
    /// Only about the objects of this user
    #[arg(long)]
    user: Option<String>,
    /// Only about this kind of object
    #[arg(long, value_parser = super::values::kind())]
    kind: Option<Kind>,
    /// Only about the object of this id
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// Only what this key or client asked for, by its public id
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// Only what came to this: allowed, denied, held, retained, or a code such as policy-fuel
    #[arg(long, value_name = "WORD", value_parser = verdict)]
    verdict: Option<Verdict>,
    /// Only those for which a policy of this name was asked
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only those for which this component was asked
    #[arg(long)]
    digest: Option<Digest>,
    /// Only those of this revision of the chain
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    span: values::Span,
}

impl Sought {
    /// Whose decisions, and which. Names are brought into the form in which they are stored where the
    /// kind tells which that is.
    async fn wanted(self, data: &DataDirectory) -> Result<(Tenant, Wanted), Failure> {
        let (mut user, mut object) = (self.user, self.object);
        if let Some(kind) = self.kind {
            user = user.map(|user| values::owner(kind, &user)).transpose()?;
            object = object.map(|id| values::id(kind, &id)).transpose()?;
        }
        let wanted = Wanted {
            user,
            kind: self.kind,
            object,
            caller: self.caller,
            verdict: self.verdict,
            policy: self.policy,
            digest: self.digest,
            revision: self.revision,
            since_ms: self.span.since,
            until_ms: self.span.until,
        };
        Ok((tenant::named(data, &self.tenant).await?, wanted))
    }
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::List {
            sought,
            after,
            limit,
        } => {
            let (tenant, wanted) = sought.wanted(data).await?;
            let stretch = Stretch {
                order: Order::LatestFirst,
                after,
                limit,
            };
            let decisions = data.catalogue.decisions(tenant.id, &wanted, stretch);
            let decisions = decisions.await?.into_iter().map(Record::of);
            Answer::table(&decisions.collect::<Vec<_>>(), ROW)
        }
        Verb::Show(named) => {
            let record = Record::of(one(data, named).await?);
            let answer = Answer::sheet(&record, FIELDS, "/reviews", REVIEWS)?;
            answer.seen_as(&record.seen())
        }
        Verb::Explain(named) => {
            let decision = one(data, named).await?;
            let (tenant, number) = (decision.target().tenant, decision.chain_revision);
            let revision = data.policies.revision(tenant, number).await?;
            let explanation = explain::explain(&decision, revision.as_ref());
            let text = explanation.text();
            Answer::line(&explanation, text)
        }
        Verb::Export {
            sought,
            after,
            output,
        } => {
            let (tenant, wanted) = sought.wanted(data).await?;
            export::run(data, tenant.id, &wanted, after, output).await
        }
    }
}

async fn one(data: &DataDirectory, named: Named) -> Result<Decision, Failure> {
    let tenant = tenant::named(data, &named.tenant).await?;
    let decision = data.catalogue.decision(tenant.id, named.id).await?;
    decision.ok_or_else(|| Failure::NotFound {
        what: "decision",
        name: named.id.to_string(),
    })
}

/// A verdict by its word.
fn verdict(text: &str) -> Result<Verdict, String> {
    match Verdict::from_word(text) {
        Verdict::Fault(code) if !code.starts_with("policy-") => Err(
            "must be allowed, denied, held, retained, or the code of a fault such as policy-fuel"
                .to_owned(),
        ),
        verdict => Ok(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_that_decisions_come_to() {
        assert_eq!(verdict("denied"), Ok(Verdict::Denied));
        assert_eq!(
            verdict("policy-fuel"),
            Ok(Verdict::Fault("policy-fuel".to_owned()))
        );
        assert!(verdict("refused").is_err());
    }
}
