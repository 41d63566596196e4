//! What is cut off when a stop has lasted as long as it may, told once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Connection, Phase};

/// Counts the connections that end after it was begun, by what they were doing.
#[derive(Default)]
pub(in crate::http) struct Cut {
    begun: AtomicBool,
    downloads: AtomicUsize,
    receiving: AtomicUsize,
    others: AtomicUsize,
}

/// A connection, counted when this is dropped.
pub(in crate::http) struct Watched {
    cut: Arc<Cut>,
    connection: Arc<Connection>,
}

impl Cut {
    /// Counts this connection if it is cut off. To be dropped before what serves it.
    pub(in crate::http) fn watch(self: &Arc<Self>, connection: &Arc<Connection>) -> Watched {
        Watched {
            cut: Arc::clone(self),
            connection: Arc::clone(connection),
        }
    }

    /// From now on, whatever ends is cut off.
    pub(in crate::http) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Tells the log what was cut off after so many milliseconds.
    pub(in crate::http) fn tell(&self, after_ms: u64) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        tracing::warn!(
            downloads = count(&self.downloads),
            receiving = count(&self.receiving),
            others = count(&self.others),
            after_ms,
            "cut off: the stop has lasted for http.shutdown-timeout-ms; deletes go on to their end"
        );
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.cut.begun.load(Ordering::Relaxed) {
            return;
        }
        let counter = match *self.connection.phase.lock() {
            Phase::BetweenRequests { .. } if self.connection.is_sending() => &self.cut.downloads,
            Phase::AwaitingBody { .. } => &self.cut.receiving,
            _ => &self.cut.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
