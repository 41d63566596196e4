//! Places for uploads that are being received, shared between those who upload.
//!
//! **Invariant:** no one who uploads has more than two thirds of the places, and whoever comes later finds
//! one, so that uploads which never end keep nobody else's out.

use atropos::fair_queue::{self, Room};
use atropos::target::TenantId;

use super::error::UploadError;

/// Who uploads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uploader {
    /// A tenant, by one of its site keys or on the command line.
    Tenant(TenantId),
    /// An API client, whose tenant may stand behind the file in the form.
    Client(String),
}

/// The right to send one upload, until it is dropped.
pub(super) type Place = fair_queue::Place<Uploader>;

/// So many places.
pub(super) struct Places(Room<Uploader>);

impl Places {
    pub(super) fn new(places: u32) -> Self {
        Self(Room::new(places as usize))
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`UploadError::Crowded`]: this one has as many as there is room for.
    pub(super) fn take(&self, uploader: Uploader) -> Result<Place, UploadError> {
        self.0.place(uploader).map_err(UploadError::Crowded)
    }
}
