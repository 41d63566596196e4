//! Compares rows with bytes, and mends what has come apart.
//!
//! ```text
//! files ─► named by a row or shred record? ─► still there? ─► orphan ─► quarantine, if it is to be mended
//! rows  ─► a file of this size? ─► the row still there, and the file still not? ─► lost
//! ```
//!
//! Safe beside a server with uploads and deletes under way: a key is doomed before its first byte is
//! written, and its record is struck off after its last one is gone. So files are listed before
//! names are looked up, and whatever looks wrong is looked at again.
//!
//! **Invariant:** nothing is removed here but what has been in quarantine for its period. An orphan is
//! moved there, from where it can come back.
//! **Invariant:** no orphan is moved while the key of a live object's blob cannot be read (the file of that
//! blob looks as if nothing named it), nor while it is likelier that the database lacks rows.
//! **Invariant:** a row goes only if every one of its blobs is missing and not in quarantine, nothing stands
//! against its erasure, and that is not so of more than half of all blobs.

mod orphans;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

pub use self::orphans::{Doubt, MANY};
use crate::domain::Stored;
use crate::domain::ledger::Named;
use crate::domain::removals::Overdue;
use crate::ports::{Catalogue, Inventory, Ledger, Quarantine, Result, StoreError};
use crate::target::{BlobKey, Kind, Subdomain, now_ms};

/// How many rows are compared at once.
const PAGE: u32 = 1000;

/// How many findings of a sort are shown; all are counted.
const SHOWN: usize = 100;

/// How long shredding may be late before it is a finding: what has just come due is being removed.
const GRACE_MS: u64 = 60_000;

/// How long doomed bytes are waited for without any of them going.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often they are looked for meanwhile.
const INTERVAL: Duration = Duration::from_millis(100);

/// Compares and mends.
pub struct Doctor {
    /// The rows.
    pub ledger: Arc<dyn Ledger>,
    /// The bytes.
    pub inventory: Arc<dyn Inventory>,
    /// The rows, one object at a time.
    pub catalogue: Arc<dyn Catalogue>,
    /// Where orphans go.
    pub quarantine: Arc<dyn Quarantine>,
}

/// What was compared, found and mended.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Files looked at.
    pub files: u64,
    /// Blobs that rows name, and that were looked for.
    pub blobs: u64,
    /// What is wrong with the database. If anything is, rows and bytes were not compared.
    pub damage: Vec<String>,
    /// Rows that refer to what is not there, contradict one another, or cannot be read. Never mended.
    pub dangling: Vec<String>,
    /// Files that nothing names.
    pub orphans: Found<Orphan>,
    /// How many of them were written before the database was made.
    pub orphans_older_than_database: u64,
    /// Blobs of live objects that are not as they should be.
    pub lost: Found<Lost>,
    /// Doomed bytes that should be gone by now.
    pub overdue: Found<Overdue>,
    /// What does not belong among the blobs, by path. No divergence, and never touched.
    pub foreign: Found<String>,
    /// Why orphans were not moved to quarantine that were to be.
    pub doubts: Vec<Doubt>,
    /// How many orphans were moved to quarantine.
    pub quarantined: u64,
    /// How many files are in quarantine now.
    pub in_quarantine: u64,
    /// How many were erased whose period there was over.
    pub expired: u64,
    /// How many objects were forgotten, because their bytes were lost.
    pub forgotten: u64,
}

/// Findings of one sort.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found<T> {
    /// How many there are.
    pub count: u64,
    /// The first hundred of them.
    pub first: Vec<T>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self {
            count: 0,
            first: Vec::new(),
        }
    }
}

impl<T> Found<T> {
    fn push(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(one);
        }
    }
}

/// A file that nothing names.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Its key.
    #[serde(serialize_with = "crate::domain::removals::as_text")]
    pub key: BlobKey,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A blob of a live object that is not as it should be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Its key.
    #[serde(serialize_with = "crate::domain::removals::as_text")]
    pub key: BlobKey,
    /// Whose customer's.
    pub tenant: Subdomain,
    /// Photo or document.
    pub kind: Kind,
    /// Its user.
    pub user: String,
    /// The object's id.
    pub id: String,
    /// How many bytes there must be.
    pub size_bytes: u64,
    /// What there is instead.
    pub found: Instead,
}

/// What there is instead of a blob as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Instead {
    /// No file.
    Nothing,
    /// No file in its place, and one in quarantine.
    Quarantined,
    /// A file of another size, in bytes.
    OtherSize(u64),
    /// Something that cannot be looked at.
    Unreadable(String),
}

/// What to do about findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// Move orphans to quarantine, erase what has been there for `quarantine`, and try again at once to
    /// remove what is overdue.
    pub repair: bool,
    /// Even though there are more than [`MANY`] orphans.
    pub many_orphans: bool,
    /// Even though orphans are older than the database.
    pub younger_database: bool,
    /// Forget objects of which every blob is missing.
    pub forget_lost: bool,
    /// How long files stay in quarantine.
    pub quarantine: Duration,
}

/// How far the comparison is: files, and blobs that rows name.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

impl Report {
    /// How many findings are left to be mended.
    pub fn left(&self) -> u64 {
        let sentences = (self.damage.len() + self.dangling.len()) as u64;
        let orphans = self.orphans.count.saturating_sub(self.quarantined);
        sentences + orphans + self.lost.count + self.overdue.count
    }

    /// Whether so much is lost that the place of the bytes is the likelier reason: a volume that is
    /// not mounted, a directory that was moved.
    pub fn is_mass_loss(&self) -> bool {
        self.lost.count > self.blobs / 2
    }
}

