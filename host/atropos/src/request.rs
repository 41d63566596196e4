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

    /// The digest of the credential that it claims, which may be no good; `None` if it claims none.
    ///
    /// What a client can vary without another credential does not count: the website beside a key, the
    /// scheme and the space before a token.
    pub fn credential(&self) -> Option<Digest> {
        let sent = match self {
            Self::Photo(photo) => photo.site_key.as_deref(),
            Self::Document(document) => {
                let sent = document.authorization.as_deref();
                sent.and_then(|sent| sent.split_ascii_whitespace().last())
            }
        };
        let claimed = sent.filter(|sent| !sent.is_empty())?;
        Some(Digest::of(claimed.as_bytes()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_the_same_however_it_is_sent() {
        let photo = |website: &str, key: Option<&str>| {
            Request::Photo(PhotoRequest {
                website_id: Some(website.to_owned()),
                site_key: key.map(str::to_owned),
                ..PhotoRequest::default()
            })
        };
        let document = |sent: Option<&str>| {
            Request::Document(DocumentRequest {
                authorization: sent.map(str::to_owned),
                ..DocumentRequest::default()
            })
        };
        let claimed = Some(Digest::of(b"secret"));
        let table = [
            (photo("7", Some("secret")), claimed),
            (photo("007 ", Some("secret")), claimed),
            (photo("7", Some("")), None),
            (photo("7", None), None),
            (document(Some("Bearer secret")), claimed),
            (document(Some("bearer   secret ")), claimed),
            (document(Some("secret")), claimed),
            (document(Some(" ")), None),
            (document(None), None),
        ];
        for (request, credential) in table {
            assert_eq!(request.credential(), credential, "{request:?}");
        }
    }
}
