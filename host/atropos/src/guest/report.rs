//! What components say of themselves.

use serde::Serialize;

use crate::target::Digest;

/// Largest settings that a policy is given, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 64 << 10;

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
    /// The interfaces it imports, escaped.
    pub imports: Vec<String>,
    /// The interfaces it exports, escaped.
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
    /// What it forbids, escaped.
    pub summary: String,
    /// JSON Schema of its settings. Harmful characters in it are escaped as JSON does it.
    pub settings_schema: String,
}

/// One thing wrong with a policy's settings, in the policy's words, escaped. At most 512 bytes each.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsProblem {
    /// Where, as a dotted path; empty for the whole.
    pub path: String,
    /// What is wrong and what is expected instead.
    pub message: String,
}
