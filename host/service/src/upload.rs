//! Making an object live: bytes first, under keys that are doomed until the row exists.
//!
//! The bytes of an upload go to the disk as they come. A photo is decoded afterwards, when it is its
//! tenant's turn: only then its file is read into memory.
//!
//! **Memory:** an upload under way holds [`HELD_BYTES`] at most, whatever its size and however long it
//! takes. An upload that waits to be decoded holds no part of its file. What decoding takes is stated
//! in [`decoders`].
//!
//! **Invariant:** no byte is written under a key that is not durably doomed, and only the row's own
//! transaction takes it back.

mod compact;
pub mod decoders;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod intake;
mod jpeg;
pub mod picture;
mod places;
mod png;
#[cfg(test)]
mod tests;
mod vp8l;
mod webp;

use std::sync::Arc;

use atropos::domain::{NewObject, Rendition, Stored};
use atropos::ports::content::WHOLE;
use atropos::ports::{Bytes, Catalogue, StoreError};
use atropos::step::{self, Step};
use atropos::target::{BlobKey, Kind, Object, Target, TenantId, now_ms};
use decoders::{Decoders, Slot};
pub use error::UploadError;
use intake::Intake;
use picture::Picture;
use places::Places;
pub use places::Uploader;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use uuid::Uuid;

use crate::config;

/// How much of an upload the server holds in memory at most while it is received: what its connection
/// has read and the file has not taken yet.
pub const HELD_BYTES: u64 = 512 << 10;

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
    bytes: Arc<dyn Bytes>,
    limits: config::Upload,
    places: Places,
    decoders: Decoders,
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

/// The bytes of an upload, on the disk under keys that no object names yet. They go when the time that
/// uploads have is over, unless [`Uploads::finish`] makes an object of them.
#[derive(Debug)]
pub struct Received {
    kind: Kind,
    original: BlobKey,
    /// Where the smaller form of a photo will be.
    standard: Option<BlobKey>,
    size_bytes: u64,
}

