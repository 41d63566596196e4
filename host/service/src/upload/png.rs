//! A PNG without what is not needed to decode it.
//!
//! The decoder unpacks a colour profile and keeps every text before it comes to the first pixel: half a
//! megabyte of a profile can be as much as the decoder may have in all.
//!
//! **Invariant:** the decoder sees no metadata but one EXIF chunk of at most 64 KiB, and no frame but
//! the first.

use super::compact::Compact;

const SIGNATURE: usize = 8;
/// The size of the content and the name of a chunk.
const CHUNK_HEADER: usize = 8;
const CHECKSUM: usize = 4;
/// As large as it can be in a JPEG.
const MAX_EXIF: usize = 64 << 10;
/// An ancillary chunk has this bit in the first letter of its name.
const ANCILLARY: u8 = 0x20;

/// Frees a PNG of what is not needed to decode it.
pub(super) fn strip(file: &mut Vec<u8>) {
    let mut has_exif = false;
    let mut file = Compact::new(file);
    file.keep(0..SIGNATURE);
    let mut place = SIGNATURE;
    while let Some(header) = file.after(place).first_chunk::<CHUNK_HEADER>() {
        let [a, b, c, d, name @ ..] = *header;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = place + CHUNK_HEADER + size + CHECKSUM;
        let needed = match &name {
            b"tRNS" => true,
            b"eXIf" => size <= MAX_EXIF && !std::mem::replace(&mut has_exif, true),
            [first, ..] => first & ANCILLARY == 0,
        };
        if needed {
            file.keep(place..end);
        }
        if name == *b"IEND" {
            break;
        }
        place = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&size, &name[..], content, b"crc."].concat()
    }

    #[test]
    fn a_picture_keeps_what_is_needed_to_decode_it() {
        let signature = b"\x89PNG\r\n\x1a\n".to_vec();
        let exif = chunk(b"eXIf", b"MM");
        let needed = [
            signature.clone(),
            chunk(b"IHDR", &[0; 13]),
            exif.clone(),
            chunk(b"PLTE", &[0; 6]),
            chunk(b"tRNS", &[0; 2]),
            chunk(b"IDAT", &[1; 50]),
            chunk(b"IDAT", &[2; 9]),
            chunk(b"IEND", &[]),
        ];
        let carried = [
            signature,
            chunk(b"IHDR", &[0; 13]),
            chunk(b"iCCP", &[0; 99]),
            chunk(b"eXIf", &vec![0; MAX_EXIF + 1]),
            exif.clone(),
            chunk(b"acTL", &[0; 8]),
            exif,
            chunk(b"PLTE", &[0; 6]),
            chunk(b"tEXt", &[0; 9]),
            chunk(b"tRNS", &[0; 2]),
            chunk(b"IDAT", &[1; 50]),
            chunk(b"IDAT", &[2; 9]),
            chunk(b"fcTL", &[0; 26]),
            chunk(b"fdAT", &[0; 9]),
            chunk(b"zTXt", &[0; 9]),
            chunk(b"IEND", &[]),
            chunk(b"IDAT", &[3; 9]),
        ];
        let mut file = carried.concat();
        strip(&mut file);
        assert_eq!(file, needed.concat());
        strip(&mut file);
        assert_eq!(file, needed.concat());
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes() {
        let whole = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &[0; 13]),
            chunk(b"iCCP", &[0; 9]),
            chunk(b"IDAT", &[1; 50]),
        ]
        .concat();
        for length in 0..whole.len() {
            let mut file = whole[..length].to_vec();
            strip(&mut file);
            assert!(file.len() <= length);
            assert!(!file.windows(4).any(|part| part == b"iCCP"), "{length}");
        }
        let mut endless = whole;
        endless[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        let before = endless.clone();
        strip(&mut endless);
        assert_eq!(endless, before);
    }
}
