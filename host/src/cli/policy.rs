//! Policies: which there are, and which of them judge the deletes of a tenant.

mod asking;
mod run;
mod test;

use std::collections::HashMap;

use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::chain::{Link, PolicyName};
use super::component::{POLICY_PLUGIN, check, read, unusable};
use super::output::{Answer, Columns};
use super::{Failure, SettingsRefusal, tenant, with_service};
use crate::config::Config;
use crate::guest::{BUILT_IN_POLICIES, Description};
use crate::service::Service;
use crate::store::ChainEntry;
use crate::target::{Digest, Subdomain, Tenant, now_ms};

const LISTED: Columns = &[
    ("NAME", "/name"),
    ("VERSION", "/description/version"),
    ("BUILT IN", "/builtIn"),
    ("TENANTS", "/tenants"),
    ("DIGEST", "/digest"),
    ("FORBIDS", "/description/summary"),
];

const CHAIN: Columns = &[
    ("POLICY", "/policy"),
    ("DIGEST", "/digest"),
    ("SETTINGS", "/settings"),
];

/// The verbs of a policy's author need no data directory, and those of chains do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try a policy against cases
    Test(test::Test),
    /// Have a policy judge one request, and show why
    Run(run::Run),
    #[command(flatten)]
    OfChains(Verb),
}

impl Command {
    pub(crate) async fn run(self, config: Config, json: bool) -> Result<(), Failure> {
        match self {
            Self::Test(typed) => test::run(typed, config, json).await,
            Self::Run(typed) => run::run(typed, config).await?.print(json),
            Self::OfChains(verb) => {
                let answer = with_service(config, async |service| run(verb, service).await);
                answer.await?.print(json)
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the built-in policies and those that chains name
    List,
    /// Put a new chain of policies in force; every one of them must allow a delete
    #[command(after_help = ASSIGNING)]
    Assign {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
        /// A policy of the chain; give one --policy for each, in the order in which they are asked
        #[arg(long = "policy", value_name = "POLICY[=SETTINGS]", required = true)]
        chain: Vec<Link>,
    },
    /// Show the chain of a tenant
    Show {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
}

const ASSIGNING: &str = "\
POLICY is one of
  a name      of a built-in policy, as `atropos policy list` shows it
  a path      of a component: it has a `/` in it, or ends in `.wasm`
  a digest    of a component that a chain names already (64 hexadecimal digits)
SETTINGS are JSON, or `@` and the path of a JSON file; `{}` if left out. The policy itself checks
them before anything changes. The new chain replaces the old one from the next decision on.

Examples:
  atropos policy assign --tenant acme --policy allow-all
  atropos policy assign --tenant acme \\
      --policy retention='{\"minimum-age-days\":{\"photo\":30}}' \\
      --policy labels=@labels.json \\
      --policy ./weekdays-only.wasm";

pub(crate) async fn run(verb: Verb, service: &Service) -> Result<Answer, Failure> {
    match verb {
        Verb::List => list(service).await,
        Verb::Assign { tenant, chain } => {
            let tenant = tenant::named(service, &tenant).await?;
            assign(service, tenant, &chain).await
        }
        Verb::Show { tenant } => {
            let tenant = tenant::named(service, &tenant).await?;
            match service.chains.chain(tenant.id).await? {
                Some(chain) => shown(&tenant, chain.revision, &chain.entries),
                None => Err(Failure::NotFound {
                    what: "chain for tenant",
                    name: tenant.subdomain.to_string(),
                }),
            }
        }
    }
}

async fn assign(service: &Service, tenant: Tenant, chain: &[Link]) -> Result<Answer, Failure> {
    let (mut policies, mut refusals) = (Vec::new(), Vec::new());
    for link in chain {
        let (policy, refused) = prepare(service, link).await?;
        policies.push(policy);
        refusals.extend(refused);
    }
    if !refusals.is_empty() {
        return Err(Failure::Settings(refusals));
    }
    let mut entries = Vec::new();
    for (entry, bytes) in policies {
        let kept = service
            .tenants
            .add_component(entry.digest, &entry.policy, &bytes);
        kept.await?;
        entries.push(entry);
    }
    let revision = service
        .tenants
        .assign(tenant.id, &entries, now_ms())
        .await?;
    shown(&tenant, revision, &entries)
}

pub(crate) type Prepared = ((ChainEntry, Vec<u8>), Vec<SettingsRefusal>);

/// Finds the component, and has it check its settings.
pub(crate) async fn prepare(service: &Service, link: &Link) -> Result<Prepared, Failure> {
    let settings = link.settings().await?;
    let bytes = bytes(service, &link.policy).await?;
    let report = check(service, &bytes, &link.policy, POLICY_PLUGIN).await?;
    let sandbox = service.atropos.sandbox();
    let problems = sandbox.validate_settings(&bytes, &settings).await;
    let problems = problems.map_err(|error| unusable(&link.policy, error))?;
    let name = match report.description {
        Some(description) => description.name,
        None => link.policy.to_string(),
    };
    let refusals = problems.into_iter().map(|problem| SettingsRefusal {
        policy: name.clone(),
        path: problem.path,
        message: problem.message,
    });
    let refusals = refusals.collect();
    let entry = ChainEntry {
        policy: name,
        digest: report.digest,
        settings,
    };
    Ok(((entry, bytes), refusals))
}

async fn bytes(service: &Service, policy: &PolicyName) -> Result<Vec<u8>, Failure> {
    match policy {
        PolicyName::File(file) => read(file).await,
        PolicyName::BuiltIn(name) => built_in(name).map(<[u8]>::to_vec),
        PolicyName::Kept(digest) => {
            let own = BUILT_IN_POLICIES.iter().map(|(_, bytes)| *bytes);
            if let Some(own) = own.into_iter().find(|bytes| Digest::of(bytes) == *digest) {
                return Ok(own.to_vec());
            }
            let kept = service.chains.component(*digest).await?;
            kept.ok_or_else(|| Failure::NotFound {
                what: "component",
                name: digest.to_string(),
            })
        }
    }
}

fn built_in(wanted: &str) -> Result<&'static [u8], Failure> {
    let found = BUILT_IN_POLICIES.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, bytes)| *bytes).ok_or_else(|| {
        let names = BUILT_IN_POLICIES.map(|(name, _)| name).join(", ");
        Failure::Usage(format!(
            "there is no built-in policy `{wanted}`; there are {names}; a file is named by its \
             path, such as ./{wanted}.wasm"
        ))
    })
}

fn shown(tenant: &Tenant, revision: u64, entries: &[ChainEntry]) -> Result<Answer, Failure> {
    let row = |entry: &ChainEntry| json!({ "policy": entry.policy, "digest": entry.digest, "settings": entry.settings });
    let rows = entries.iter().map(row).collect::<Vec<_>>();
    let value = json!({ "tenant": tenant.subdomain, "revision": revision, "chain": rows });
    let caption = format!("{}, revision {revision}", tenant.subdomain);
    Answer::parts(&value, caption, "/chain", CHAIN)
}

/// A policy that can be assigned.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    digest: Digest,
    built_in: bool,
    tenants: Vec<Subdomain>,
    /// None if it does not load any more.
    description: Option<Description>,
}

