//! One photo, and whether it is old enough to go: what every variant decides on.

use anyhow::Result;
use atropos::domain::decision::{DecisionCaller, Question};
use atropos::target::{CallerKind, Kind, Object, Permission, Target, TenantId};
use serde_json::json;

/// What the rule asks of a photo, in days. The variants hold it each in their own language.
pub const PHOTO_DAYS: u64 = 30;
/// What the rule asks of a document, in days.
pub const DOCUMENT_DAYS: u64 = 2555;
/// A day in milliseconds.
pub const DAY_MS: u64 = 86_400_000;

/// When the photo was uploaded: in January 2026.
const UPLOADED_MS: u64 = 1_768_003_200_000;

/// Facts, and what the rule says of them.
pub struct Case {
    /// `allows` or `denies`.
    pub name: &'static str,
    /// What is asked.
    pub question: Question,
    /// Whether the photo may go.
    pub allows: bool,
}

/// A photo that is just old enough, and one that will be tomorrow.
///
/// # Errors
/// A name in here is malformed.
pub fn cases() -> Result<[Case; 2]> {
    Ok([
        case("allows", PHOTO_DAYS, true)?,
        case("denies", PHOTO_DAYS - 1, false)?,
    ])
}

fn case(name: &'static str, age_days: u64, allows: bool) -> Result<Case> {
    let target = Target {
        tenant: TenantId(1),
        kind: Kind::Photo,
        owner: "u-1001".to_owned(),
        id: "p-48151623".to_owned(),
    };
    let question = Question {
        tenant: "pictures".parse()?,
        caller: DecisionCaller {
            kind: CallerKind::SiteKey,
            id: "key-of-the-shop".to_owned(),
            permissions: vec![Permission::PhotosWrite],
        },
        object: Object {
            version: 3,
            created_at_ms: UPLOADED_MS,
            labels: vec!["holiday".to_owned()],
            ..Object::new(target, 2_481_152, "image/jpeg")
        },
        at_ms: UPLOADED_MS + age_days * DAY_MS,
    };
    Ok(Case {
        name,
        question,
        allows,
    })
}

/// All facts that a policy of ours is given, as text, for the peers that take it: a platform does not know
/// which of them matter.
pub fn json(question: &Question) -> String {
    let Question {
        tenant,
        caller,
        object,
        at_ms,
    } = question;
    json!({
        "tenant": tenant.as_str(),
        "caller": {
            "kind": match caller.kind {
                CallerKind::SiteKey => "site-key",
                CallerKind::ApiClient => "api-client",
            },
            "id": caller.id,
            "photosWrite": caller.permissions.contains(&Permission::PhotosWrite),
        },
        "object": {
            "kind": object.target.kind.as_str(),
            "id": object.target.id,
            "owner": object.target.owner,
            "version": object.version,
            "sizeBytes": object.size_bytes,
            "mediaType": object.media_type,
            "createdAtMs": object.created_at_ms,
            "labels": object.labels,
        },
        "atMs": at_ms,
    })
    .to_string()
}
