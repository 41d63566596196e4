//! The body of a request, which tells its connection whether the handler has to wait for more of it,
//! and whether it was read to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};

use super::Connection;

/// A body whose connection waits while a read of it finds nothing.
pub(in crate::http) struct RequestBody<B> {
    inner: B,
    /// None if there is no body, or no more of it.
    connection: Option<Arc<Connection>>,
    /// The last read found nothing.
    awaited: bool,
}

impl<B: Body> RequestBody<B> {
    pub(in crate::http) fn new(inner: B, connection: &Arc<Connection>) -> Self {
        let has_body = !inner.is_end_stream();
        connection.body_is_left(has_body);
        let connection = has_body.then(|| Arc::clone(connection));
        Self {
            inner,
            connection,
            awaited: false,
        }
    }
}

impl<B: Body + Unpin> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let Some(connection) = &this.connection else {
            return polled;
        };
        if polled.is_pending() && !this.awaited {
            connection.await_body();
            this.awaited = true;
        }
        let frame = ready!(polled);
        if this.awaited && !connection.resume() {
            // The connection ends, and its handler with it.
            return Poll::Pending;
        }
        this.awaited = false;
        if frame.is_none() || this.inner.is_end_stream() {
            connection.body_is_left(false);
            this.connection = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for RequestBody<B> {
    /// What the handler does without the rest of the body is work.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take_if(|_| self.awaited) {
            connection.resume();
        }
    }
}
