//! A stream whose bytes count as progress of its connection.
//!
//! **Invariant:** a connection that ends while bytes of an object are on their way is reset: its client
//! is told that something is missing, and what the kernel has not sent yet is discarded.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Connection;

/// A stream that can be reset.
pub(in crate::http) trait Reset {
    /// Has it end with a reset once it is dropped.
    fn reset_on_drop(&self) -> io::Result<()>;
}

impl Reset for TcpStream {
    fn reset_on_drop(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

/// Reports what is read and what is written.
pub(in crate::http) struct Metered<S: Reset> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S: Reset> Drop for Metered<S> {
    fn drop(&mut self) {
        if self.connection.is_sending()
            && let Err(error) = self.stream.reset_on_drop()
        {
            tracing::debug!(%error, "a connection cannot be reset");
        }
    }
}

impl<S: Reset> Metered<S> {
    pub(in crate::http) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.connection.progress(bytes);
        }
        written
    }
}

impl<S: Reset + AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = buffer.remaining();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.connection
                .progress(left.saturating_sub(buffer.remaining()));
        }
        read
    }
}

impl<S: Reset + AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.connection.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
