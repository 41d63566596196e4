//! Between the contract's types and the host's. Nothing is decided here.

use super::bindings::plugin::atropos::deletion::types as deletion;
use super::bindings::plugin::exports::atropos::deletion::deletion as export;
use super::bindings::types as wit;
use crate::domain::decision::{Finding, FindingOutcome};
use crate::error::Reason;
use crate::request::{DocumentRequest, PhotoRequest};
use crate::target::{Caller, CallerKind, Kind, Object, Permission};

pub(super) fn object(object: &Object) -> wit::ObjectFacts {
    wit::ObjectFacts {
        kind: kind(object.target.kind),
        id: object.target.id.clone(),
        owner: object.target.owner.clone(),
        version: object.version,
        size_bytes: object.size_bytes,
        media_type: object.media_type.clone(),
        created_at_ms: object.created_at_ms,
        labels: object.labels.clone(),
        retain_until_ms: object.retain_until_ms,
    }
}

pub(super) fn caller(caller: &Caller) -> wit::CallerFacts {
    wit::CallerFacts {
        kind: caller_kind(caller.kind),
        id: caller.id.clone(),
        permissions: permissions(&caller.permissions),
    }
}

pub(super) fn kind(kind: Kind) -> wit::ObjectKind {
    match kind {
        Kind::Photo => wit::ObjectKind::Photo,
        Kind::Document => wit::ObjectKind::Document,
    }
}

pub(super) fn caller_kind(kind: CallerKind) -> wit::CallerKind {
    match kind {
        CallerKind::SiteKey => wit::CallerKind::SiteKey,
        CallerKind::ApiClient => wit::CallerKind::ApiClient,
    }
}

pub(super) fn permissions(permissions: &[Permission]) -> wit::Permissions {
    let flag = |permission: &Permission| match permission {
        Permission::PhotosWrite => wit::Permissions::PHOTOS_WRITE,
        Permission::DocumentsRead => wit::Permissions::DOCUMENTS_READ,
        Permission::DocumentsWrite => wit::Permissions::DOCUMENTS_WRITE,
        Permission::Moderate => wit::Permissions::MODERATE,
    };
    permissions
        .iter()
        .map(flag)
        .fold(wit::Permissions::empty(), |all, one| all | one)
}

pub(super) fn finding(finding: wit::Finding) -> Finding {
    Finding {
        rule: finding.rule,
        outcome: match finding.outcome {
            wit::Outcome::Passed => FindingOutcome::Passed,
            wit::Outcome::Failed => FindingOutcome::Failed,
            wit::Outcome::NotApplicable => FindingOutcome::NotApplicable,
        },
        detail: finding.detail,
    }
}

pub(super) fn finding_back(finding: &Finding) -> wit::Finding {
    wit::Finding {
        rule: finding.rule.clone(),
        outcome: match finding.outcome {
            FindingOutcome::Passed => wit::Outcome::Passed,
            FindingOutcome::Failed => wit::Outcome::Failed,
            FindingOutcome::NotApplicable => wit::Outcome::NotApplicable,
        },
        detail: finding.detail.clone(),
    }
}

pub(super) fn photo_request(request: &PhotoRequest) -> export::PhotoRequest {
    export::PhotoRequest {
        website_id: request.website_id.clone(),
        site_key: request.site_key.clone(),
        user_id: request.user_id.clone(),
        photo_id: request.photo_id.clone(),
    }
}

pub(super) fn document_request(request: &DocumentRequest) -> export::DocumentRequest {
    export::DocumentRequest {
        authorization: request.authorization.clone(),
        content_type: request.content_type.clone(),
        body: request.body.clone(),
    }
}

pub(super) fn reason(reason: deletion::Reason) -> Reason {
    match reason {
        deletion::Reason::InvalidRequest => Reason::InvalidRequest,
        deletion::Reason::Unauthenticated => Reason::Unauthenticated,
        deletion::Reason::Forbidden => Reason::Forbidden,
        deletion::Reason::NotFound => Reason::NotFound,
        deletion::Reason::Denied => Reason::Denied,
        deletion::Reason::Held => Reason::Held,
        deletion::Reason::Throttled(after_ms) => Reason::Throttled(after_ms),
        deletion::Reason::Unavailable => Reason::Unavailable(None),
        deletion::Reason::Other(name) => Reason::Other(name),
    }
}
