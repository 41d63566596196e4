//! Puts a backup into a data directory, whole or not at all.
//!
//! The directory is marked before anything is in it, and nothing of this program opens a marked directory.
//! So whatever step is cut short, what is there is of no use until the same restore is run again and comes
//! to its end, which takes the mark away. It goes on with what is there already.
//!
//! **Invariant:** nothing that was in the directory is removed or written over: it is moved aside, if that
//! was asked for, or the restore is refused.

use std::io;
use std::path::Path;

use atropos::target::now_ms;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::list::{Line, Reader};
use super::verify::{self, LIST};
use super::{
    BackupError, Manifest, PAGE, Progress, Result, failed, manifest, put_json, sync_folder,
};
use crate::local::{Checksum, Copies, Local};
use crate::{private, sqlite};

/// The mark. It says which restore is not finished.
const MARK: &str = "restore-unfinished.json";

/// What a data directory that was moved aside is called, followed by the time.
const ASIDE: &str = "set-aside-";

/// What may be in a data directory that counts as empty: what a server leaves that holds nothing, and what
/// the file system puts there.
const HARMLESS: [&str; 4] = ["components", "lost+found", "server.lock", "status.sock"];

/// What SQLite keeps beside a database, and applies to whatever database it finds there.
const LOGS: [&str; 3] = ["atropos.db-wal", "atropos.db-shm", "atropos.db-journal"];

/// What whoever restores agrees to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// What was erased so long ago or later may come back, in milliseconds.
    pub erased_since_ms: Option<u64>,
    /// What is in the directory is moved aside.
    pub set_aside: bool,
}

/// What became of a restore.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The backup.
    pub id: Uuid,
    /// What was erased since this time is back.
    pub as_of_ms: u64,
    /// How long ago that is, in milliseconds.
    pub age_ms: u64,
    /// How many photos and documents there are now.
    pub objects: u64,
    /// How many blobs.
    pub files: u64,
    /// How many bytes those have.
    pub bytes: u64,
    /// Blobs that rows name and that the backup does not have.
    pub missing: u64,
    /// The folder in the data directory that has what was there before.
    pub set_aside: Option<String>,
    /// Whether an earlier try had been cut short, and this one went on with it.
    pub resumed: bool,
}

/// The restore that is not finished.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    backup: Uuid,
    /// Where to what is in the directory is being moved.
    set_aside: Option<String>,
    /// Whether all of that is there, so that whatever else is in the directory comes from the backup.
    emptied: bool,
}

impl Terms {
    /// How old the backup is, if that is agreed to.
    ///
    /// # Errors
    /// It is older, or nothing was agreed to, or the clock cannot tell.
    pub fn accept(&self, manifest: &Manifest) -> Result<u64> {
        let as_of_ms = manifest.as_of_ms;
        let age_ms = now_ms().checked_sub(as_of_ms);
        let age_ms = age_ms.ok_or(BackupError::Ahead(as_of_ms))?;
        match self.erased_since_ms {
            Some(accepted_ms) if accepted_ms >= age_ms => Ok(age_ms),
            _ => Err(BackupError::ErasedSince { as_of_ms, age_ms }),
        }
    }
}

/// Refuses a directory that is a backup, or whose restore is not finished.
///
/// # Errors
/// It is one of them, or cannot be looked at.
pub fn must_be_usable(data_dir: &Path) -> Result<()> {
    let has = |name: &str| {
        let file = data_dir.join(name);
        file.try_exists().map_err(failed("look for", &file))
    };
    if has(MARK)? {
        return Err(BackupError::Unrestored(data_dir.to_owned()));
    }
    if has(manifest::FILE)? {
        return Err(BackupError::IsBackup(data_dir.to_owned()));
    }
    Ok(())
}

