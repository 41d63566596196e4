//! Why an upload is refused.

use atropos::fair_queue::Full;
use atropos::ports::StoreError;

/// Why an upload is refused. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It has no bytes.
    #[error("the file is empty")]
    Empty,
    /// It has more bytes than it may.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It is none of the picture formats that are decoded: JPEG, PNG, GIF, WebP.
    #[error("the file is not a JPEG, PNG, GIF or WebP picture")]
    NotAPicture,
    /// It would take more memory to decode than it may.
    #[error("the picture has more than {limit} pixels")]
    TooManyPixels {
        /// The limit.
        limit: u64,
    },
    /// One of its sides is longer than a decoder takes.
    #[error("a side of the picture is longer than {limit} pixels")]
    TooLong {
        /// The limit.
        limit: u32,
    },
    /// A decoder would have to go through its pixels more often than it may.
    #[error("the picture has more than {limit} scans; save it with fewer, or as a baseline JPEG")]
    TooManyScans {
        /// The limit.
        limit: u32,
    },
    /// A decoder would have to make more tables than it may.
    #[error("the Huffman codes of the picture take more than {limit} bytes; save it anew")]
    TooManyCodes {
        /// The limit.
        limit: u64,
    },
    /// Its sender failed.
    #[error("the upload broke off")]
    Read(#[source] std::io::Error),
    /// As many uploads of whoever sends it are under way as there is room for. Trying again later is
    /// right.
    #[error("too many uploads are under way")]
    Crowded(#[source] Full),
    /// As many photos of its tenant wait to be decoded as there is room for. Trying again later is
    /// right.
    #[error("too many photos wait to be decoded")]
    Overloaded(#[source] Full),
    /// It cannot be stored; a taken id is [`StoreError::Taken`].
    #[error("the upload cannot be stored")]
    Store(#[from] StoreError),
}