async fn list(service: &Service) -> Result<Answer, Failure> {
    let mut listed = Vec::new();
    let mut place = HashMap::new();
    for (name, bytes) in BUILT_IN_POLICIES {
        place.insert(Digest::of(bytes), listed.len());
        listed.push(Listed {
            name: name.to_owned(),
            digest: Digest::of(bytes),
            built_in: true,
            tenants: Vec::new(),
            description: None,
        });
    }
    for tenant in service.tenants.tenants().await? {
        let chain = service.chains.chain(tenant.id).await?;
        for entry in chain.iter().flat_map(|chain| &chain.entries) {
            let at = *place.entry(entry.digest).or_insert(listed.len());
            if at == listed.len() {
                listed.push(Listed {
                    name: entry.policy.clone(),
                    digest: entry.digest,
                    built_in: false,
                    tenants: Vec::new(),
                    description: None,
                });
            }
            if let Some(policy) = listed.get_mut(at) {
                policy.tenants.push(tenant.subdomain.clone());
            }
        }
    }
    for policy in &mut listed {
        policy.tenants.dedup();
        let bytes = bytes(service, &PolicyName::Kept(policy.digest)).await?;
        let report = service.atropos.sandbox().check(&bytes).await;
        policy.description = report.ok().and_then(|report| report.description);
    }
    Answer::table(&listed, LISTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    #[test]
    fn the_first_chain_of_a_tenant_comes_with_the_program() {
        assert!(!built_in("allow-all").unwrap().is_empty());
    }

    #[test]
    fn a_policy_that_does_not_exist_is_answered_with_those_that_do() {
        let failure = built_in("allow-most").unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("allow-all, retention, labels"));
    }
}
