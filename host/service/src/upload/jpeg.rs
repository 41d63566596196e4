//! What a JPEG is before it is decoded: how it is made, and without what is not needed to decode it.
//!
//! The decoder copies every profile and every thumbnail that a JPEG carries, sorts the parts of its
//! metadata anew for each of them, and goes through all pixels once for each scan.
//!
//! **Invariant:** the decoder sees no metadata but one EXIF segment of at most 64 KiB, and nothing
//! that comes after the picture.

use super::compact::Compact;

/// How many scans a picture may have. The common encoders write 18 at most.
pub(super) const MAX_SCANS: u32 = 32;

const START_OF_IMAGE: usize = 2;
const EXIF: &[u8] = b"Exif\0\0";
const ADOBE: &[u8] = b"Adobe";

/// How a JPEG is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// How often the decoder goes through the pixels.
    pub(super) scans: u32,
    /// How many colour components a pixel has.
    pub(super) components: u8,
}

impl Made {
    /// How many bytes of a pixel are in memory at most while it is decoded: two for a component as
    /// it is coded, and one for each of the result.
    pub(super) fn bytes_per_pixel(self) -> u64 {
        let coded = 2 * u64::from(self.components);
        coded + if self.components == 1 { 1 } else { 3 }
    }
}

/// Frees a JPEG of what is not needed to decode it. What cannot be read is left out.
pub(super) fn strip(file: &mut Vec<u8>) -> Made {
    let mut made = Made::default();
    let mut has_exif = false;
    let mut file = Compact::new(file);
    file.keep(0..START_OF_IMAGE);
    let mut place = START_OF_IMAGE;
    while let Some((marker, begin)) = next_marker(file.after(place), place) {
        place = begin + 2;
        let body = file.after(place);
        if marker == 0xd9 {
            file.keep(begin..place);
            break;
        }
        // These have no body.
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let Some([high, low]) = body.first_chunk() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let content = body.get(2..length).unwrap_or_default();
        let needed = match marker {
            0xe1 => content.starts_with(EXIF) && !std::mem::replace(&mut has_exif, true),
            0xee => content.starts_with(ADOBE),
            // How a frame of a video is told from a picture.
            0xe0 => true,
            0xe2..=0xef | 0xfe => false,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let components = content.get(5).copied().unwrap_or_default();
                made.components = made.components.max(components);
                true
            }
            _ => true,
        };
        let mut end = place + length;
        if marker == 0xda {
            made.scans += 1;
            end += coded(file.after(end));
        }
        if needed {
            file.keep(begin..end);
        }
        place = end;
    }
    made
}

/// The next marker in what begins at `place` of the file, and where it begins.
fn next_marker(bytes: &[u8], place: usize) -> Option<(u8, usize)> {
    let mut pairs = bytes.windows(2).enumerate();
    pairs.find_map(|(at, pair)| match pair {
        [0xff, 0x00 | 0xff] => None,
        [0xff, marker] => Some((*marker, place + at)),
        _ => None,
    })
}

/// How many bytes of a scan's coded pixels there are, up to the next marker.
fn coded(bytes: &[u8]) -> usize {
    let end = bytes
        .windows(2)
        .position(|pair| matches!(pair, [0xff, marker] if !matches!(marker, 0x00 | 0xd0..=0xd7)));
    end.unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker][..], &length, content].concat()
    }

    #[test]
    fn a_picture_keeps_what_is_needed_to_decode_it() {
        let (start, end) = (vec![0xff, 0xd8], vec![0xff, 0xd9]);
        let tables = segment(0xdb, &[7; 65]);
        let frame = segment(
            0xc2,
            &[8, 0, 1, 0, 1, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0],
        );
        let scan = [
            segment(0xda, &[1, 1, 0, 0, 0, 0]),
            b"\x12\xff\x00\xff\xd3\x34".to_vec(),
        ]
        .concat();
        let exif = segment(0xe1, b"Exif\0\0MM");
        let adobe = segment(0xee, b"Adobe\0d\0\0\0\0\x01");
        let needed = [&start, &exif, &adobe, &tables, &frame, &scan, &scan, &end];
        let carried = [
            &start[..],
            &exif,
            &segment(0xe2, b"ICC_PROFILE\0\x01\x01profile"),
            &segment(0xe1, b"Exif\0\0II"),
            &segment(0xe1, b"http://ns.adobe.com/xmp/extension/\0"),
            &adobe,
            &segment(0xee, b"other"),
            &segment(0xed, b"Photoshop 3.0\0"),
            &[0xff; 9],
            &tables,
            &segment(0xfe, b"a comment"),
            &frame,
            &scan,
            b"\xff",
            &segment(0xe2, b"MPF\0"),
            &scan,
            &end,
            &start,
            b"another picture",
        ];
        let mut file = carried.concat();
        let made = strip(&mut file);
        assert_eq!(file, needed.map(Vec::as_slice).concat());
        let expected = Made {
            scans: 2,
            components: 3,
        };
        assert_eq!(made, expected);
        let again = strip(&mut file);
        assert_eq!(
            (file, again),
            (needed.map(Vec::as_slice).concat(), expected)
        );
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        let whole = [
            &[0xff, 0xd8][..],
            &segment(0xe1, b"Exif\0\0MM"),
            &segment(0xe2, b"ICC_PROFILE\0"),
            &segment(0xc0, &[8, 0, 1, 0, 1, 1, 1, 0x11, 0]),
            &segment(0xda, &[1, 1, 0, 0, 63, 0]),
            b"\x12\xff\xd9",
        ]
        .concat();
        for length in 0..whole.len() {
            let mut file = whole[..length].to_vec();
            strip(&mut file);
            assert!(file.len() <= length);
            assert!(!file.windows(3).any(|part| part == b"ICC"), "{length}");
        }
    }
}
