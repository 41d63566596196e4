//! The demo's pictures and pages, drawn from formulas, so that they are nobody's but real.

use image::{ImageFormat, ImageResult, Rgb, RgbImage};
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

/// A sun over the sea. Wider than a `standard` rendition, so that one differs from the original.
pub(super) fn sunset() -> RgbImage {
    paint(1600, 1066, |x, y| {
        let sun = ((x - 0.5) * 1.5).hypot(y - 0.45);
        let glow = (1.0 - sun * 1.6).clamp(0.0, 1.0);
        let wave = if y > 0.6 {
            0.75 + 0.1 * (y * 220.0 + (x * 40.0).sin()).sin()
        } else {
            1.0
        };
        let disc = if sun < 0.11 && y < 0.6 { 0.5 } else { 0.0 };
        [
            (0.45 + 0.5 * glow + disc) * wave,
            (0.2 + 0.45 * glow + disc * 0.8) * wave,
            (0.4 - 0.15 * glow + 0.2 * y) * wave,
        ]
    })
}

/// Four ranges of hills, the farther the paler.
pub(super) fn hills() -> RgbImage {
    paint(1440, 960, |x, y| {
        let ranges = [0.0_f32, 1.0, 2.0, 3.0];
        let nearest = ranges.into_iter().rev().find(|range| {
            let shape = (x * (5.0 + range * 3.0) + range * 2.1).sin() * 0.05;
            y > 0.42 + range * 0.13 + shape
        });
        match nearest {
            Some(range) => [
                0.65 - range * 0.13 - y * 0.15,
                0.80 - range * 0.10 - y * 0.20,
                0.85 - range * 0.19 - y * 0.10,
            ],
            None => [0.75 - y * 0.2, 0.86 - y * 0.1, 0.95],
        }
    })
}

/// Rings around a centre.
pub(super) fn rings() -> RgbImage {
    paint(800, 800, |x, y| {
        let radius = (x - 0.5).hypot(y - 0.5);
        let ring = 0.5 + 0.5 * (radius * 60.0).cos();
        [ring, 0.3 + 0.4 * radius, 1.0 - ring * 0.7]
    })
}

/// Threads over and under each other.
pub(super) fn weave() -> RgbImage {
    paint(640, 480, |x, y| {
        let (across, along) = ((x * 80.0).sin(), (y * 60.0).sin());
        if across * along > 0.0 {
            [0.8, 0.6 + 0.2 * across, 0.3]
        } else {
            [0.25, 0.4 + 0.2 * along, 0.6]
        }
    })
}

/// Asks `colour` for each pixel, by its place in the picture from 0 to 1.
fn paint(width: u32, height: u32, colour: impl Fn(f32, f32) -> [f32; 3]) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let colour = colour(x as f32 / width as f32, y as f32 / height as f32);
        // A float that is too large or too small for a byte becomes the nearest byte.
        Rgb(colour.map(|part| (part * 255.0) as u8))
    })
}

/// The file of a picture.
pub(super) fn encoded(picture: &RgbImage, format: ImageFormat) -> ImageResult<Vec<u8>> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

/// The file of a page: a title and lines of text, on A4.
pub(super) fn page(title: &str, lines: &[&str]) -> Vec<u8> {
    let [catalog, pages, page, font, text] = [1, 2, 3, 4, 5].map(Ref::new);
    let face = Name(b"F1");
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut sheet = pdf.page(page);
    sheet.media_box(Rect::new(0.0, 0.0, 595.0, 842.0));
    sheet.parent(pages);
    sheet.contents(text);
    sheet.resources().fonts().pair(face, font);
    sheet.finish();
    // One of the fonts that every reader has.
    pdf.type1_font(font).base_font(Name(b"Helvetica"));

    let mut content = Content::new();
    content.begin_text();
    content.set_font(face, 24.0);
    content.next_line(72.0, 740.0);
    content.show(Str(title.as_bytes()));
    content.set_font(face, 12.0);
    content.set_leading(18.0);
    content.next_line(0.0, -18.0);
    for line in lines {
        content.next_line_using_leading();
        content.show(Str(line.as_bytes()));
    }
    content.end_text();
    pdf.stream(text, &content.finish());
    pdf.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_one_that_decodes() {
        for (picture, format) in [
            (sunset as fn() -> RgbImage, ImageFormat::Jpeg),
            (hills, ImageFormat::Jpeg),
            (rings, ImageFormat::Png),
            (weave, ImageFormat::Png),
        ] {
            let drawn = picture();
            let file = encoded(&drawn, format).unwrap();
            let decoded = image::load_from_memory_with_format(&file, format).unwrap();
            assert_eq!(decoded.width(), drawn.width());
            let colours: std::collections::HashSet<_> = drawn.pixels().collect();
            assert!(colours.len() > 64, "{}", colours.len());
        }
    }

    #[test]
    fn a_page_is_a_pdf_with_its_text() {
        let file = page("Contract", &["of employment"]);
        assert!(file.starts_with(b"%PDF-"));
        assert!(file.ends_with(b"%%EOF"));
        for text in [&b"(Contract) Tj"[..], b"(of employment) Tj"] {
            assert!(file.windows(text.len()).any(|window| window == text));
        }
    }
}
