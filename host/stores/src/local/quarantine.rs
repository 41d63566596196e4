//! [`Quarantine`] of local files: `blobs/quarantine/<32 digits>` of the key, on whatever volume `blobs` is.
//! When a file came is its time of modification.
//!
//! **Invariant:** a file on its way there, or back, is in one of both places, wherever the power is lost.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use atropos::domain::quarantine::Quarantined;
use atropos::ports::Quarantine;
use atropos::ports::Result;
use atropos::step::Barrier;
use atropos::target::BlobKey;
use cap_std::fs::{Dir, File};

use super::walk::{QUARANTINE, at, ms, there};
use super::{Local, Shared};

#[async_trait]
impl Quarantine for Local {
    async fn quarantine(&self, keys: &[BlobKey], at_ms: u64) -> Result<u64> {
        let keys = keys.to_vec();
        self.blocking(move |shared| shared.quarantine(&keys, at_ms))
            .await
    }

    async fn quarantined(&self) -> Result<Vec<Quarantined>> {
        self.blocking(|shared| {
            let root = shared.root.proved()?;
            open(&root)?.map_or_else(|| Ok(Vec::new()), |quarantine| list(&quarantine))
        })
        .await
    }

    async fn release(&self, keys: &[BlobKey]) -> Result<u64> {
        let keys = keys.to_vec();
        self.blocking(move |shared| shared.release(&keys)).await
    }

    async fn expire(&self, period: Duration, now_ms: u64) -> Result<u64> {
        self.blocking(move |shared| shared.expire(period, now_ms))
            .await
    }
}

impl Shared {
    fn quarantine(&self, keys: &[BlobKey], at_ms: u64) -> io::Result<u64> {
        let root = self.root.proved()?;
        self.make_directory(&root, QUARANTINE)?;
        let quarantine = root.open_dir(QUARANTINE)?;
        let (mut moved, mut left) = (0, BTreeSet::new());
        for key in keys {
            let (shard, name) = at(*key);
            let Some(directory) = there(root.open_dir(&shard))? else {
                continue;
            };
            let Some(file) = there(directory.open(&name))? else {
                continue;
            };
            // Durable first, or a file that came just now might look as if its period were over.
            came(file, at_ms)?;
            directory.rename(&name, &quarantine, key.to_string())?;
            left.insert(shard);
            moved += 1;
        }
        // A file is never in neither directory, whatever a power cut leaves.
        sync(Barrier::MovedTo, &quarantine)?;
        for shard in left {
            sync(Barrier::MovedFrom, &root.open_dir(shard)?)?;
        }
        Ok(moved)
    }

    fn release(&self, keys: &[BlobKey]) -> io::Result<u64> {
        let root = self.root.proved()?;
        let Some(quarantine) = open(&root)? else {
            return Ok(0);
        };
        let (mut moved, mut reached) = (0, BTreeSet::new());
        for key in keys {
            let (shard, name) = at(*key);
            self.make_directory(&root, &shard)?;
            let directory = root.open_dir(&shard)?;
            // What is in its place is what was written there.
            if there(directory.symlink_metadata(&name))?.is_some() {
                continue;
            }
            if there(quarantine.rename(key.to_string(), &directory, &name))?.is_some() {
                reached.insert(shard);
                moved += 1;
            }
        }
        for shard in reached {
            sync(Barrier::MovedTo, &root.open_dir(shard)?)?;
        }
        sync(Barrier::MovedFrom, &quarantine)?;
        Ok(moved)
    }

    fn expire(&self, period: Duration, now_ms: u64) -> io::Result<u64> {
        let root = self.root.proved()?;
        let Some(quarantine) = open(&root)? else {
            return Ok(0);
        };
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let mut removed = 0;
        for file in list(&quarantine)? {
            let name = file.key.to_string();
            if file.since_ms > now_ms {
                came(quarantine.open(&name)?, now_ms)?;
            } else if file.since_ms.saturating_add(period_ms) <= now_ms {
                removed += u64::from(there(quarantine.remove_file(&name))?.is_some());
            }
        }
        if removed > 0 {
            sync(Barrier::Removals, &quarantine)?;
        }
        Ok(removed)
    }

    /// Removes a blob that is in quarantine; whether one was.
    pub(super) fn remove_quarantined(&self, root: &Arc<Dir>, key: BlobKey) -> io::Result<bool> {
        let removed = there(root.remove_file(format!("{QUARANTINE}/{key}")))?.is_some();
        if removed {
            self.removals.touch(QUARANTINE.to_owned());
        }
        Ok(removed)
    }

    /// Whether a blob is in quarantine.
    pub(super) fn is_quarantined(&self, root: &Arc<Dir>, key: BlobKey) -> io::Result<bool> {
        Ok(there(root.symlink_metadata(format!("{QUARANTINE}/{key}")))?.is_some())
    }
}

fn open(root: &Dir) -> io::Result<Option<Dir>> {
    there(root.open_dir(QUARANTINE))
}

fn list(quarantine: &Dir) -> io::Result<Vec<Quarantined>> {
    let mut listed = Vec::new();
    for entry in quarantine.entries()? {
        let entry = entry?;
        let key = entry.file_name().to_string_lossy().parse().ok();
        let Some((key, found)) = key.zip(there(entry.metadata())?) else {
            continue;
        };
        if found.is_file() {
            listed.push(Quarantined {
                key,
                size_bytes: found.len(),
                since_ms: ms(found.modified()?.into_std()),
            });
        }
    }
    Ok(listed)
}

/// Notes durably when a file came.
fn came(file: File, at_ms: u64) -> io::Result<()> {
    let file = file.into_std();
    file.set_modified(UNIX_EPOCH + Duration::from_millis(at_ms))?;
    Barrier::Arrival.sync(&file)
}

fn sync(barrier: Barrier, directory: &Dir) -> io::Result<()> {
    barrier.sync(&directory.open(".")?.into_std())
}
