//! What a photo is, and its smaller form.
//!
//! **Memory:** a picture takes at most [`BYTES_PER_PIXEL`] for each pixel that the configuration allows,
//! three times the bytes of its file, [`BYTES_PER_DERIVED_PIXEL`] for each pixel of the smaller form, and
//! [`BYTES_BESIDE`]. What takes more for a pixel than most do (a JPEG in CMYK, a WebP with layers) may have
//! fewer pixels.
//!
//! **Invariant:** nothing is decoded before its dimensions, and what a pixel takes, are known to be
//! within the limits.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::error::UploadError;
use super::{jpeg, png, webp};
use crate::config;

/// How well the derived picture is kept, of 100.
const JPEG_QUALITY: u8 = 85;

/// What decoding may take for each pixel. A progressive JPEG in full colour takes as much, and a PNG of
/// 16 bits a channel nearly.
pub const BYTES_PER_PIXEL: u64 = 9;

/// What a pixel of the smaller form takes: four channels of 16 bits before it is turned upright, and
/// as much afterwards.
pub const BYTES_PER_DERIVED_PIXEL: u64 = 16;

/// What a decoder may take beside that, however small the picture.
pub const BYTES_BESIDE: u64 = 64 << 20;

/// The longest side that a picture may have, so that a line of it is small.
const MAX_SIDE: u32 = 65_535;

/// A pixel of a GIF: four channels, and again in a frame that is not as large as the whole.
const GIF_BYTES_PER_PIXEL: u64 = 8;

/// What decoding one picture may take, whatever the picture.
pub fn memory_bytes(limits: &config::Upload) -> u64 {
    let side = u64::from(limits.standard_side_px);
    let pixels = limits.max_photo_pixels.saturating_mul(BYTES_PER_PIXEL);
    let file = limits.max_photo_bytes.saturating_mul(3);
    let derived = side
        .saturating_mul(side)
        .saturating_mul(BYTES_PER_DERIVED_PIXEL);
    pixels
        .saturating_add(file)
        .saturating_add(derived)
        .saturating_add(BYTES_BESIDE)
}

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
    pub(super) fn decode(mut file: Vec<u8>, limits: &config::Upload) -> Result<Self, UploadError> {
        let limit = limits.max_photo_pixels;
        let not_a_picture = |_| UploadError::NotAPicture;
        let format = image::guess_format(&file).map_err(not_a_picture)?;
        let bytes_per_pixel = match format {
            ImageFormat::Jpeg => {
                let made = jpeg::strip(&mut file);
                if made.scans > jpeg::MAX_SCANS {
                    let limit = jpeg::MAX_SCANS;
                    return Err(UploadError::TooManyScans { limit });
                }
                made.bytes_per_pixel()
            }
            ImageFormat::Png => {
                png::strip(&mut file);
                1
            }
            ImageFormat::Gif => GIF_BYTES_PER_PIXEL,
            ImageFormat::WebP => {
                let tables = webp::table_bytes(&file, BYTES_BESIDE);
                if tables.ok_or(UploadError::NotAPicture)? > BYTES_BESIDE {
                    let limit = BYTES_BESIDE;
                    return Err(UploadError::TooManyCodes { limit });
                }
                webp::bytes_per_pixel(&file)
            }
            _ => return Err(UploadError::NotAPicture),
        };
        let allowed = |bytes: u64| limit.min(limit.saturating_mul(BYTES_PER_PIXEL) / bytes.max(1));
        if format == ImageFormat::WebP && webp::largest_frame(&file) > allowed(bytes_per_pixel) {
            let limit = allowed(bytes_per_pixel);
            return Err(UploadError::TooManyPixels { limit });
        }
        let mut reader = ImageReader::with_format(Cursor::new(file.as_slice()), format);
        let mut memory = Limits::no_limits();
        memory.max_image_width = Some(MAX_SIDE);
        memory.max_image_height = Some(MAX_SIDE);
        memory.max_alloc = Some(BYTES_BESIDE);
        reader.limits(memory.clone());
        let mut decoder = reader.into_decoder().map_err(refused(limit))?;
        let (width, height) = decoder.dimensions();
        let bytes_per_pixel = bytes_per_pixel.max(decoder.color_type().bytes_per_pixel().into());
        let limit = allowed(bytes_per_pixel);
        let pixels = match u64::from(width) * u64::from(height) {
            // A GIF can say so.
            0 => return Err(UploadError::NotAPicture),
            pixels if pixels > limit => return Err(UploadError::TooManyPixels { limit }),
            pixels => pixels,
        };
        memory.max_alloc = Some(pixels.saturating_mul(bytes_per_pixel) + BYTES_BESIDE);
        decoder.set_limits(memory).map_err(refused(limit))?;
        let orientation = decoder.orientation().map_err(refused(limit))?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(refused(limit))?;
        drop(file);
        let side = limits.standard_side_px;
        if width.max(height) > side {
            picture = picture.thumbnail(side, side);
        }
        // Once it is small, so that there is no second picture of the full size.
        picture.apply_orientation(orientation);
        let (width, height) = if is_on_its_side(orientation) {
            (height, width)
        } else {
            (width, height)
        };
        let (standard, standard_media_type) = encode(picture).map_err(refused(limit))?;
        Ok(Self {
            media_type: format.to_mime_type(),
            width,
            height,
            standard,
            standard_media_type,
        })
    }
}

/// What is told of a decoder's error.
fn refused(limit: u64) -> impl Fn(ImageError) -> UploadError {
    use image::error::LimitErrorKind;
    move |error| match error {
        ImageError::Limits(error) if error.kind() == LimitErrorKind::DimensionError => {
            UploadError::TooLong { limit: MAX_SIDE }
        }
        ImageError::Limits(_) => UploadError::TooManyPixels { limit },
        _ => UploadError::NotAPicture,
    }
}

/// Whether width and height change places once it is upright.
fn is_on_its_side(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
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
