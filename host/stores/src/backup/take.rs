//! Makes a backup beside a running server, or without one.
//!
//! The server is not told, and nothing of it waits for this: rows are read in short looks, but for the one
//! moment of the rows; files are read and written one after the other, on one thread.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use atropos::step::sync_copy;
use atropos::target::{BlobKey, now_ms};
use uuid::Uuid;

use super::list::{Line, Reader, Writer};
use super::manifest::{self, LeftOut, Manifest};
use super::verify::{self, LIST};
use super::{BackupError, PAGE, Progress, Result, failed};
use crate::local::{Checksum, Copies, Local, place};
use crate::sqlite::backup::Rows;
use crate::sqlite::{self, Sqlite};

/// The list of what was copied, before it is known what was erased meanwhile.
const COPIED: &str = "copied.jsonl";

/// The rows as they were at one moment, with all that was in their pages.
const MOMENT: &str = "moment.db";

/// What a backup may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the moment of the rows may last, while which no checkpoint truncates the write-ahead log.
    pub longest_snapshot: Duration,
}

/// A backup that is being made.
struct Taking<'a> {
    to: &'a Path,
    live: Rows,
    bytes: &'a Local,
    copies: Copies,
    progress: Progress<'a>,
}

/// Makes a backup of `rows` and `bytes` in the folder `to`, which is empty or not there, and verifies it.
/// What was erased by the time that its manifest names is not in it. All files get the modes of this
/// process.
///
/// # Errors
/// The folder is not empty, the source is damaged, either side fails, or the rows take too long to copy. What
/// is in the folder then is an unfinished backup.
pub fn take(
    rows: &Sqlite,
    bytes: &Local,
    to: &Path,
    limits: Limits,
    progress: Progress<'_>,
) -> Result<Manifest> {
    let begun_at_ms = now_ms();
    must_be_empty(to)?;
    manifest::begin(to)?;
    let live = rows.live()?;
    let mut taking = Taking {
        live: rows.live()?,
        bytes,
        copies: Copies::new(Local::make(to)?),
        to,
        progress,
    };
    let mut copied = Writer::create(&to.join(COPIED))?;
    taking.copy_bytes(&live, &mut copied)?;
    let moment = taking.copy_rows(limits)?;
    let (absent, unreadable_rows) = taking.copy_bytes(&moment, &mut copied)?;
    copied.finish()?;
    taking.copies.sync()?;
    verify::listed(to, taking.copies.place(), &to.join(COPIED), progress)?;

    let as_of_ms = now_ms();
    let mut erased_meanwhile = taking.forget_erased(&moment)?;
    let erased: HashSet<BlobKey> = moment.unnamed(&absent)?.into_iter().collect();
    let missing = absent.into_iter().filter(|key| !erased.contains(key));
    let missing = missing.collect();
    let (files, bytes) = taking.keep_named(&moment, &mut erased_meanwhile)?;
    taking.finish(moment)?;

    let schema = Sqlite::known_schema();
    let totals = Rows::sealed(&to.join(sqlite::FILE))?.totals()?;
    let manifest = Manifest {
        id: Uuid::new_v4(),
        product: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        begun_at_ms,
        as_of_ms,
        ended_at_ms: now_ms(),
        tenants: totals.tenants,
        objects: totals.objects,
        files,
        bytes,
        database: taking.checksum(sqlite::FILE)?,
        list: taking.checksum(LIST)?,
        left_out: LeftOut {
            erased_meanwhile,
            missing,
            unreadable_rows,
        },
    };
    verify::rows(to, &manifest, taking.copies.place())?;
    manifest.finish(to)?;
    Ok(manifest)
}

fn must_be_empty(folder: &Path) -> Result<()> {
    place::make_folder(folder).map_err(failed("create", folder))?;
    let mut entries = std::fs::read_dir(folder).map_err(failed("read", folder))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(BackupError::NotEmpty(folder.to_owned())),
    }
}