/// Verifies the backup in `from`, then puts it into the data directory `to`, which the caller keeps servers
/// off. All files get the modes of this process.
///
/// # Errors
/// The terms do not cover it, the backup is unfinished or damaged, the directory is not empty, or either side
/// fails.
pub fn restore(from: &Path, to: &Path, terms: Terms, progress: Progress<'_>) -> Result<Restored> {
    let manifest = Manifest::read(from)?;
    let age_ms = terms.accept(&manifest)?;
    must_be_apart(from, to)?;
    let found = Mark::read(to)?;
    match &found {
        Some(mark) if mark.backup != manifest.id => {
            return Err(BackupError::OtherRestore(to.to_owned()));
        }
        Some(_) => {}
        None if terms.set_aside => {}
        None => must_be_empty(to)?,
    }
    verify::verify(from, &manifest, progress)?;

    let resumed = found.is_some();
    let mut mark = match found {
        Some(mark) => mark,
        None => Mark::new(manifest.id, to)?,
    };
    mark.empty(to)?;
    put_bytes(from, to, progress)?;
    put_rows(from, to, &manifest)?;
    mark.take_away(to)?;
    Ok(Restored {
        id: manifest.id,
        as_of_ms: manifest.as_of_ms,
        age_ms,
        objects: manifest.objects,
        files: manifest.files,
        bytes: manifest.bytes,
        missing: manifest.left_out.missing.len() as u64,
        set_aside: mark.set_aside,
        resumed,
    })
}

/// Refuses a backup that lies in the data directory it is to be put into.
fn must_be_apart(from: &Path, to: &Path) -> Result<()> {
    let place = |path: &Path| path.canonicalize().map_err(failed("look for", path));
    match place(from)?.starts_with(place(to)?) {
        true => Err(BackupError::Within(from.to_owned())),
        false => Ok(()),
    }
}

