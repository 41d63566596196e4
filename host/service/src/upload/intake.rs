//! The bytes of an upload on their way in, measured.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, ReadBuf};

use super::error::UploadError;

/// Reads an upload, fails once it is larger than it may be, and remembers why it failed.
pub(super) struct Intake<'a> {
    content: BufReader<&'a mut (dyn AsyncRead + Send + Unpin)>,
    limit: u64,
    taken: u64,
    refusal: Option<UploadError>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(content: &'a mut (dyn AsyncRead + Send + Unpin), limit: u64) -> Self {
        Self {
            content: BufReader::new(content),
            limit,
            taken: 0,
            refusal: None,
        }
    }

    /// Waits for the first byte.
    pub(super) async fn begin(&mut self) -> Result<(), UploadError> {
        match self.content.fill_buf().await {
            Ok([]) => Err(UploadError::Empty),
            Ok(_) => Ok(()),
            Err(error) => Err(UploadError::Read(error)),
        }
    }

    /// Why reading failed, if it did.
    pub(super) fn refusal(&mut self) -> Option<UploadError> {
        self.refusal.take()
    }
}

impl AsyncRead for Intake<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.content).poll_read(context, buffer);
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => {
                let kind = error.kind();
                self.refusal = Some(UploadError::Read(error));
                Poll::Ready(Err(kind.into()))
            }
            Poll::Ready(Ok(())) => {
                self.taken += (buffer.filled().len() - before) as u64;
                if self.taken > self.limit {
                    let limit = self.limit;
                    // Who fails a read hands nothing over.
                    buffer.set_filled(before);
                    self.refusal = Some(UploadError::TooLarge { limit });
                    return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}
