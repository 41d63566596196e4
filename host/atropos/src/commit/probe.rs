//! Whether the parts of the commit take on work: a probe goes the way that a delete goes, and has none.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::parts::Part;

/// How many probes wait at most; further ones wait to be sent.
const WAITING: usize = 16;

/// What goes through the parts. A part that panics with it drops it.
pub(super) struct Probe(mpsc::UnboundedSender<Part>);

impl Probe {
    pub(super) fn came_through(&self, part: Part) {
        // Who sent it may not wait any more.
        let _ = self.0.send(part);
    }
}

/// Where probes are sent. Cheap to clone.
#[derive(Clone)]
pub(super) struct Probes {
    erasures: mpsc::Sender<Probe>,
    records: mpsc::Sender<Probe>,
}

impl Probes {
    /// With the ends where erasures are committed, and decisions recorded.
    pub(super) fn new() -> (Self, mpsc::Receiver<Probe>, mpsc::Receiver<Probe>) {
        let (erasures, committing) = mpsc::channel(WAITING);
        let (records, recording) = mpsc::channel(WAITING);
        (Self { erasures, records }, committing, recording)
    }

    /// Sends probes, and returns the parts that they did not come through within `patience`.
    pub(super) async fn send(&self, patience: Duration) -> Vec<Part> {
        let mut missing = vec![Part::Commit, Part::Remove, Part::Record];
        let come_through = async {
            let (came, mut coming) = mpsc::unbounded_channel();
            // A part that has ended takes none.
            let _ = self.erasures.send(Probe(came.clone())).await;
            let _ = self.records.send(Probe(came)).await;
            while let Some(part) = coming.recv().await {
                missing.retain(|missing| *missing != part);
            }
        };
        // Past that, what is missing is missing.
        let _ = timeout(patience, come_through).await;
        if missing.contains(&Part::Commit) {
            // What comes after it was not reached.
            missing.retain(|missing| *missing != Part::Remove);
        }
        missing
    }
}