/// The names of what is in a data directory, but for what is harmless and what was set aside before.
fn contents(data_dir: &Path) -> Result<Vec<String>> {
    let unread = failed("read", data_dir);
    let read = || {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(data_dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let own = [ASIDE, MARK].iter().any(|own| name.starts_with(own));
            // It may be the place of a volume of its own.
            let place = name == "blobs" && is_empty(&entry.path())?;
            if !HARMLESS.contains(&&*name) && !own && !place {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    read().map_err(unread)
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    if !folder.is_dir() {
        return Ok(false);
    }
    for entry in std::fs::read_dir(folder)? {
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

fn must_be_empty(data_dir: &Path) -> Result<()> {
    match contents(data_dir)?.into_iter().next() {
        None => Ok(()),
        Some(entry) => Err(BackupError::Occupied {
            path: data_dir.to_owned(),
            entry,
        }),
    }
}

impl Mark {
    /// Marks a data directory.
    fn new(backup: Uuid, data_dir: &Path) -> Result<Self> {
        let occupied = !contents(data_dir)?.is_empty();
        let mark = Self {
            backup,
            set_aside: occupied.then(|| format!("{ASIDE}{}", now_ms())),
            emptied: !occupied,
        };
        mark.write(data_dir)?;
        Ok(mark)
    }

    fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(MARK);
        match std::fs::read(&path) {
            Ok(text) => {
                let mark = serde_json::from_slice(&text);
                Ok(Some(
                    mark.map_err(|error| failed("read", &path)(error.into()))?,
                ))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    fn write(&self, data_dir: &Path) -> Result<()> {
        put_json(data_dir, MARK, self)
    }

    /// Moves aside what was in the directory, as far as that is not done.
    fn empty(&mut self, data_dir: &Path) -> Result<()> {
        if let (Some(aside), false) = (&self.set_aside, self.emptied) {
            let aside = data_dir.join(aside);
            private::make_folder(&aside).map_err(failed("create", &aside))?;
            for name in contents(data_dir)? {
                let entry = data_dir.join(&name);
                std::fs::rename(&entry, aside.join(&name)).map_err(failed("move aside", &entry))?;
            }
            sync_folder(&aside)?;
            sync_folder(data_dir)?;
            self.emptied = true;
            self.write(data_dir)?;
        }
        match LOGS.iter().find(|name| data_dir.join(name).exists()) {
            None => Ok(()),
            Some(log) => Err(BackupError::Meddled {
                path: data_dir.to_owned(),
                entry: (*log).to_owned(),
            }),
        }
    }

    /// Makes the directory good for use.
    fn take_away(&self, data_dir: &Path) -> Result<()> {
        let path = data_dir.join(MARK);
        sync_folder(data_dir)?;
        std::fs::remove_file(&path).map_err(failed("remove", &path))?;
        sync_folder(data_dir)
    }
}

/// Puts the bytes in their place: the one place that makes the directory of the bytes.
fn put_bytes(from: &Path, to: &Path, progress: Progress<'_>) -> Result<()> {
    let source = verify::bytes(from)?;
    let mut copies = Copies::new(Local::make(to)?);
    let mut list = Reader::open(&from.join(LIST))?;
    let mut size = 0;
    loop {
        let lines = list.next(PAGE)?;
        if lines.is_empty() {
            return Ok(copies.sync()?);
        }
        for line in lines {
            put_blob(from, &source, &mut copies, &line).map_err(|error| match error {
                BackupError::Store(source) => BackupError::Copy {
                    key: line.key,
                    to: to.to_owned(),
                    source,
                },
                other => other,
            })?;
            size += line.checksum().size_bytes;
            progress("restoring", size);
        }
    }
}

/// Copies one blob, unless an earlier try has done so.
fn put_blob(from: &Path, source: &Local, copies: &mut Copies, line: &Line) -> Result<()> {
    let (wanted, bytes) = (line.checksum(), copies.place());
    match bytes.checksum(line.key)? {
        Some(found) if found == wanted => return Ok(()),
        Some(_) => bytes.discard(line.key)?,
        None => {}
    }
    match copies.add(source, line.key)? {
        Some(copied) if copied == wanted => Ok(()),
        Some(copied) => Err(verify::damaged(from, verify::differs(line, &copied))),
        None => {
            let what = format!("{} is missing", verify::path(line.key));
            Err(verify::damaged(from, what))
        }
    }
}

fn put_rows(from: &Path, to: &Path, manifest: &Manifest) -> Result<()> {
    let (source, place) = (from.join(sqlite::FILE), to.join(sqlite::FILE));
    let copied =
        Checksum::of_copy(&source, &place).map_err(failed("copy a database to", &place))?;
    match copied == manifest.database {
        true => Ok(()),
        false => Err(verify::damaged(
            from,
            format!("{} has changed", sqlite::FILE),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_age_that_is_known_and_agreed_to_is_accepted() {
        let manifest = |as_of_ms: u64| {
            let checksum = serde_json::json!({ "sizeBytes": 0, "sha256": "0".repeat(64) });
            let manifest = serde_json::json!({
                "id": Uuid::nil(), "product": "0", "schema": 1, "begunAtMs": 0, "asOfMs": as_of_ms,
                "endedAtMs": 0, "tenants": 0, "objects": 0, "files": 0, "bytes": 0,
                "database": checksum, "list": checksum,
                "leftOut": { "erasedMeanwhile": [], "missing": [], "unreadableRows": 0 },
            });
            serde_json::from_value::<Manifest>(manifest).unwrap()
        };
        let hour = 3_600_000;
        let accept = |agreed: Option<u64>, as_of_ms| {
            let terms = Terms {
                erased_since_ms: agreed,
                set_aside: false,
            };
            terms.accept(&manifest(as_of_ms))
        };
        let an_hour_ago = now_ms() - hour;
        assert!(accept(Some(2 * hour), an_hour_ago).is_ok());
        for agreed in [None, Some(hour / 2)] {
            let refused = accept(agreed, an_hour_ago).unwrap_err();
            assert!(
                matches!(refused, BackupError::ErasedSince { .. }),
                "{refused}"
            );
        }
        let ahead = accept(Some(u64::MAX), now_ms() + hour).unwrap_err();
        assert!(matches!(ahead, BackupError::Ahead(_)), "{ahead}");
    }
}
