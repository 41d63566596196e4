//! What the frames of a WebP say of their own size.
//!
//! The decoder makes room for a lossy frame by the frame's own header, before it compares that with
//! the dimensions of the whole: a file of 50 × 3 pixels can ask for 400 MB.

use std::iter;

/// A chunk begins with its name and the size of what follows.
const CHUNK_HEADER: usize = 8;
/// `RIFF`, a size, `WEBP`.
const FILE_HEADER: usize = 12;
/// Place, size and duration of a frame, before the chunks in it.
const FRAME_HEADER: usize = 16;
/// By which a lossy frame begins, after three bytes.
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

/// What is made of a pixel of a still picture that has an alpha channel beside it: the four of the
/// result, the alpha channel as it is coded and as it is read, and those of the lossy frame.
const STILL_BYTES_PER_PIXEL: u64 = 9;
/// In one that moves, a frame and the canvas are there beside the result.
const MOVING_BYTES_PER_PIXEL: u64 = 13;

/// What decoding takes for each pixel.
pub(super) fn bytes_per_pixel(file: &[u8]) -> u64 {
    let mut chunks = file.get(FILE_HEADER..).map(chunks).into_iter().flatten();
    if chunks.any(|(name, _)| name == *b"ANMF") {
        MOVING_BYTES_PER_PIXEL
    } else {
        STILL_BYTES_PER_PIXEL
    }
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
    fn what_moves_takes_more_for_a_pixel() {
        let small = chunk(b"VP8 ", &lossy(3, 5));
        let frame = chunk(b"ANMF", &[&[0; 16], &small[..]].concat());
        assert_eq!(bytes_per_pixel(&file(&[small])), 9);
        assert_eq!(
            bytes_per_pixel(&file(&[chunk(b"VP8X", &[2; 10]), frame])),
            13
        );
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
