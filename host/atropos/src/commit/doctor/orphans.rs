//! Files that nothing names, and their way into quarantine.
//!
//! No crash leaves such files: if there are many, or they are older than the database, it is rather the
//! database that lacks rows.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use serde::Serialize;

use super::{Doctor, Orphan, Progress, Report, Treatment};
use crate::domain::ledger::Entry;
use crate::ports::Result;
use crate::target::{BlobKey, now_ms};

/// More orphans than this are many.
pub const MANY: u64 = 10;

/// Why orphans are left where they are until an operator says that they are none of the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// There are more than [`MANY`].
    ManyOrphans,
    /// The database was made after some of them were written.
    YoungerDatabase,
}

impl Doctor {
    /// Compares the files with what names them.
    pub(super) async fn compare_files(
        &self,
        report: &mut Report,
        progress: Progress<'_>,
    ) -> Result<()> {
        let made_ms = self.ledger.made_at_ms().await?;
        let mut batches = self.inventory.list();
        while let Some(batch) = batches.next().await {
            let mut written = HashMap::new();
            for entry in batch? {
                match entry {
                    Entry::Blob(blob) => {
                        written.insert(blob.key, blob.written_ms);
                    }
                    Entry::Foreign(path) => report.foreign.push(path),
                }
            }
            report.files += written.len() as u64;
            let keys: Vec<BlobKey> = written.keys().copied().collect();
            for orphan in self.orphans(&keys).await? {
                let older = written
                    .get(&orphan.key)
                    .is_some_and(|at_ms| *at_ms < made_ms);
                report.orphans_older_than_database += u64::from(older);
                report.orphans.push(orphan);
            }
            progress(report.files, report.blobs);
        }
        Ok(())
    }

    /// Moves orphans to quarantine, unless there is a doubt that `treatment` does not answer.
    pub(super) async fn put_away(&self, report: &mut Report, treatment: Treatment) -> Result<()> {
        let many = report.orphans.count > MANY && !treatment.many_orphans;
        let younger = report.orphans_older_than_database > 0 && !treatment.younger_database;
        let doubts = [
            many.then_some(Doubt::ManyOrphans),
            younger.then_some(Doubt::YoungerDatabase),
        ];
        report.doubts = doubts.into_iter().flatten().collect();
        if report.orphans.count == 0 || !report.doubts.is_empty() {
            return Ok(());
        }
        // Once more, since only the first findings are remembered.
        let mut batches = self.inventory.list();
        while let Some(batch) = batches.next().await {
            let blob = |entry| match entry {
                Entry::Blob(blob) => Some(blob.key),
                Entry::Foreign(_) => None,
            };
            let keys: Vec<BlobKey> = batch?.into_iter().filter_map(blob).collect();
            let orphans = self.orphans(&keys).await?;
            if !orphans.is_empty() {
                let keys: Vec<BlobKey> = orphans.iter().map(|orphan| orphan.key).collect();
                report.quarantined += self.quarantine.quarantine(&keys, now_ms()).await?;
            }
        }
        Ok(())
    }

    /// Those of these files that nothing names, and that are still there.
    async fn orphans(&self, keys: &[BlobKey]) -> Result<Vec<Orphan>> {
        let unnamed = self.ledger.unnamed(keys).await?;
        let sizes = self.inventory.sizes(&unnamed).await;
        let mut orphans = Vec::new();
        for (key, size) in unnamed.into_iter().zip(sizes) {
            if let Some(size_bytes) = size? {
                orphans.push(Orphan { key, size_bytes });
            }
        }
        Ok(orphans)
    }
}
