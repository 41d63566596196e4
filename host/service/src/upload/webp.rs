//! What a WebP takes to be decoded, as its parts say.
//!
//! The decoder makes room for a lossy frame by the frame's own header, before it compares that with
//! the dimensions of the whole: a file of 50 × 3 pixels can ask for 400 MB.

use std::iter;

use super::vp8l;

/// A chunk begins with its name and the size of what follows.
const CHUNK_HEADER: usize = 8;
/// `RIFF`, a size, `WEBP`.
const FILE_HEADER: usize = 12;
/// Place, size and duration of a frame, before the chunks in it.
const FRAME_HEADER: usize = 16;
/// By which a lossy frame begins, after three bytes.
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// A pixel of a still picture takes four bytes as it is coded without loss, one for what transforms it,
/// and three of the result.
const PLAIN_BYTES_PER_PIXEL: u64 = 8;
/// With an alpha channel of its own, that and the lossy picture are there beside the result; in what
/// moves, a frame and the canvas.
const LAYERED_BYTES_PER_PIXEL: u64 = 12;

/// What decoding takes for each pixel.
pub(super) fn bytes_per_pixel(file: &[u8]) -> u64 {
    let mut chunks = file.get(FILE_HEADER..).map(chunks).into_iter().flatten();
    if chunks.any(|(name, _)| matches!(&name, b"ANMF" | b"ALPH")) {
        LAYERED_BYTES_PER_PIXEL
    } else {
        PLAIN_BYTES_PER_PIXEL
    }
}

/// The most bytes that the tables of a part without loss take, or more than `enough` of them; `None` if
/// such a part cannot be read. Only what makes the first frame is looked at.
pub(super) fn table_bytes(file: &[u8], enough: u64) -> Option<u64> {
    let mut most = 0;
    let mut canvas = (0, 0);
    // The decoder takes the first of each name.
    let (mut outer, mut inner) = (FirstParts::default(), FirstParts::default());
    for (name, content) in file.get(FILE_HEADER..).map(chunks).into_iter().flatten() {
        match &name {
            b"VP8X" => canvas = sides(content.get(4..)?)?,
            b"ANMF" => {
                let frame = sides(content.get(6..)?)?;
                for (name, content) in chunks(content.get(FRAME_HEADER..)?) {
                    most = most.max(inner.table_bytes(name, content, frame, enough)?);
                }
            }
            _ => most = most.max(outer.table_bytes(name, content, canvas, enough)?),
        }
    }
    Some(most)
}

/// Which parts without loss have been seen.
#[derive(Default)]
struct FirstParts {
    picture: bool,
    alpha: bool,
}

impl FirstParts {
    /// What the tables of this part take, if it is the first of its kind.
    fn table_bytes(
        &mut self,
        name: [u8; 4],
        content: &[u8],
        size: (u32, u32),
        enough: u64,
    ) -> Option<u64> {
        match (&name, content) {
            (b"VP8L", _) if !std::mem::replace(&mut self.picture, true) => {
                vp8l::table_bytes(content, None, enough)
            }
            // The lower bits of the first byte say whether it is compressed.
            (b"ALPH", [first, alpha @ ..])
                if !std::mem::replace(&mut self.alpha, true) && first & 3 == 1 =>
            {
                vp8l::table_bytes(alpha, Some(size), enough)
            }
            _ => Some(0),
        }
    }
}

/// Width and height, each less one in three bytes.
fn sides(bytes: &[u8]) -> Option<(u32, u32)> {
    let [a, b, c, d, e, f] = *bytes.first_chunk()?;
    let side = |low, mid, high| u32::from_le_bytes([low, mid, high, 0]) + 1;
    Some((side(a, b, c), side(d, e, f)))
}

/// The most pixels that a lossy frame asks for.
pub(super) fn largest_frame(file: &[u8]) -> u64 {
    let within = |(name, content): ([u8; 4], &[u8])| {
        let inner = if name == *b"ANMF" {
            content.get(FRAME_HEADER..).map(pixels_of_chunks)
        } else {
            None
        };
        inner.unwrap_or(0).max(pixels(content))
    };
    let chunks = file.get(FILE_HEADER..).map(chunks);
    chunks.into_iter().flatten().map(within).max().unwrap_or(0)
}

fn pixels_of_chunks(bytes: &[u8]) -> u64 {
    let frames = chunks(bytes).map(|(_, content)| pixels(content));
    frames.max().unwrap_or(0)
}

/// What a lossy frame says; 0 for anything else. Its chunk may have any name: after one with an
/// alpha channel the decoder does not look.
fn pixels(content: &[u8]) -> u64 {
    match content {
        [_, _, _, a, b, c, w, wide, h, high, ..] if [*a, *b, *c] == START_CODE => {
            let side = |low, high| u64::from(u16::from_le_bytes([low, high]) & 0x3fff);
            side(*w, *wide) * side(*h, *high)
        }
        _ => 0,
    }
}