impl Doctor {
    /// Compares, and mends as far as `treatment` says. More than half lost, nothing is forgotten.
    ///
    /// # Errors
    /// Rows or bytes cannot be looked through.
    pub async fn examine(&self, treatment: Treatment, progress: Progress<'_>) -> Result<Report> {
        let soundness = self.ledger.verify().await?;
        let mut report = Report {
            damage: soundness.damage,
            dangling: soundness.dangling,
            ..Report::default()
        };
        if !report.damage.is_empty() {
            return Ok(report);
        }
        if treatment.repair {
            let expired = self.quarantine.expire(treatment.quarantine, now_ms());
            report.expired = expired.await?;
        }
        self.compare_files(&mut report, progress).await?;
        if treatment.repair && soundness.unreadable_keys == 0 {
            self.put_away(&mut report, treatment).await?;
        }
        self.compare_rows(&mut report, progress).await?;
        let quarantined = self.quarantine.quarantined().await?;
        let quarantined: HashSet<BlobKey> = quarantined.iter().map(|file| file.key).collect();
        report.in_quarantine = quarantined.len() as u64;
        if treatment.forget_lost && report.lost.count > 0 && !report.is_mass_loss() {
            self.forget_lost(&mut report, &quarantined).await?;
        }
        for lost in &mut report.lost.first {
            if lost.found == Instead::Nothing && quarantined.contains(&lost.key) {
                lost.found = Instead::Quarantined;
            }
        }
        if treatment.repair {
            self.catalogue.retry(now_ms()).await?;
            self.wait_for_shredding().await?;
        }
        let grace = if treatment.repair { 0 } else { GRACE_MS };
        let by_ms = now_ms().saturating_sub(grace);
        report.overdue = Found {
            count: self.catalogue.backlog(by_ms, u32::MAX).await?.due,
            first: self.catalogue.overdue(by_ms, SHOWN as u32).await?,
        };
        Ok(report)
    }

    async fn compare_rows(&self, report: &mut Report, progress: Progress<'_>) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.ledger.named(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            report.blobs += page.len() as u64;
            for blob in self.suspects(page).await {
                if let Some(lost) = self.look_again(blob).await? {
                    report.lost.push(lost);
                }
            }
            progress(report.files, report.blobs);
        }
        Ok(())
    }

    /// Those of a page whose bytes are not as they should be, at first sight.
    async fn suspects(&self, page: Vec<Named>) -> Vec<Named> {
        let keys: Vec<BlobKey> = page.iter().map(|blob| blob.key).collect();
        let sizes = self.inventory.sizes(&keys).await;
        let pairs = page.into_iter().zip(sizes);
        pairs
            .filter(|(blob, size)| !matches!(size, Ok(Some(size)) if *size == blob.size_bytes))
            .map(|(blob, _)| blob)
            .collect()
    }

    /// A delete may have begun after the row was read; then there is no row any more.
    async fn look_again(&self, blob: Named) -> Result<Option<Lost>> {
        let mut sizes = self.inventory.sizes(&[blob.key]).await;
        let found = match sizes.pop() {
            Some(Ok(Some(size))) if size == blob.size_bytes => return Ok(None),
            Some(Ok(Some(size))) => Instead::OtherSize(size),
            Some(Ok(None)) | None => Instead::Nothing,
            Some(Err(error)) => Instead::Unreadable(super::shred::chain(&error)),
        };
        match self.catalogue.by_blob(blob.key).await {
            Ok(None) => return Ok(None),
            // Of an object that cannot be read whole, the row is there still.
            Ok(Some(_)) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let target = blob.target;
        Ok(Some(Lost {
            key: blob.key,
            tenant: blob.tenant,
            kind: target.kind,
            user: target.owner,
            id: target.id,
            size_bytes: blob.size_bytes,
            found,
        }))
    }

    /// Goes through the rows once more, since only the first findings are remembered.
    async fn forget_lost(&self, report: &mut Report, quarantined: &HashSet<BlobKey>) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.ledger.named(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            for blob in self.suspects(page).await {
                // Forgotten together with another blob of its object already?
                let stored = match self.catalogue.by_blob(blob.key).await {
                    Ok(Some(stored)) => stored,
                    // What cannot be read whole may have bytes left.
                    Ok(None) | Err(StoreError::Corrupt { .. }) => continue,
                    Err(error) => return Err(error),
                };
                if !self.is_all_missing(&stored, quarantined).await {
                    continue;
                }
                if self.ledger.forget(&stored.object, now_ms()).await?.is_ok() {
                    report.forgotten += 1;
                    let blobs = stored.renditions.len() as u64;
                    report.lost.count = report.lost.count.saturating_sub(blobs);
                    let keys: Vec<_> = stored.renditions.iter().map(|one| one.key).collect();
                    report.lost.first.retain(|lost| !keys.contains(&lost.key));
                }
            }
        }
        Ok(())
    }

    async fn is_all_missing(&self, stored: &Stored, quarantined: &HashSet<BlobKey>) -> bool {
        let keys: Vec<BlobKey> = stored.renditions.iter().map(|one| one.key).collect();
        if keys.iter().any(|key| quarantined.contains(key)) {
            return false;
        }
        let sizes = self.inventory.sizes(&keys).await;
        sizes.iter().all(|size| matches!(size, Ok(None)))
    }

    /// Returns once nothing is due any more, or what is left resists.
    async fn wait_for_shredding(&self) -> Result<()> {
        let mut least = u64::MAX;
        let mut since = Instant::now();
        loop {
            let due = self.catalogue.backlog(now_ms(), u32::MAX).await?.due;
            if due < least {
                (least, since) = (due, Instant::now());
            }
            if due == 0 || since.elapsed() > PATIENCE {
                return Ok(());
            }
            sleep(INTERVAL).await;
        }
    }
}
