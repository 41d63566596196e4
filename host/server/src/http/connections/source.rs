//! Bytes on their way to a client, of an object that may be erased meanwhile.
//!
//! **Invariant:** within two [`LOOK`]s of the end of its row, no byte of an object is handed to the
//! kernel, and what the kernel holds for it and has not sent is discarded with the connection.

use std::sync::{Arc, Weak};
use std::time::Duration;

use atropos::ports::Catalogue;
use atropos::target::BlobKey;
use tokio::time::sleep;

use super::Connection;

/// How often it is looked whether the object is still there. What asks the rows holds for any place of
/// the bytes, and whichever process erased it.
const LOOK: Duration = Duration::from_millis(400);

/// What the bytes of an answer are read from. A handler leaves it among the answer's extensions.
#[derive(Clone)]
pub(in crate::http) struct Source {
    catalogue: Arc<dyn Catalogue>,
    key: BlobKey,
    /// Dropped with the body that reads it.
    body: Weak<()>,
}

impl Source {
    /// The blob of this key, and what its body has to own.
    pub(in crate::http) fn new(catalogue: &Arc<dyn Catalogue>, key: BlobKey) -> (Self, Arc<()>) {
        let body = Arc::new(());
        let source = Self {
            catalogue: Arc::clone(catalogue),
            key,
            body: Arc::downgrade(&body),
        };
        (source, body)
    }

    /// Whether a row names the blob. Where that cannot be told, it counts as gone.
    async fn is_there(&self) -> bool {
        let named = self.catalogue.is_named(self.key).await;
        named.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a download ends: its object cannot be looked up");
            false
        })
    }
}

impl Connection {
    /// What the answer is read from whose bytes come next.
    pub(in crate::http) fn send_from(&self, source: Source) {
        *self.source.lock() = Some(source);
        self.sends.notify_one();
    }

    /// Whether bytes are on their way that are not handed to the kernel yet.
    pub(super) fn is_sending(&self) -> bool {
        self.source.lock().is_some()
    }

    /// All that came of the answer so far is handed to the kernel.
    pub(super) fn flushed(&self) {
        let mut source = self.source.lock();
        if source
            .as_ref()
            .is_some_and(|source| source.body.strong_count() == 0)
        {
            *source = None;
        }
    }

    /// Resolves when bytes are on their way whose object is gone.
    pub(super) async fn erased(&self) {
        loop {
            let Some(source) = self.source.lock().clone() else {
                self.sends.notified().await;
                continue;
            };
            sleep(LOOK).await;
            if !source.is_there().await && self.sends_from(&source) {
                return;
            }
        }
    }

    fn sends_from(&self, source: &Source) -> bool {
        let now = self.source.lock();
        now.as_ref()
            .is_some_and(|now| now.body.ptr_eq(&source.body))
    }
}
