//! Components: what a file is, and which deletion plugin serves.

use std::path::{Path, PathBuf};

use atropos::domain::{NewComponent, PolicyLimits};
use atropos::guest::Report;
use atropos::target::{Digest, now_ms};
use atropos_authoring::component_of;
use atropos_service::config::Config;
use atropos_service::service::Service;
use clap::Subcommand;
use serde_json::json;

use super::bare::sandbox;
use super::limits::{Limits, within_ceiling};
use super::open::{with_directory, with_service};
use super::output::{Answer, Columns};
use super::{ComponentError, Failure};

/// The world of a deletion plugin, as reports name it.
const DELETION_PLUGIN: &str = "deletion-plugin";
/// The world of a policy, as reports name it.
pub(crate) const POLICY_PLUGIN: &str = "policy-plugin";

const FIELDS: Columns = &[
    ("World", "/world"),
    ("Digest", "/digest"),
    ("Bytes", "/sizeBytes"),
    ("Imports", "/imports"),
    ("Exports", "/exports"),
    ("Name", "/description/name"),
    ("Version", "/description/version"),
    ("Summary", "/description/summary"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Tell what a component is, or exactly what is wrong with it
    #[command(after_help = "\
Needs no data directory. With --json a policy's answer includes the JSON Schema of its settings.")]
    Check {
        /// The component, or a core module that can be made one (.wasm)
        file: PathBuf,
        #[command(flatten)]
        limits: Limits,
    },
    /// Make a component of a core module
    #[command(after_help = "\
For compilers that stop half-way, such as Rust's for wasm32-unknown-unknown. The module must carry its
world, as the SDK and wit-bindgen write it. Every verb that takes a component does this by itself.

Example:
  atropos component new target/wasm32-unknown-unknown/release/policy.wasm -o retention.wasm")]
    New {
        /// The core module (.wasm)
        module: PathBuf,
        /// Where to write the component
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Choose the deletion plugin of this instance
    #[command(after_help = "\
The plugin validates requests and orders the steps of a delete. It is checked before it is taken on;
a running server serves with it from its next request.

Examples:
  atropos component choose my-plugin.wasm
  atropos component choose default           back to the one built in")]
    Choose {
        /// A component of the world `deletion-plugin`, or the word `default`
        #[arg(value_name = "FILE|default")]
        plugin: PathBuf,
    },
}

pub(crate) async fn run(verb: Verb, config: Config) -> Result<Answer, Failure> {
    match verb {
        Verb::Check { file, limits } => {
            let bytes = read(&file).await?;
            let limits = limits.over(PolicyLimits::default());
            within_ceiling(limits, &config)?;
            let report = sandbox(&config)?.check(&bytes, limits).await;
            let report = report.map_err(|error| unusable(file.display(), error))?;
            Answer::fields(&report, FIELDS)
        }
        Verb::New { module, output } => {
            let bytes = read(&module).await?;
            let written = tokio::fs::write(&output, &bytes).await;
            written.map_err(|source| Failure::Io {
                what: format!("cannot write {}", output.display()),
                source,
            })?;
            let value = json!({ "digest": Digest::of(&bytes), "sizeBytes": bytes.len() });
            Answer::line(&value, format!("{} bytes written", bytes.len()))
        }
        Verb::Choose { plugin } if plugin == Path::new("default") => {
            with_directory(config, async |data| {
                data.policies.choose_plugin(None).await?;
                let value = json!({ "plugin": null });
                Answer::line(&value, "the built-in plugin serves")
            })
            .await
        }
        Verb::Choose { plugin } => {
            with_service(config, async |service| choose(&plugin, service).await).await
        }
    }
}

async fn choose(plugin: &Path, service: &Service) -> Result<Answer, Failure> {
    let bytes = read(plugin).await?;
    let limits = PolicyLimits::default();
    let report = check(service, &bytes, plugin.display(), DELETION_PLUGIN, limits).await?;
    let name = plugin.file_stem().unwrap_or_default().to_string_lossy();
    let policies = &service.policies;
    let component = NewComponent::new(&name, &bytes, now_ms());
    policies.add_component(component).await?;
    policies.choose_plugin(Some(report.digest)).await?;
    let value = json!({ "plugin": report.digest });
    Answer::line(&value, format!("{} serves", report.digest))
}

/// Checks that `bytes` are a component of the world that is needed.
pub(crate) async fn check(
    service: &Service,
    bytes: &[u8],
    component: impl ToString,
    wanted: &'static str,
    limits: PolicyLimits,
) -> Result<Report, Failure> {
    match service.atropos.sandbox().check(bytes, limits).await {
        Ok(report) if report.world == wanted => Ok(report),
        Ok(report) => {
            let found = report.world;
            Err(unusable(component, ComponentError::World { found, wanted }))
        }
        Err(error) => Err(unusable(component, error)),
    }
}

/// A failure of this component.
pub(crate) fn unusable(component: impl ToString, source: impl Into<ComponentError>) -> Failure {
    Failure::Component {
        component: component.to_string(),
        source: source.into(),
    }
}

/// The component in a file; if that holds a core module, the component it makes.
pub(crate) async fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = tokio::fs::read(file).await;
    let bytes = bytes.map_err(|source| Failure::Io {
        what: format!("cannot read {}", file.display()),
        source,
    })?;
    let component = component_of(&bytes).map_err(|error| unusable(file.display(), error))?;
    Ok(component.into_owned())
}
