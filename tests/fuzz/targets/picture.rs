//! Photos. Whatever the bytes, decoding keeps to its memory, and what it derives is a picture within
//! the limits.

#![no_main]

use std::alloc::System;

use atropos_service::config::Upload;
use atropos_service::upload::UploadError;
use atropos_service::upload::fuzzing::decode;
use cap::Cap;
use libfuzzer_sys::fuzz_target;

const SIDE: u32 = 48;
const PIXELS: u64 = 100_000;

/// What the decoder may allocate (64 MiB, 9 bytes a pixel, the file three times), and as much again for
/// what allocates in steps. Who allocates more is ended.
const MEMORY: usize = 128 << 20;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|bytes: &[u8]| {
    let limits = Upload {
        max_photo_pixels: PIXELS,
        standard_side_px: SIDE,
        ..Upload::default()
    };
    let before = ALLOCATOR.allocated();
    ALLOCATOR.set_limit(before + MEMORY).expect("it is above");
    let decoded = decode(bytes, &limits);
    ALLOCATOR.set_limit(usize::MAX).expect("it is above");
    match decoded {
        Ok(picture) => {
            let pixels = u64::from(picture.width) * u64::from(picture.height);
            assert!((1..=PIXELS).contains(&pixels));
            let again = decode(&picture.standard, &limits).expect("a picture");
            assert_eq!(again.media_type, picture.standard_media_type);
            assert!(again.width.max(again.height) <= SIDE);
        }
        Err(
            UploadError::NotAPicture
            | UploadError::TooManyPixels { .. }
            | UploadError::TooLong { .. }
            | UploadError::TooManyScans { .. }
            | UploadError::TooManyCodes { .. },
        ) => {}
        Err(other) => panic!("{other}"),
    }
});
