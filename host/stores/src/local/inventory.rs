//! [`Inventory`] of local files: what lies in `blobs/`, whoever put it there.

use std::io;

use async_trait::async_trait;
use atropos::domain::ledger::{Entry, Room};
use atropos::ports::Inventory;
use atropos::ports::{Result, StoreError};
use atropos::target::BlobKey;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::walk::{at, store_error, walk};
use super::{Local, Shared};

/// How many entries are told of at once.
const BATCH: usize = 1000;

#[async_trait]
impl Inventory for Local {
    fn list(&self) -> BoxStream<'static, Result<Vec<Entry>>> {
        let shared = self.shared.clone();
        let (found, batches) = mpsc::channel(1);
        spawn_blocking(move || {
            let mut batch = Batch {
                entries: Vec::with_capacity(BATCH),
                found: &found,
            };
            let listed = shared.root.proved();
            let listed = listed.and_then(|root| walk(&root, &mut |entry| batch.push(entry)));
            let listed = listed.and_then(|()| batch.send());
            if let Err(error) = listed {
                // Nobody may be listening any more, which is why it failed then.
                let _ = found.blocking_send(Err(store_error(error)));
            }
        });
        let next = |mut batches: mpsc::Receiver<_>| async {
            let batch = batches.recv().await?;
            Some((batch, batches))
        };
        stream::unfold(batches, next).boxed()
    }

    async fn sizes(&self, keys: &[BlobKey]) -> Vec<Result<Option<u64>>> {
        let (shared, wanted) = (self.shared.clone(), keys.to_vec());
        let measure = move || wanted.into_iter().map(|key| shared.size(key)).collect();
        let measured: Result<Vec<io::Result<_>>, _> = spawn_blocking(measure).await;
        match measured {
            Ok(sizes) => sizes
                .into_iter()
                .map(|size| size.map_err(store_error))
                .collect(),
            Err(broken) => {
                let failed = |_| Err(StoreError::Unavailable(broken.to_string().into()));
                keys.iter().map(failed).collect()
            }
        }
    }

    async fn room(&self) -> Result<Option<Room>> {
        self.blocking(|shared| {
            let volume = rustix::fs::fstatvfs(&*shared.root.dir()?)?;
            Ok(Some(Room {
                free_bytes: volume.f_bavail.saturating_mul(volume.f_frsize),
                total_bytes: volume.f_blocks.saturating_mul(volume.f_frsize),
            }))
        })
        .await
    }
}

/// Entries on their way to whoever asked for them.
struct Batch<'a> {
    entries: Vec<Entry>,
    found: &'a mpsc::Sender<Result<Vec<Entry>>>,
}

impl Batch<'_> {
    fn push(&mut self, entry: Entry) -> io::Result<()> {
        self.entries.push(entry);
        match self.entries.len() {
            BATCH => self.send(),
            _ => Ok(()),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.entries);
        let sent = self.found.blocking_send(Ok(batch));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Shared {
    /// The size of a regular file; what a link points to is not looked at.
    pub(super) fn size(&self, key: BlobKey) -> io::Result<Option<u64>> {
        let (shard, name) = at(key);
        let root = self.root.dir()?;
        match root.symlink_metadata(format!("{shard}/{name}")) {
            Ok(found) => Ok(found.is_file().then(|| found.len())),
            Err(error) => self.absent(&root, error).map(|()| None),
        }
    }
}
