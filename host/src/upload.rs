//! Making an object live: bytes first, under keys that are doomed until the row exists.
//!
//! **Invariant:** an upload holds at most one photo in memory, and of a document a few buffers.

use std::sync::Arc;

use tokio::io::AsyncRead;

use crate::config;
use crate::store::{Blobs, Catalogue, StoreError, Stored};
use crate::target::TenantId;

/// Takes uploads. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {}

/// What is known of an upload before its first byte.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Whose customer's.
    pub tenant: TenantId,
    /// The user it will belong to.
    pub owner: String,
    /// Its id; a random GUID if `None`.
    pub id: Option<String>,
    /// The name the owner gave it.
    pub name: String,
    /// Sorted and freed of repetition by the upload.
    pub labels: Vec<String>,
    /// Not erased before this time.
    pub retain_until_ms: Option<u64>,
}

/// Why an upload is refused. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It has more bytes than it may.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It is none of the picture formats that are decoded: JPEG, PNG, GIF, WebP.
    #[error("the file is not a JPEG, PNG, GIF or WebP picture")]
    NotAPicture,
    /// It would take more memory to decode than it may.
    #[error("the picture has more than {limit} pixels")]
    TooManyPixels {
        /// The limit.
        limit: u64,
    },
    /// Its sender failed.
    #[error("the upload broke off")]
    Read(#[source] std::io::Error),
    /// It cannot be stored; a taken id is [`StoreError::Taken`].
    #[error("the upload cannot be stored")]
    Store(#[from] StoreError),
}

impl Uploads {
    /// Takes uploads within `limits`.
    pub fn new(
        _catalogue: Arc<dyn Catalogue>,
        _blobs: Arc<dyn Blobs>,
        _limits: &config::Upload,
    ) -> Self {
        Self {}
    }

    /// Takes a photo: decodes it within the limits and derives its `standard` rendition.
    ///
    /// # Errors
    /// Refused, or not stored.
    pub async fn photo(
        &self,
        _new: NewUpload,
        _content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Stored, UploadError> {
        Err(UploadError::Empty)
    }

    /// Takes a document as a stream.
    ///
    /// # Errors
    /// Refused, or not stored.
    pub async fn document(
        &self,
        _new: NewUpload,
        _content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Stored, UploadError> {
        Err(UploadError::Empty)
    }
}
