//! Which policies there are.

use atropos::domain::PolicyLimits;
use atropos::domain::policies::{About, ComponentInfo};
use atropos::guest::BUILT_IN_POLICIES;
use atropos::target::Digest;
use atropos_service::service::Service;
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::output::{Answer, Columns};

const LISTED: Columns = &[
    ("NAME", "/name"),
    ("VERSION", "/version"),
    ("BUILT IN", "/builtIn"),
    ("TENANTS", "/tenants"),
    ("BYTES", "/sizeBytes"),
    ("KEPT SINCE", "/addedAtMs"),
    ("DIGEST", "/digest"),
    ("FORBIDS", "/summary"),
];

/// A policy that can be put in force.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    digest: Digest,
    built_in: bool,
    #[serde(flatten)]
    about: Option<About>,
    size_bytes: u64,
    /// Not of one that comes with the program and was never used.
    added_at_ms: Option<u64>,
    tenants: u64,
}

/// Lists the built-in policies, and then those that are kept.
pub(crate) async fn run(service: &Service) -> Result<Answer, Failure> {
    let mut kept = service.policies.components().await?;
    let mut listed = Vec::new();
    for &(name, bytes) in BUILT_IN_POLICIES {
        let digest = Digest::of(bytes);
        let report = service
            .atropos
            .sandbox()
            .check(bytes, PolicyLimits::default());
        let said = report.await.ok().and_then(|report| report.description);
        let about = said.map(|said| About {
            version: said.version,
            summary: said.summary,
            settings_schema: said.settings_schema,
        });
        let used = kept.iter().position(|kept| kept.digest == digest);
        let used = used.map(|at| kept.remove(at));
        listed.push(Listed {
            name: name.to_owned(),
            digest,
            built_in: true,
            about,
            size_bytes: bytes.len() as u64,
            added_at_ms: used.as_ref().map(|used| used.added_at_ms),
            tenants: used.map_or(0, |used| used.tenants),
        });
    }
    // What says nothing of itself is a plugin.
    let policies = kept.into_iter().filter(|kept| kept.about.is_some());
    listed.extend(policies.map(Listed::from));
    Answer::table(&listed, LISTED)
}

impl From<ComponentInfo> for Listed {
    fn from(kept: ComponentInfo) -> Self {
        Self {
            name: kept.name,
            digest: kept.digest,
            built_in: false,
            about: kept.about,
            size_bytes: kept.size_bytes,
            added_at_ms: Some(kept.added_at_ms),
            tenants: kept.tenants,
        }
    }
}