impl Taking<'_> {
    /// Copies the bytes that these rows name, unless they are copied already. Returns the keys of those that
    /// are not there or have another size, and how many rows cannot be read.
    fn copy_bytes(&mut self, rows: &Rows, copied: &mut Writer) -> Result<(Vec<BlobKey>, u64)> {
        let (mut absent, mut unreadable, mut after) = (Vec::new(), 0, None);
        loop {
            let page = rows.blobs(after, PAGE)?;
            unreadable += page.unreadable;
            let Some((last, _)) = page.blobs.last() else {
                return Ok((absent, unreadable));
            };
            after = Some(*last);
            for (key, size_bytes) in page.blobs {
                if self.copies.place().size(key)?.is_some() {
                    continue;
                }
                match self.copy_blob(key, size_bytes)? {
                    Some(checksum) => copied.push(&Line::new(key, checksum))?,
                    None => absent.push(key),
                }
                (self.progress)("copying", copied.bytes());
            }
        }
    }

    /// Copies one blob, if it is there as its row says.
    fn copy_blob(&mut self, key: BlobKey, size_bytes: u64) -> Result<Option<Checksum>> {
        let copied = self.copies.add(self.bytes, key);
        let copied = copied.map_err(|source| BackupError::Copy {
            key,
            to: self.to.to_owned(),
            source,
        })?;
        if copied.is_some_and(|found| found.size_bytes != size_bytes) {
            self.copies.place().discard(key)?;
            return Ok(None);
        }
        Ok(copied)
    }

    fn copy_rows(&self, limits: Limits) -> Result<Rows> {
        let begun = Instant::now();
        let mut go_on = |_| begun.elapsed() <= limits.longest_snapshot;
        let copied = self.live.copy(&self.to.join(MOMENT), &mut go_on)?;
        let limit_ms = limits.longest_snapshot.as_millis() as u64;
        copied.ok_or(BackupError::TooSlow { limit_ms })
    }

    /// Takes the rows out of the copy that have been erased since, and returns the keys of their blobs.
    fn forget_erased(&self, moment: &Rows) -> Result<Vec<BlobKey>> {
        let (mut erased, mut after) = (Vec::new(), None);
        loop {
            let page = moment.blobs(after, PAGE)?.blobs;
            let Some((last, _)) = page.last() else {
                return Ok(erased);
            };
            after = Some(*last);
            let keys: Vec<BlobKey> = page.into_iter().map(|(key, _)| key).collect();
            let gone = self.live.unnamed(&keys)?;
            moment.forget(&gone)?;
            erased.extend(gone);
        }
    }

    /// Removes the copies that no row of the copy names any more and adds their keys to `erased`, and lists
    /// the others. Returns how many files and bytes those are.
    fn keep_named(&self, moment: &Rows, erased: &mut Vec<BlobKey>) -> Result<(u64, u64)> {
        let mut copied = Reader::open(&self.to.join(COPIED))?;
        let mut kept = Writer::create(&self.to.join(LIST))?;
        loop {
            let lines = copied.next(PAGE)?;
            if lines.is_empty() {
                break;
            }
            let keys: Vec<BlobKey> = lines.iter().map(|line| line.key).collect();
            let unnamed = moment.unnamed(&keys)?;
            for line in lines {
                if unnamed.contains(&line.key) {
                    self.copies.place().discard(line.key)?;
                    erased.push(line.key);
                } else {
                    kept.push(&line)?;
                }
            }
        }
        erased.sort();
        erased.dedup();
        let totals = (kept.files(), kept.bytes());
        kept.finish()?;
        Ok(totals)
    }

    /// Writes the rows to their final file, and removes what is of no use any more.
    fn finish(&self, moment: Rows) -> Result<()> {
        let database = self.to.join(sqlite::FILE);
        moment.finish(&database)?;
        let synced = File::open(&database).and_then(|file| sync_copy(&file));
        synced.map_err(failed("sync", &database))?;
        for name in [MOMENT, COPIED] {
            let file = self.to.join(name);
            std::fs::remove_file(&file).map_err(failed("remove", &file))?;
        }
        Ok(self.copies.place().sync_names()?)
    }

    fn checksum(&self, name: &str) -> Result<Checksum> {
        let file = self.to.join(name);
        Checksum::of(&file).map_err(failed("read", &file))
    }
}
