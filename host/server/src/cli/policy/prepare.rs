//! From what was typed to a policy that can be put in force: found, checked, its settings validated.

use atropos::domain::policies::About;
use atropos::domain::{ChainEntry, NewComponent, PolicyLimits};
use atropos::guest::{BUILT_IN_POLICIES, built_in_policy};
use atropos::target::{Digest, now_ms};
use atropos_service::service::Service;

use crate::cli::chain::{Link, PolicyName};
use crate::cli::component::{POLICY_PLUGIN, check, read, unusable};
use crate::cli::limits::within_ceiling;
use crate::cli::{Failure, SettingsRefusal};

/// A policy at its place in a chain, and its component.
pub(crate) struct Prepared {
    pub(crate) entry: ChainEntry,
    pub(crate) component: NewComponent,
}

/// Finds the components of a chain, and has each check its settings. Nothing is kept yet.
///
/// # Errors
/// All that is wrong with the settings, of every policy; or the first component that cannot be used, or
/// limits beyond the ceiling.
pub(crate) async fn prepare(
    service: &Service,
    chain: &[Link],
    limits: PolicyLimits,
) -> Result<Vec<Prepared>, Failure> {
    within_ceiling(limits, &service.config)?;
    let (mut policies, mut refusals) = (Vec::new(), Vec::new());
    for link in chain {
        let (policy, refused) = one(service, link, limits).await?;
        policies.push(policy);
        refusals.extend(refused);
    }
    match refusals.is_empty() {
        true => Ok(policies),
        false => Err(Failure::Settings(refusals)),
    }
}

/// Keeps the components, so that a chain can name them.
pub(crate) async fn keep(
    service: &Service,
    policies: Vec<Prepared>,
) -> Result<Vec<ChainEntry>, Failure> {
    let mut entries = Vec::new();
    for policy in policies {
        service.policies.add_component(policy.component).await?;
        entries.push(policy.entry);
    }
    Ok(entries)
}

async fn one(
    service: &Service,
    link: &Link,
    limits: PolicyLimits,
) -> Result<(Prepared, Vec<SettingsRefusal>), Failure> {
    let settings = link.settings().await?;
    let bytes = bytes(service, &link.policy).await?;
    let report = check(service, &bytes, &link.policy, POLICY_PLUGIN, limits).await?;
    let sandbox = service.atropos.sandbox();
    let problems = sandbox.validate_settings(&bytes, &settings, limits).await;
    let problems = problems.map_err(|error| unusable(&link.policy, error))?;
    let said = report.description;
    let name = said
        .as_ref()
        .map_or_else(|| link.policy.to_string(), |said| said.name.clone());
    let refusals = problems.into_iter().map(|problem| SettingsRefusal {
        policy: name.clone(),
        path: problem.path,
        message: problem.message,
    });
    let refusals = refusals.collect();
    let about = said.map(|said| About {
        version: said.version,
        summary: said.summary,
        settings_schema: said.settings_schema,
    });
    let entry = ChainEntry {
        policy: name.clone(),
        digest: report.digest,
        settings: settings.into(),
    };
    let component = NewComponent {
        digest: report.digest,
        name,
        about,
        bytes,
        at_ms: now_ms(),
    };
    Ok((Prepared { entry, component }, refusals))
}

/// The component that was named.
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
    built_in_policy(wanted).ok_or_else(|| {
        let names: Vec<_> = BUILT_IN_POLICIES.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        Failure::Usage(format!(
            "there is no built-in policy `{wanted}`; there are {names}; a file is named by its \
             path, such as ./{wanted}.wasm"
        ))
    })
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