/// The chunks in `bytes`, in order. The last may be cut off.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    iter::from_fn(move || {
        let (header, rest) = bytes.split_first_chunk::<CHUNK_HEADER>()?;
        let [a, b, c, d, size @ ..] = *header;
        let size = u32::from_le_bytes(size);
        let padded = size.saturating_add(size & 1) as usize;
        let content = rest.get(..size as usize).unwrap_or(rest);
        bytes = rest.get(padded..).unwrap_or_default();
        Some(([a, b, c, d], content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len()).unwrap();
        let mut chunk = [name, &size.to_le_bytes()[..], content].concat();
        chunk.resize(chunk.len().next_multiple_of(2), 0);
        chunk
    }

    fn lossy(width: u16, height: u16) -> Vec<u8> {
        let [width, height] = [width, height].map(u16::to_le_bytes);
        [&[0x10, 0, 0], &START_CODE[..], &width, &height].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let chunks = chunks.concat();
        [b"RIFF", &[0; 4][..], b"WEBP", &chunks].concat()
    }

    #[test]
    fn every_lossy_frame_is_looked_at_wherever_it_is() {
        let odd = chunk(b"ICCP", &[0; 3]);
        let alpha = chunk(b"ALPH", &[0; 5]);
        let frame = |chunks: &[Vec<u8>]| chunk(b"ANMF", &[&[0; 16], &chunks.concat()[..]].concat());
        let small = chunk(b"VP8 ", &lossy(3, 5));
        // The two upper bits of a side are a scale.
        let large = chunk(b"VP8 ", &lossy(0x7fff, 0x3fff));
        let unnamed = chunk(b"XXXX", &lossy(0x3fff, 0x3fff));
        let largest = 0x3fff * 0x3fff;
        for (chunks, pixels) in [
            (vec![], 0),
            (vec![small.clone()], 15),
            (vec![odd.clone(), small.clone()], 15),
            (vec![odd, small.clone(), large.clone()], largest),
            (vec![frame(std::slice::from_ref(&small))], 15),
            (vec![frame(&[alpha.clone(), unnamed])], largest),
            (vec![frame(&[small]), frame(&[alpha, large])], largest),
            (vec![chunk(b"VP8L", &[0x2f; 20])], 0),
        ] {
            assert_eq!(largest_frame(&file(&chunks)), pixels, "{chunks:?}");
        }
    }

    #[test]
    fn what_has_layers_takes_more_for_a_pixel() {
        let small = chunk(b"VP8 ", &lossy(3, 5));
        let frame = chunk(b"ANMF", &[&[0; 16], &small[..]].concat());
        let wide = chunk(b"VP8X", &[2; 10]);
        let alpha = chunk(b"ALPH", &[0; 5]);
        assert_eq!(bytes_per_pixel(&file(std::slice::from_ref(&small))), 8);
        assert_eq!(bytes_per_pixel(&file(&[wide.clone(), frame])), 12);
        assert_eq!(bytes_per_pixel(&file(&[wide, alpha, small])), 12);
    }

    #[test]
    fn the_tables_of_each_part_are_looked_at() {
        let wide = chunk(b"VP8X", &[0; 10]);
        let small = chunk(b"VP8 ", &lossy(1, 1));
        let many = vp8l::tests::one_pixel(3);
        // Without the header of a picture.
        let alpha = |compressed| {
            let mut bits = vp8l::tests::one_pixel(3);
            bits.drain(..5);
            bits.insert(0, compressed);
            chunk(b"ALPH", &bits)
        };
        let frame = |part: &[u8]| chunk(b"ANMF", &[&[0; 16], part].concat());
        let taken = |parts: &[Vec<u8>]| table_bytes(&file(parts), 5000);
        let picture = chunk(b"VP8L", &many);
        assert_eq!(taken(&[small]), Some(0));
        assert_eq!(taken(&[wide.clone(), alpha(0)]), Some(0));
        for parts in [
            vec![picture.clone()],
            vec![wide.clone(), alpha(1)],
            vec![wide.clone(), frame(&picture)],
            vec![wide.clone(), frame(&alpha(1))],
        ] {
            assert_eq!(taken(&parts), Some(2 * 4416), "{parts:?}");
        }
        assert_eq!(taken(&[chunk(b"VP8L", b"\x2fno")]), None);
    }

    #[test]
    fn what_is_cut_off_is_looked_at_as_far_as_it_goes() {
        let whole = file(&[chunk(b"ALPH", &[0; 5]), chunk(b"VP8 ", &lossy(3, 5))]);
        for length in 0..whole.len() {
            assert_eq!(largest_frame(&whole[..length]), 0, "{length}");
        }
        let mut endless = whole;
        endless[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(largest_frame(&endless), 0);
    }
}
