//! All that touches wasmtime: engine, limits, plugin, gate, policy.

use serde::Serialize;

use crate::config::Config;
use crate::erase::{Platform, Request};
use crate::error::Refused;
use crate::store::decision::Decision;
use crate::target::Digest;

/// Why a component or the sandbox cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// To come.
    #[error("to come")]
    ToCome,
}

/// What a call into the plugin came to.
pub enum Served {
    /// The plugin staged an erasure and returned success.
    Staged(Decision),
    /// It did not, or failed.
    Refused {
        /// Why.
        refused: Refused,
        /// The decision, if the gate was asked.
        decision: Option<Decision>,
    },
}

/// Runs guests: the deletion plugin for each request, policies for the gate, and components that an
/// operator wants checked.
pub struct Sandbox {}

impl Sandbox {
    /// Starts engine and sandbox.
    ///
    /// # Errors
    /// The engine cannot be set up on this machine, or the built-in plugin does not load.
    pub fn start(_platform: &Platform, _config: &Config) -> Result<Self, GuestError> {
        Err(GuestError::ToCome)
    }

    /// Serves one request in fresh instances.
    pub async fn serve(&self, _request: &Request) -> Served {
        Served::Refused {
            refused: Refused::Unavailable,
            decision: None,
        }
    }

    /// Loads a component and tells what it is.
    ///
    /// # Errors
    /// It meets neither world; the error says exactly what is wrong.
    pub async fn check(&self, _bytes: &[u8]) -> Result<Report, GuestError> {
        Err(GuestError::ToCome)
    }

    /// Has a policy check settings before a chain takes them on.
    ///
    /// # Errors
    /// The component cannot be asked. Problems with the settings are the value; none is good.
    pub async fn validate_settings(
        &self,
        _policy: &[u8],
        _settings: &str,
    ) -> Result<Vec<SettingsProblem>, GuestError> {
        Err(GuestError::ToCome)
    }
}

/// The policies that come with the program, by name; `allow-all` is the first.
pub fn built_in_policies() -> &'static [(&'static str, &'static [u8])] {
    &[]
}

/// What a component is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its name in chains and records.
    pub digest: Digest,
    /// `deletion-plugin` or `policy-plugin`.
    pub world: &'static str,
    /// Its size in bytes.
    pub size_bytes: usize,
    /// The interfaces it imports.
    pub imports: Vec<String>,
    /// The interfaces it exports.
    pub exports: Vec<String>,
    /// What a policy says of itself.
    pub description: Option<Description>,
}

/// What a policy says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Lower-case name.
    pub name: String,
    /// Version.
    pub version: String,
    /// What it forbids.
    pub summary: String,
    /// JSON Schema of its settings.
    pub settings_schema: String,
}

/// One thing wrong with a policy's settings, in the policy's words.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsProblem {
    /// Where, as a dotted path; empty for the whole.
    pub path: String,
    /// What is wrong and what is expected instead.
    pub message: String,
}
