//! A request as an author writes it: each field has a default, so that a case names only what it is
//! about.
//!
//! | field | default |
//! |---|---|
//! | `tenant` | `acme` |
//! | `at` | `2026-01-01T00:00:00Z` |
//! | `caller.kind` | `site-key` for a photo, `api-client` for a document |
//! | `caller.id` | `caller` |
//! | `caller.permissions` | `["photos:write"]`, `["documents:write"]` |
//! | `object.kind` | `photo` |
//! | `object.id`, `object.owner` | `object`, `6` |
//! | `object.version`, `object.size-bytes` | `1`, `1024` |
//! | `object.media-type` | `image/png`, `application/pdf` |
//! | `object.created-at` | the time of `at` |
//! | `object.labels` | `[]`; they are given to the policy sorted, each once |
//! | `object.retain-until` | none |

use atropos::domain::decision::{DecisionCaller, Question};
use atropos::target::{CallerKind, Kind, Object, Permission, Subdomain, Target, TenantId};
use serde::Deserialize;

use super::written::{Time, word};

/// When a request is made that does not say: 2026-01-01T00:00:00Z.
const AT_MS: u64 = 1_767_225_600_000;

/// A request in which anything may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Form {
    #[serde(deserialize_with = "word")]
    tenant: Option<Subdomain>,
    at: Option<Time>,
    caller: CallerForm,
    object: ObjectForm,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct CallerForm {
    kind: Option<CallerKind>,
    id: Option<String>,
    permissions: Option<Vec<Permission>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ObjectForm {
    kind: Option<Kind>,
    id: Option<String>,
    owner: Option<String>,
    version: Option<u64>,
    size_bytes: Option<u64>,
    media_type: Option<String>,
    created_at: Option<Time>,
    labels: Vec<String>,
    retain_until: Option<Time>,
}

/// Why a request makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is not TOML, or has a key that no request has; the source names the line.
    #[error("the request is not valid TOML")]
    Toml(#[source] Box<toml::de::Error>),
    /// It is not JSON, or has a key that no request has; the source names the line.
    #[error("the request is not valid JSON")]
    Json(#[source] serde_json::Error),
}

/// Reads a request: JSON if it begins with `{`, else TOML.
///
/// # Errors
/// It is neither, or names what no request has.
pub fn request(text: &str) -> Result<Question, RequestError> {
    let form: Form = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(RequestError::Json)?
    } else {
        toml::from_str(text).map_err(|error| RequestError::Toml(Box::new(error)))?
    };
    Ok(form.into())
}

impl From<Form> for Question {
    fn from(form: Form) -> Self {
        let at_ms = form.at.map_or(AT_MS, |at| at.0);
        let facts = form.object;
        let kind = facts.kind.unwrap_or(Kind::Photo);
        let (caller_kind, permission, media_type) = match kind {
            Kind::Photo => (CallerKind::SiteKey, Permission::PhotosWrite, "image/png"),
            Kind::Document => {
                let client = CallerKind::ApiClient;
                (client, Permission::DocumentsWrite, "application/pdf")
            }
        };
        let or = |given: Option<String>, default: &str| given.unwrap_or_else(|| default.to_owned());
        let mut labels = facts.labels;
        labels.sort_unstable();
        labels.dedup();
        Self {
            tenant: form.tenant.unwrap_or_else(Subdomain::sample),
            caller: DecisionCaller {
                kind: form.caller.kind.unwrap_or(caller_kind),
                id: or(form.caller.id, "caller"),
                permissions: form.caller.permissions.unwrap_or_else(|| vec![permission]),
            },
            object: Object {
                target: Target {
                    // Policies know a tenant by its subdomain.
                    tenant: TenantId(0),
                    kind,
                    owner: or(facts.owner, "6"),
                    id: or(facts.id, "object"),
                },
                version: facts.version.unwrap_or(1),
                size_bytes: facts.size_bytes.unwrap_or(1024),
                media_type: or(facts.media_type, media_type),
                created_at_ms: facts.created_at.map_or(at_ms, |at| at.0),
                labels,
                retain_until_ms: facts.retain_until.map(|at| at.0),
                // The host itself refuses what is on hold, and asks no policy.
                held: false,
            },
            at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_is_a_new_photo() {
        let question = request("").unwrap();
        assert_eq!(question.tenant.as_str(), "acme");
        assert_eq!(question.at_ms, AT_MS);
        assert_eq!(question.object.created_at_ms, AT_MS);
        assert_eq!(question.object.target.kind, Kind::Photo);
        assert_eq!(question.caller.permissions, [Permission::PhotosWrite]);
    }

    #[test]
    fn a_document_is_asked_for_by_a_client() {
        for text in [
            "object.kind = \"document\"",
            r#"{"object":{"kind":"document"}}"#,
        ] {
            let question = request(text).unwrap();
            assert_eq!(question.caller.kind, CallerKind::ApiClient);
            assert_eq!(question.object.media_type, "application/pdf");
        }
    }

    #[test]
    fn labels_come_as_the_host_keeps_them() {
        let question = request(r#"object.labels = ["b", "a", "b"]"#).unwrap();
        assert_eq!(question.object.labels, ["a", "b"]);
    }

    #[test]
    fn an_unknown_field_is_named_with_those_there_are() {
        for text in ["object.colour = 1", r#"{"object":{"colour":1}}"#] {
            let error = request(text).unwrap_err();
            let why = std::error::Error::source(&error).unwrap().to_string();
            assert!(
                why.contains("unknown field `colour`, expected one of"),
                "{why}"
            );
        }
    }
}
