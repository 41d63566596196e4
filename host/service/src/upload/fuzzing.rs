//! The decoding of photos, within reach of `tests/fuzz`.

use super::picture::Picture;
use super::{UploadError, config};

/// A decoded photo.
pub struct Decoded {
    /// As its bytes say.
    pub media_type: &'static str,
    /// Upright, in pixels.
    pub width: u32,
    /// Upright, in pixels.
    pub height: u32,
    /// The bytes of the smaller form.
    pub standard: Vec<u8>,
    /// What these are.
    pub standard_media_type: &'static str,
}

/// Decodes a photo and derives its smaller form.
///
/// # Errors
/// It is no picture, or one beyond the limits.
pub fn decode(bytes: &[u8], limits: &config::Upload) -> Result<Decoded, UploadError> {
    let picture = Picture::decode(bytes.to_vec(), limits)?;
    Ok(Decoded {
        media_type: picture.media_type,
        width: picture.width,
        height: picture.height,
        standard: picture.standard,
        standard_media_type: picture.standard_media_type,
    })
}
