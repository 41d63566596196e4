//! Replay: recorded decisions judged again, by those who judged them or by another chain.

use std::time::Instant;

use atropos::domain::shadow::Flip;
use atropos::domain::{Chain, Report, Wanted};
use atropos::replay::{Candidate, Compared, Replay, Reproduced};
use atropos::target::{Subdomain, Tenant, now_ms};
use atropos_service::config::Config;
use atropos_service::service::Service;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use uuid::Uuid;

use super::chain::{Link, PolicyName, Settings};
use super::limits::Limits;
use super::open::with_service;
use super::output::{Answer, Columns};
use super::policy::prepare::{Prepared, prepare};
use super::{Failure, tenant, values};

const DIFFERENCES: Columns = &[
    ("DECISION", "/decision"),
    ("WHEN", "/atMs"),
    ("POLICY", "/policy"),
    ("WHAT", "/what"),
    ("RECORDED", "/recorded"),
    ("REPLAYED", "/replayed"),
];

const GROUPS: Columns = &[
    ("FLIP", "/flip"),
    ("POLICY", "/policy"),
    ("RULE", "/rule"),
    ("DECISIONS", "/decisions"),
    ("SUCH AS", "/examples"),
];

/// Judges the recorded decisions of a tenant again.
#[derive(Args, Debug)]
#[command(after_help = "\
Without a candidate, each decision is judged by the components, settings and limits on record, and must
come to the same verdict, findings and fuel, bit for bit; what does not is listed. Faults of the moment
(a deadline, a policy that was held off) and components that are not there any more are counted apart.

With a candidate, each decision for which a policy was asked is judged by that chain, with nothing put
in force. What would be allowed that was refused comes first. The findings are kept as a report, whose
id `policy assign`, `deploy` and `promote` take as --report.

Exit status: 0 all the same, or compared; 1 something did not come out as recorded.

Examples:
  atropos replay --tenant acme --since 30d
  atropos replay --tenant acme --candidate ./retention.wasm --settings @retention.json
  atropos replay --tenant acme --candidate retention --settings '{\"minimum-age-days\":{\"photo\":60}}'
  atropos replay --tenant acme --policy allow-all --policy labels=@labels.json")]
pub(crate) struct Typed {
    /// Subdomain of the tenant
    #[arg(long)]
    tenant: Subdomain,
    #[command(flatten)]
    span: values::Span,
    /// A policy to try in the place of the one that has its name, or else as the last: a component's
    /// file, or the name or digest of a policy
    #[arg(long, value_name = "POLICY")]
    candidate: Option<PolicyName>,
    /// Its settings: JSON, or `@` and the path of a JSON file; `{}` if left out
    #[arg(long, value_name = "SETTINGS", requires = "candidate")]
    settings: Option<Settings>,
    /// A policy of a whole chain to try, as `policy assign` takes it
    #[arg(
        long = "policy",
        value_name = "POLICY[=SETTINGS]",
        conflicts_with = "candidate"
    )]
    chain: Vec<Link>,
    #[command(flatten)]
    limits: Limits,
    /// Who asks, for the report [default: who you are to the system]
    #[arg(long, value_name = "NAME", value_parser = values::sentence)]
    by: Option<String>,
}

pub(crate) async fn run(typed: Typed, config: Config, json: bool) -> Result<(), Failure> {
    with_service(config, async |service| typed.run(service, json).await).await
}

impl Typed {
    async fn run(self, service: &Service, json: bool) -> Result<(), Failure> {
        let tenant = tenant::named(service, &self.tenant).await?;
        let active = service.chains.chain(tenant.id).await?;
        let active = active.map(|chain| Chain::clone(&chain)).unwrap_or_default();
        let replay = Replay {
            sandbox: service.atropos.sandbox(),
            catalogue: service.catalogue.clone(),
            tenant: tenant.id,
            wanted: Wanted {
                since_ms: self.span.since,
                // What is decided from now on is not waited for.
                until_ms: self.span.until.or(Some(now_ms())),
                ..Wanted::default()
            },
            limits: service.config.policy,
        };
        let limits = self.limits.over(active.limits);
        let links = match self.candidate.clone() {
            Some(policy) => vec![Link::new(policy, self.settings.clone())],
            None => self.chain.clone(),
        };
        if links.is_empty() && limits == active.limits {
            return reproduce(&replay, json).await;
        }
        let typed = prepare(service, &links, limits).await?;
        let chain = Chain {
            revision: active.revision,
            entries: match typed.first() {
                Some(one) if self.candidate.is_some() => active.entries_with(one.entry.clone()),
                Some(_) => typed.iter().map(|policy| policy.entry.clone()).collect(),
                // Only its limits are others.
                None => active.entries,
            },
            limits,
            shadow: None,
        };
        let compared = compare(&replay, &chain, &typed).await?;
        let report = self.report(service, &tenant, &chain, &compared).await?;
        compared_answer(&report, &compared)?.print(json)
    }

