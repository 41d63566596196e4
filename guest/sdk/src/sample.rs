//! Requests for the unit tests of policies: `Request { at_ms: 5, ..sample::photo() }`.

use crate::{CallerFacts, CallerKind, ObjectFacts, ObjectKind, Permissions, Request};

/// A day in milliseconds.
pub const DAY_MS: u64 = 86_400_000;

/// A site key asks to erase a photo without labels, uploaded at 0 and asked for at 0.
pub fn photo() -> Request {
    request(
        ObjectKind::Photo,
        "image/png",
        CallerKind::SiteKey,
        Permissions::PHOTOS_WRITE,
    )
}

/// An API client asks to erase a document without labels, uploaded at 0 and asked for at 0.
pub fn document() -> Request {
    let client = CallerKind::ApiClient;
    request(
        ObjectKind::Document,
        "application/pdf",
        client,
        Permissions::DOCUMENTS_WRITE,
    )
}

fn request(
    kind: ObjectKind,
    media_type: &str,
    caller: CallerKind,
    permissions: Permissions,
) -> Request {
    Request {
        tenant: "acme".to_owned(),
        caller: CallerFacts {
            kind: caller,
            id: "caller".to_owned(),
            permissions,
        },
        object: ObjectFacts {
            kind,
            id: "object".to_owned(),
            owner: "6".to_owned(),
            version: 1,
            size_bytes: 1024,
            media_type: media_type.to_owned(),
            created_at_ms: 0,
            labels: Vec::new(),
            retain_until_ms: None,
        },
        at_ms: 0,
    }
}
