//! Making an object live: bytes first, under keys that are doomed until the row exists.
//!
//! **Invariant:** an upload holds at most one photo in memory, and of a document a few buffers.
//! **Invariant:** no byte is written under a key that is not durably doomed, and only the row's own
//! transaction takes it back.

#[cfg(fuzzing)]
pub mod fuzzing;
mod intake;
mod picture;
#[cfg(test)]
mod tests;
mod webp;

use std::sync::Arc;

use tokio::io::AsyncRead;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::config;
use crate::step::{self, Step};
use crate::store::{Blobs, Catalogue, NewObject, Rendition, StoreError, Stored};
use crate::target::{BlobKey, Kind, Object, Target, TenantId, now_ms};
use intake::Intake;
use picture::Picture;

/// How many pictures are decoded at once. Each takes as much memory as its pixels.
const DECODED_AT_ONCE: usize = 2;

/// The name of the rendition that was uploaded.
const ORIGINAL: &str = "original";

/// The name of the derived smaller picture.
const STANDARD: &str = "standard";

/// What a document is whose name does not say.
const UNKNOWN: &str = "application/octet-stream";

/// Takes uploads. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {
    shared: Arc<Shared>,
}

struct Shared {
    catalogue: Arc<dyn Catalogue>,
    blobs: Arc<dyn Blobs>,
    limits: config::Upload,
    decodes: Semaphore,
}

/// What is known of an upload before its first byte.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Whose customer's.
    pub tenant: TenantId,
    /// The user it will belong to.
    pub owner: String,
    /// Its id; a random GUID if `None`. That of a document is kept in lower case.
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
        catalogue: Arc<dyn Catalogue>,
        blobs: Arc<dyn Blobs>,
        limits: &config::Upload,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                catalogue,
                blobs,
                limits: limits.clone(),
                decodes: Semaphore::new(DECODED_AT_ONCE),
            }),
        }
    }

    /// Takes a photo: decodes it within the limits and derives its `standard` rendition, upright
    /// and without metadata. Its dimensions are those of the upright picture.
    ///
    /// # Errors
    /// Refused, or not stored.
    pub async fn photo(
        &self,
        new: NewUpload,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Stored, UploadError> {
        let target = self.name(Kind::Photo, &new).await?;
        let mut intake = Intake::new(content, self.shared.limits.max_photo_bytes);
        let bytes = intake.whole().await?;
        let (bytes, picture) = self.decode(bytes).await?;
        let keys = [BlobKey::random(), BlobKey::random()];
        self.reserve(&keys).await?;
        let written = async {
            let [original, standard] = keys;
            let blobs = &self.shared.blobs;
            Ok(vec![
                Rendition {
                    name: ORIGINAL.to_owned(),
                    key: original,
                    size_bytes: blobs.put(original, &mut bytes.as_slice()).await?,
                    media_type: picture.media_type.to_owned(),
                },
                Rendition {
                    name: STANDARD.to_owned(),
                    key: standard,
                    size_bytes: blobs
                        .put(standard, &mut picture.standard.as_slice())
                        .await?,
                    media_type: picture.standard_media_type.to_owned(),
                },
            ])
        };
        let renditions = match written.await {
            Ok(renditions) => renditions,
            Err(error) => return Err(self.discard(&keys, UploadError::Store(error)).await),
        };
        let dimensions = Some((picture.width, picture.height));
        self.make_live(new, target, dimensions, renditions).await
    }

    /// Takes a document as a stream. Its media type is what the extension of its name stands for.
    ///
    /// # Errors
    /// Refused, or not stored.
    pub async fn document(
        &self,
        new: NewUpload,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Stored, UploadError> {
        let target = self.name(Kind::Document, &new).await?;
        let mut intake = Intake::new(content, self.shared.limits.max_document_bytes);
        intake.begin().await?;
        let key = BlobKey::random();
        self.reserve(&[key]).await?;
        let written = self.shared.blobs.put(key, &mut intake).await;
        let size_bytes = match written {
            Ok(size) => size,
            Err(error) => {
                // What broke off here shows in the storage as a failing read.
                let error = intake.refusal().unwrap_or(UploadError::Store(error));
                return Err(self.discard(&[key], error).await);
            }
        };
        let guess = mime_guess::from_path(&new.name);
        let original = Rendition {
            name: ORIGINAL.to_owned(),
            key,
            size_bytes,
            media_type: guess.first_raw().unwrap_or(UNKNOWN).to_owned(),
        };
        self.make_live(new, target, None, vec![original]).await
    }

    /// The name of the object to be; refused before its bytes are taken if it is not free.
    async fn name(&self, kind: Kind, new: &NewUpload) -> Result<Target, UploadError> {
        let id = match (&new.id, kind) {
            (None, _) => Uuid::new_v4().to_string(),
            (Some(id), Kind::Document) => id.to_ascii_lowercase(),
            (Some(id), Kind::Photo) => id.clone(),
        };
        let target = Target {
            tenant: new.tenant,
            kind,
            owner: new.owner.clone(),
            id,
        };
        if new.id.is_some() && self.shared.catalogue.show(&target).await?.is_some() {
            return Err(StoreError::Taken { what: "object" }.into());
        }
        Ok(target)
    }

    async fn decode(&self, bytes: Vec<u8>) -> Result<(Vec<u8>, Picture), UploadError> {
        // The semaphore is never closed; were it, there would be no turns to wait for.
        let turn = self.shared.decodes.acquire().await;
        let limits = self.shared.limits.clone();
        let decoded = spawn_blocking(move || {
            let picture = Picture::decode(&bytes, &limits)?;
            Ok((bytes, picture))
        });
        let decoded = decoded.await;
        drop(turn);
        decoded.unwrap_or(Err(UploadError::NotAPicture))
    }

    async fn reserve(&self, keys: &[BlobKey]) -> Result<(), UploadError> {
        let until_ms = now_ms().saturating_add(self.shared.limits.deadline_ms);
        Ok(self.shared.catalogue.reserve(keys, until_ms).await?)
    }

    async fn make_live(
        &self,
        new: NewUpload,
        target: Target,
        dimensions: Option<(u32, u32)>,
        renditions: Vec<Rendition>,
    ) -> Result<Stored, UploadError> {
        let mut labels = new.labels;
        labels.sort();
        labels.dedup();
        let original = renditions.first();
        let size_bytes = original.map_or(0, |original| original.size_bytes);
        let media_type = original.map_or("", |original| &original.media_type);
        let object = Object {
            labels,
            retain_until_ms: new.retain_until_ms,
            ..Object::new(target, size_bytes, media_type)
        };
        let object = NewObject {
            object,
            name: new.name,
            dimensions,
            renditions,
        };
        let inserted = self.shared.catalogue.insert(object.clone()).await;
        match inserted {
            Ok(()) => Ok(Stored {
                object: object.object,
                name: object.name,
                dimensions: object.dimensions,
                renditions: object.renditions,
            }),
            Err(error @ (StoreError::Taken { .. } | StoreError::Missing { .. })) => {
                let keys: Vec<BlobKey> = object.renditions.iter().map(|one| one.key).collect();
                Err(self.discard(&keys, error.into()).await)
            }
            // The row may exist after all, and then it needs its bytes. If not, the reservation
            // runs out.
            Err(error) => Err(error.into()),
        }
    }

    /// Removes at once what a refused upload wrote; whatever resists goes when its reservation runs
    /// out.
    async fn discard(&self, keys: &[BlobKey], error: UploadError) -> UploadError {
        if step::pass(Step::UploadDiscard).await.is_ok() {
            self.shared.blobs.remove_all(keys).await;
        }
        error
    }
}