    /// Keeps what was found.
    async fn report(
        self,
        service: &Service,
        tenant: &Tenant,
        chain: &Chain,
        compared: &Compared,
    ) -> Result<Report, Failure> {
        let report = Report {
            id: Uuid::new_v4(),
            tenant: tenant.id,
            base_revision: chain.revision,
            candidate: chain.digest(),
            at_ms: now_ms(),
            by: self.by.unwrap_or_else(values::operator),
            since_ms: self.span.since,
            until_ms: self.span.until,
            decisions: compared.decisions,
            deny_to_allow: compared.flips(Flip::DenyToAllow),
            allow_to_deny: compared.flips(Flip::AllowToDeny),
            faults: compared.flips(Flip::ToFault),
        };
        service.policies.add_report(&report).await?;
        Ok(report)
    }
}

async fn reproduce(replay: &Replay<'_>, json: bool) -> Result<(), Failure> {
    let progress = Progress::over(replay.count().await?);
    let found = replay.reproduce(|done| progress.tell(done)).await?;
    let took = progress.end(found.decisions);
    reproduced_answer(&found)?.note(took).print(json)?;
    match found.differing {
        0 => Ok(()),
        differing => Err(Failure::NotReproduced { differing }),
    }
}

/// Has the chain judge. The components that were typed need not be kept.
async fn compare(
    replay: &Replay<'_>,
    chain: &Chain,
    typed: &[Prepared],
) -> Result<Compared, Failure> {
    let mut at_hand = Vec::new();
    for policy in typed {
        let judge = replay.sandbox.judge(&policy.component.bytes).await;
        at_hand
            .push(judge.map_err(|error| super::component::unusable(&policy.entry.policy, error))?);
    }
    let candidate = Candidate::prepare(replay, chain, &at_hand).await?;
    let progress = Progress::over(replay.count().await?);
    let compared = replay.compare(&candidate, |done| progress.tell(done));
    let compared = compared.await?;
    progress.end(compared.decisions);
    Ok(compared)
}

fn reproduced_answer(found: &Reproduced) -> Result<Answer, Failure> {
    let caption = format!(
        "{} decisions replayed: {} identical, {} differ, {} cannot be reproduced",
        found.decisions, found.identical, found.differing, found.not_reproducible
    );
    let mut answer = match found.differences.is_empty() {
        true => Answer::line(found, caption)?,
        false => Answer::parts(found, caption, "/differences", DIFFERENCES)?,
    };
    for (digest, code) in &found.components {
        answer = answer.note(format!("the component {digest} cannot be had: {code}"));
    }
    Ok(answer)
}

/// What was found, and under which id it is kept.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    report: &'a Report,
    #[serde(flatten)]
    compared: &'a Compared,
    from_fault: u64,
}

fn compared_answer(report: &Report, compared: &Compared) -> Result<Answer, Failure> {
    let shown = Shown {
        report,
        compared,
        from_fault: compared.flips(Flip::FromFault),
    };
    let caption = format!(
        "{} decisions judged by the candidate beside revision {}: {} would be allowed that were \
         refused, {} refused that were allowed, {} would fail, {} would fail no more; {} come to the \
         same; for {} no policy was asked\nreport {}",
        compared.decisions,
        report.base_revision,
        report.deny_to_allow,
        report.allow_to_deny,
        report.faults,
        shown.from_fault,
        compared.same,
        compared.unasked,
        report.id
    );
    Answer::parts(&shown, caption, "/groups", GROUPS)
}

/// How far it is, on a terminal.
struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    fn over(decisions: u64) -> Self {
        let bar = ProgressBar::new(decisions);
        let look = "{bar:40} {pos} of {len} decisions, {per_sec}, {eta} left";
        Self {
            bar: match ProgressStyle::with_template(look) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            },
            started: Instant::now(),
        }
    }

    fn tell(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Clears the bar, and says how long so many took.
    fn end(self, decisions: u64) -> String {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        format!(
            "{decisions} decisions in {seconds:.1} s, {:.0} a second",
            decisions as f64 / seconds.max(1e-6)
        )
    }
}
