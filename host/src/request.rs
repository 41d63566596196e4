//! A request to delete, as it came over the wire.

use std::str::FromStr;

use crate::target::{Digest, Kind, Malformed};

/// A request as it came over the wire: neither trimmed nor parsed, absent told from empty.
#[derive(Clone, Debug)]
pub enum Request {
    /// Delete one photo.
    Photo(PhotoRequest),
    /// Delete one document.
    Document(DocumentRequest),
}

/// A request to delete a photo. Each value has at most 4 KiB.
#[derive(Clone, Debug, Default)]
pub struct PhotoRequest {
    /// Header `websiteId`.
    pub website_id: Option<String>,
    /// Header `webApiClientKey`.
    pub site_key: Option<String>,
    /// Query parameter `userId`.
    pub user_id: Option<String>,
    /// Query parameter `photoId`.
    pub photo_id: Option<String>,
}

/// A request to delete a document.
#[derive(Clone, Debug, Default)]
pub struct DocumentRequest {
    /// Header `Authorization`, at most 4 KiB.
    pub authorization: Option<String>,
    /// Header `Content-Type`, at most 4 KiB.
    pub content_type: Option<String>,
    /// The body, at most 16 KiB.
    pub body: Vec<u8>,
}

impl Request {
    /// What it asks to delete.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Photo(_) => Kind::Photo,
            Self::Document(_) => Kind::Document,
        }
    }

    /// What it asks to delete, as it was sent; whoever sends it. The body of a document's request
    /// counts byte for byte.
    pub fn meaning(&self) -> Digest {
        let kind = self.kind().as_str().as_bytes();
        match self {
            Self::Photo(photo) => {
                let given = [&photo.user_id, &photo.photo_id];
                // Absent is told from empty.
                let [user, id] = given.map(|value| match value {
                    Some(value) => [&b"sent"[..], value.as_bytes()],
                    None => [&b""[..], &b""[..]],
                });
                Digest::of_parts([&[kind][..], &user, &id].concat())
            }
            Self::Document(document) => Digest::of_parts([kind, &document.body]),
        }
    }
}

/// What a client calls one request, so that a repeat of it is told from a new one: 1 to 255 visible
/// ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=255).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            let expected = "1 to 255 visible ASCII characters";
            Err(Malformed::new("idempotency key", expected))
        }
    }
}
