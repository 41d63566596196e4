//! Policies: which there are, and which of them judge the deletes of a tenant.

mod asking;
mod bench;
mod change;
mod deploy;
mod history;
mod list;
mod new;
pub(super) mod prepare;
mod run;
mod shadow;
mod test;

use atropos::target::Subdomain;
use atropos_service::config::Config;
use atropos_service::service::DataDirectory;
use clap::Subcommand;

use self::change::Change;
use super::chain::Link;
use super::limits::Limits;
use super::open::{with_directory, with_service};
use super::output::Answer;
use super::values::{self, Paging};
use super::{Failure, tenant};

/// The verbs of a policy's author need no data directory, and those of chains do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin a policy: a project that builds, and whose cases pass
    New(new::New),
    /// Try a policy against cases
    Test(test::Test),
    /// Have a policy judge one request, and show why
    Run(run::Run),
    /// Measure what decisions cost, and compare it with what they cost before
    Bench(bench::BenchArgs),
    #[command(flatten)]
    OfChains(Verb),
}

impl Command {
    pub(crate) async fn run(self, config: Config, json: bool) -> Result<(), Failure> {
        match self {
            Self::New(typed) => new::run(typed)?.print(json),
            Self::Test(typed) => test::run(typed, config, json).await,
            Self::Run(typed) => run::run(typed, config).await?.print(json),
            Self::Bench(typed) => bench::run(typed, config, json).await,
            Self::OfChains(verb) => run_on_chains(verb, config).await?.print(json),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the built-in policies and those that are kept
    List,
    /// Put a new chain of policies in force; every one of them must allow a delete
    #[command(after_help = ASSIGNING)]
    Assign {
        #[command(flatten)]
        change: Change,
        /// A policy of the chain; give one --policy for each, in the order in which they are asked
        #[arg(long = "policy", value_name = "POLICY[=SETTINGS]", required = true)]
        chain: Vec<Link>,
        #[command(flatten)]
        limits: Limits,
        /// Only try the chain beside the one in force, without effect
        #[arg(long)]
        shadow: bool,
    },
    /// Put one policy in force: in the place of the one that has its name, or else as the last
    #[command(after_help = DEPLOYING)]
    Deploy {
        /// A component's file, or the name or digest of a policy
        policy: super::chain::PolicyName,
        #[command(flatten)]
        change: Change,
        /// Its settings: JSON, or `@` and the path of a JSON file; `{}` if left out
        #[arg(long, value_name = "SETTINGS")]
        settings: Option<super::chain::Settings>,
        #[command(flatten)]
        limits: Limits,
        /// Only try the new chain beside the one in force, without effect
        #[arg(long)]
        shadow: bool,
    },
    #[command(flatten)]
    OfRevisions(OfRevisions),
}

/// What works on the chains that there are, and loads no component.
#[derive(Debug, Subcommand)]
pub(crate) enum OfRevisions {
    /// Show the chain of a tenant
    Show {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
    /// Show every chain that a tenant has had: who changed it, when, and why
    History {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        #[command(flatten)]
        paging: Paging,
    },
    /// Put an earlier chain in force again
    #[command(after_help = "\
The chain becomes a new revision; history is never rewritten.

Examples:
  atropos policy rollback --tenant acme                 the chain before the one in force
  atropos policy rollback --tenant acme --to 3 --why 'revision 4 denied too much'")]
    Rollback {
        #[command(flatten)]
        change: Change,
        /// Which revision [default: the one before the one in force]
        #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
    },
    /// Show how the chain that is tried beside the one in force has fared
    #[command(after_help = "\
Differences are listed by sort: what would be allowed that was refused first.")]
    Shadow {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        #[command(flatten)]
        paging: Paging,
    },
    /// Put the chain in force that is tried beside it
    Promote {
        #[command(flatten)]
        change: Change,
    },
    /// Try no chain beside the one in force any more
    Withdraw {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
    /// Say whether a change that may allow more must have been replayed
    #[command(after_help = "\
While it is on, a chain is put in force only if it has every policy of the one in force with the same
settings, and so cannot allow more, or if --report names what `atropos replay` found of this very chain
beside the one in force, over all that is on record.")]
    RequireReplay {
        /// `on` or `off`
        #[arg(action = clap::ArgAction::Set, value_parser = values::switch)]
        switch: bool,
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
}

const ASSIGNING: &str = "\
POLICY is one of
  a name      of a built-in policy, as `atropos policy list` shows it
  a path      of a component: it has a `/` in it, or ends in `.wasm`
  a digest    of a component that is kept already (64 hexadecimal digits)
SETTINGS are JSON, or `@` and the path of a JSON file; `{}` if left out. The policy itself checks
them before anything changes. The new chain replaces the old one from the next decision on. Limits
that are not given stay as they are.

Examples:
  atropos policy assign --tenant acme --policy allow-all
  atropos policy assign --tenant acme --why 'contract 12/2026' \\
      --policy retention='{\"minimum-age-days\":{\"photo\":30}}' \\
      --policy labels=@labels.json \\
      --policy ./weekdays-only.wasm";

const DEPLOYING: &str = "\
The rest of the chain stays as it is. With --shadow nothing changes: the chain that would come about is
asked about live requests too, `atropos policy shadow` shows where it differs, and `atropos policy
promote` puts it in force.

Examples:
  atropos policy deploy retention.wasm --tenant acme --settings '{\"minimum-age-days\":{\"photo\":30}}'
  atropos policy deploy ./weekdays-only.wasm --tenant acme --shadow
  atropos policy deploy ./scoring.wasm --tenant acme --settings @scoring.json --memory 64MiB";

/// Whoever loads a component, or asks it something, needs the sandbox; the others do without.
async fn run_on_chains(verb: Verb, config: Config) -> Result<Answer, Failure> {
    match verb {
        Verb::List => with_service(config, async |service| list::run(service).await).await,
        Verb::Assign {
            change,
            chain,
            limits,
            shadow,
        } => {
            with_service(config, async |service| {
                deploy::assign(service, change, &chain, limits, shadow).await
            })
            .await
        }
        Verb::Deploy {
            policy,
            change,
            settings,
            limits,
            shadow,
        } => {
            let link = Link::new(policy, settings);
            with_service(config, async |service| {
                deploy::deploy(service, change, &link, limits, shadow).await
            })
            .await
        }
        Verb::OfRevisions(verb) => with_directory(config, async |data| verb.run(data).await).await,
    }
}

impl OfRevisions {
    async fn run(self, data: &DataDirectory) -> Result<Answer, Failure> {
        match self {
            Self::Show { tenant } => history::show(data, &tenant).await,
            Self::History { tenant, paging } => history::list(data, &tenant, paging).await,
            Self::Rollback { change, to } => history::rollback(data, change, to).await,
            Self::Shadow { tenant, paging } => shadow::show(data, &tenant, paging).await,
            Self::Promote { change } => shadow::promote(data, change).await,
            Self::Withdraw { tenant } => shadow::withdraw(data, &tenant).await,
            Self::RequireReplay { switch, tenant } => {
                let tenant = tenant::named(data, &tenant).await?;
                data.policies.require_replay(tenant.id, switch).await?;
                let value =
                    serde_json::json!({ "tenant": tenant.subdomain, "replayRequired": switch });
                let line = match switch {
                    true => "a change that may allow more must have been replayed",
                    false => "a chain is changed without a replay",
                };
                Answer::line(&value, line)
            }
        }
    }
}
