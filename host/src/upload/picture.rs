//! What a photo is, and its smaller form.
//!
//! **Invariant:** nothing is decoded before its dimensions are known to be within the limits.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{UploadError, webp};
use crate::config;

/// How well the derived picture is kept, of 100.
const JPEG_QUALITY: u8 = 85;

/// What a decoder may allocate per pixel: four channels of 16 bits, twice.
const BYTES_PER_PIXEL: u64 = 16;

/// What a decoder may allocate beside that, however small the picture.
const BYTES_BESIDE: u64 = 16 << 20;

/// A decoded photo.
pub(super) struct Picture {
    /// As its bytes say, whatever its name says.
    pub(super) media_type: &'static str,
    /// In pixels, once upright.
    pub(super) width: u32,
    /// In pixels, once upright.
    pub(super) height: u32,
    /// The bytes of the smaller form.
    pub(super) standard: Vec<u8>,
    /// PNG if there is transparency to keep, else JPEG.
    pub(super) standard_media_type: &'static str,
}

impl Picture {
    /// Decodes a photo and derives its smaller form. Takes long: not for an async thread.
    pub(super) fn decode(bytes: &[u8], limits: &config::Upload) -> Result<Self, UploadError> {
        let limit = limits.max_photo_pixels;
        let refused = |error: ImageError| match error {
            ImageError::Limits(_) => UploadError::TooManyPixels { limit },
            _ => UploadError::NotAPicture,
        };
        let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let mut reader = reader.map_err(|_| UploadError::NotAPicture)?;
        if reader.format() == Some(ImageFormat::WebP) && webp::largest_frame(bytes) > limit {
            return Err(UploadError::TooManyPixels { limit });
        }
        let media_type = match reader.format() {
            Some(
                format @ (ImageFormat::Jpeg
                | ImageFormat::Png
                | ImageFormat::Gif
                | ImageFormat::WebP),
            ) => format.to_mime_type(),
            _ => return Err(UploadError::NotAPicture),
        };
        let mut memory = Limits::no_limits();
        memory.max_alloc = Some(
            limit
                .saturating_mul(BYTES_PER_PIXEL)
                .saturating_add(BYTES_BESIDE),
        );
        reader.limits(memory);
        let mut decoder = reader.into_decoder().map_err(refused)?;
        let (width, height) = decoder.dimensions();
        match u64::from(width) * u64::from(height) {
            // A GIF can say so.
            0 => return Err(UploadError::NotAPicture),
            pixels if pixels > limit => return Err(UploadError::TooManyPixels { limit }),
            _ => {}
        }
        let orientation = decoder.orientation().map_err(refused)?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
        picture.apply_orientation(orientation);
        let (width, height) = (picture.width(), picture.height());
        let side = limits.standard_side_px;
        if width.max(height) > side {
            picture = picture.thumbnail(side, side);
        }
        let (standard, standard_media_type) = encode(picture).map_err(refused)?;
        Ok(Self {
            media_type,
            width,
            height,
            standard,
            standard_media_type,
        })
    }
}

fn encode(picture: DynamicImage) -> Result<(Vec<u8>, &'static str), ImageError> {
    let mut bytes = Vec::new();
    if picture.color().has_alpha() {
        let encoder = PngEncoder::new(&mut bytes);
        picture.into_rgba8().write_with_encoder(encoder)?;
        Ok((bytes, ImageFormat::Png.to_mime_type()))
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        picture.into_rgb8().write_with_encoder(encoder)?;
        Ok((bytes, ImageFormat::Jpeg.to_mime_type()))
    }
}