impl Received {
    fn keys(&self) -> Vec<BlobKey> {
        [Some(self.original), self.standard]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Uploads {
    /// Takes uploads within `limits`.
    pub fn new(
        catalogue: Arc<dyn Catalogue>,
        bytes: Arc<dyn Bytes>,
        limits: &config::Upload,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                catalogue,
                bytes,
                limits: limits.clone(),
                places: Places::new(limits.max_under_way),
                decoders: Decoders::new(),
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
        self.take(Kind::Photo, new, content).await
    }

    /// Takes a document. Its media type is what the extension of its name stands for.
    ///
    /// # Errors
    /// Refused, or not stored.
    pub async fn document(
        &self,
        new: NewUpload,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Stored, UploadError> {
        self.take(Kind::Document, new, content).await
    }

    /// Refuses an id that is not free before any byte is taken.
    async fn take(
        &self,
        kind: Kind,
        new: NewUpload,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Stored, UploadError> {
        let target = target(kind, &new);
        if new.id.is_some() && self.shared.catalogue.show(&target).await?.is_some() {
            return Err(StoreError::Taken { what: "object" }.into());
        }
        let tenant = Uploader::Tenant(new.tenant);
        let received = self.receive(kind, tenant, content, u64::MAX).await?;
        self.make(new, target, received).await
    }

    /// Writes the bytes of an upload to the disk, before it is known whose it will be. `uploader` has as
    /// many under way at once as `upload.max-under-way` leaves it. The upload may have `at_most` so many
    /// bytes, and no more than the configuration allows to its kind.
    ///
    /// # Errors
    /// Refused, or not stored.
    pub async fn receive(
        &self,
        kind: Kind,
        uploader: Uploader,
        content: &mut (dyn AsyncRead + Send + Unpin),
        at_most: u64,
    ) -> Result<Received, UploadError> {
        let _place = self.shared.places.take(uploader)?;
        let limits = &self.shared.limits;
        let (limit, standard) = match kind {
            Kind::Photo => (limits.max_photo_bytes, Some(BlobKey::random())),
            Kind::Document => (limits.max_document_bytes, None),
        };
        let mut intake = Intake::new(content, limit.min(at_most));
        intake.begin().await?;
        let mut received = Received {
            kind,
            original: BlobKey::random(),
            standard,
            size_bytes: 0,
        };
        self.reserve(&received.keys()).await?;
        let original = received.original;
        match self.shared.bytes.put(original, None, &mut intake).await {
            Ok(size) => received.size_bytes = size,
            Err(error) => {
                // What broke off here shows in the storage as a failing read.
                let error = intake.refusal().unwrap_or(UploadError::Store(error));
                self.discard(received).await;
                return Err(error);
            }
        }
        Ok(received)
    }

    /// Makes an object of what was received. A photo is decoded first.
    ///
    /// # Errors
    /// Refused, or not stored. Nothing of it remains.
    pub async fn finish(&self, new: NewUpload, received: Received) -> Result<Stored, UploadError> {
        let target = target(received.kind, &new);
        self.make(new, target, received).await
    }

    /// Removes at once what was received and will not be an object; whatever resists goes when its
    /// reservation runs out.
    pub async fn discard(&self, received: Received) {
        if step::pass(Step::UploadDiscard).await.is_ok() {
            self.shared.bytes.remove_all(&received.keys()).await;
        }
    }

    async fn make(
        &self,
        new: NewUpload,
        target: Target,
        received: Received,
    ) -> Result<Stored, UploadError> {
        let made = match received.standard {
            Some(standard) => self.derive(new.tenant, &received, standard).await,
            None => Ok((None, vec![document(&new.name, &received)])),
        };
        match made {
            Ok((dimensions, renditions)) => {
                self.make_live(new, target, dimensions, renditions, received)
                    .await
            }
            Err(error) => {
                self.discard(received).await;
                Err(error)
            }
        }
    }

    /// Decodes a photo that was received and writes its smaller form. Answers its dimensions and its
    /// renditions.
    async fn derive(
        &self,
        tenant: TenantId,
        received: &Received,
        standard: BlobKey,
    ) -> Result<(Option<(u32, u32)>, Vec<Rendition>), UploadError> {
        let decoders = &self.shared.decoders;
        let slot = decoders
            .slot(tenant)
            .await
            .map_err(UploadError::Overloaded)?;
        let (picture, slot) = self.decode(slot, received).await?;
        let mut smaller = picture.standard.as_slice();
        let length = Some(smaller.len() as u64);
        let smaller_bytes = self
            .shared
            .bytes
            .put(standard, length, &mut smaller)
            .await?;
        // Until here, so that as many smaller forms are in memory as there are slots.
        drop(slot);
        let renditions = vec![
            Rendition {
                name: ORIGINAL.to_owned(),
                key: received.original,
                size_bytes: received.size_bytes,
                media_type: picture.media_type.to_owned(),
            },
            Rendition {
                name: STANDARD.to_owned(),
                key: standard,
                size_bytes: smaller_bytes,
                media_type: picture.standard_media_type.to_owned(),
            },
        ];
        Ok((Some((picture.width, picture.height)), renditions))
    }

    async fn decode(
        &self,
        slot: Slot,
        received: &Received,
    ) -> Result<(Picture, Slot), UploadError> {
        let file = self.shared.bytes.open(received.original, WHOLE).await?;
        let file = file.ok_or(StoreError::Missing { what: "upload" })?;
        let limits = self.shared.limits.clone();
        let mut bytes = Vec::with_capacity(received.size_bytes as usize);
        let mut content = file.content.take(limits.max_photo_bytes);
        let read = content.read_to_end(&mut bytes).await;
        read.map_err(|error| StoreError::Unavailable(error.into()))?;
        let decoded = decoders::run(slot, move || {
            step::pass_blocking(Step::UploadDecode).map_err(StoreError::from)?;
            Picture::decode(bytes, &limits)
        });
        let (picture, slot) = decoded.await.ok_or(UploadError::NotAPicture)?;
        Ok((picture?, slot))
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
        received: Received,
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
                self.discard(received).await;
                Err(error.into())
            }
            // The row may exist after all, and then it needs its bytes. If not, the reservation
            // runs out.
            Err(error) => Err(error.into()),
        }
    }
}

/// The name of the object to be.
fn target(kind: Kind, new: &NewUpload) -> Target {
    let id = match (&new.id, kind) {
        (None, _) => Uuid::new_v4().to_string(),
        (Some(id), Kind::Document) => id.to_ascii_lowercase(),
        (Some(id), Kind::Photo) => id.clone(),
    };
    Target {
        tenant: new.tenant,
        kind,
        owner: new.owner.clone(),
        id,
    }
}

/// The one rendition of a document.
fn document(name: &str, received: &Received) -> Rendition {
    let guess = mime_guess::from_path(name);
    Rendition {
        name: ORIGINAL.to_owned(),
        key: received.original,
        size_bytes: received.size_bytes,
        media_type: guess.first_raw().unwrap_or(UNKNOWN).to_owned(),
    }
}
