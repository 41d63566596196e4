//! A request to delete, as it came over the wire.

use crate::target::Kind;

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
}
