//! A file that is read and may be removed meanwhile.
//!
//! **Invariant:** of a removed file nothing is handed over, not even what was read of it before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{Stat, fstat};
use tokio::io::{AsyncRead, ReadBuf};

/// How much of a blob is in memory while it is read.
pub(super) const BUFFER: usize = 256 << 10;

/// Fails once the file has fewer names than when it was opened, whichever process took one away.
pub(super) struct Reader {
    file: tokio::fs::File,
    opened: Stat,
}

impl Reader {
    /// Reads this file, and returns its size beside it.
    pub(super) fn new(file: std::fs::File) -> io::Result<(Self, u64)> {
        let (opened, size) = (fstat(&file)?, file.metadata()?.len());
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(BUFFER);
        Ok((Self { file, opened }, size))
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.file).poll_read(cx, buffer);
        if read.is_ready() && fstat(&self.file)?.st_nlink < self.opened.st_nlink {
            buffer.set_filled(before);
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the blob was removed while it was read",
            )));
        }
        read
    }
}
