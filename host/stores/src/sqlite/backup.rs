//! Rows for a backup: read beside a server, copied as they are at one moment, freed of what must not be
//! in the copy.
//!
//! The copy is made by SQLite's online backup inside one read transaction, which pins the moment: without
//! it the backup would begin anew at every write of the server, and under load never end. While that
//! transaction is open no checkpoint can truncate the write-ahead log, so it lasts no longer than it takes
//! to read the pages one after the other, and whoever asked for it can end it. `VACUUM INTO` would hold it
//! several times as long; it follows on the copy, where it is in nobody's way.
//!
//! **Invariant:** no page of the finished copy has anything in it but live rows: no free page, no unused
//! part of a page with an older row.
//! **Invariant:** no row of the finished copy dooms bytes: whatever was doomed is not in a backup.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use atropos::domain::ledger::Totals;
use atropos::ports::Result;
use atropos::target::BlobKey;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::error::told;
use super::open::{BUSY_TIMEOUT, connect, immutable};
use super::rows::{all, execute, first, key, keys, sift, unsigned};
use super::{Sqlite, ledger, run, schema};

/// How many pages are copied between two looks at whether to go on: 16 MiB.
const PAGES: i32 = 4096;

/// How long the copy waits when SQLite says that it has to.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// The rows of one database file.
pub struct Rows(Connection);

/// Some of the blobs that rows name, by key.
pub struct Blobs {
    /// Key and size in bytes.
    pub blobs: Vec<(BlobKey, u64)>,
    /// How many rows among them cannot be read.
    pub unreadable: u64,
}

impl Sqlite {
    /// The newest schema that this version knows.
    pub fn known_schema() -> u32 {
        schema::known()
    }

    /// The rows as they are at each look.
    ///
    /// # Errors
    /// The database does not open.
    pub fn live(&self) -> Result<Rows> {
        told(|| {
            let connection = connect(self.files.path())?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(Rows(connection))
        })
    }
}

impl Rows {
    /// Opens a file that nobody writes, whatever lies beside it. Nothing is made beside it either.
    ///
    /// # Errors
    /// It is not there, or no database.
    pub fn sealed(file: &Path) -> Result<Self> {
        told(|| Ok(Self(immutable(file)?)))
    }

    /// The blobs that rows name, from the one after `after` on, at most `limit`.
    ///
    /// # Errors
    /// The database does not answer, or is damaged.
    pub fn blobs(&self, after: Option<BlobKey>, limit: usize) -> Result<Blobs> {
        told(|| {
            let page = "SELECT key, size_bytes FROM blobs WHERE key > ? ORDER BY key";
            let after = after.map_or_else(String::new, |key| key.to_string());
            let (blobs, unreadable) = sift(&self.0, page, [after], limit, |row| {
                Ok((key(row)?, unsigned(row, "size_bytes")?))
            })?;
            Ok(Blobs { blobs, unreadable })
        })
    }

    /// Those of `keys` that no row names.
    ///
    /// # Errors
    /// As of [`Rows::blobs`].
    pub fn unnamed(&self, some: &[BlobKey]) -> Result<Vec<BlobKey>> {
        told(|| {
            let unnamed = "
                SELECT value AS key FROM json_each(?)
                WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.key = value)";
            all(&self.0, unnamed, [keys(some)?], key)
        })
    }

    /// Copies all rows, as they are now, to a new file. `None` if `go_on` says so, which is asked every
    /// 16 MiB and told how many of them are left.
    ///
    /// # Errors
    /// The database does not answer, or the copy cannot be written.
    pub fn copy(&self, to: &Path, go_on: &mut dyn FnMut(i32) -> bool) -> Result<Option<Self>> {
        told(|| {
            let mut copy = Connection::open(to)?;
            // A copy that is not finished is made anew; what is finished is synced by whoever wants it.
            copy.pragma_update(None, "synchronous", "OFF")?;
            let moment = self.0.unchecked_transaction()?;
            moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            let backup = Backup::new(&self.0, &mut copy)?;
            loop {
                match backup.step(PAGES)? {
                    StepResult::Done => break,
                    StepResult::More => {}
                    _ => sleep(BUSY_PAUSE),
                }
                if !go_on(backup.progress().remaining) {
                    return Ok(None);
                }
            }
            drop(backup);
            moment.finish()?;
            copy.busy_timeout(BUSY_TIMEOUT)?;
            copy.pragma_update(None, "temp_store", "MEMORY")?;
            copy.pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
            Ok(Some(Self(copy)))
        })
    }

    /// Takes the objects out of a copy whose blobs these are.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn forget(&self, erased: &[BlobKey]) -> Result<()> {
        told(|| {
            if erased.is_empty() {
                return Ok(());
            }
            let transaction = self.0.unchecked_transaction()?;
            let objects = "
                SELECT json_group_array(DISTINCT object) AS ids FROM blobs
                WHERE key IN (SELECT value FROM json_each(?))";
            let ids = first(&transaction, objects, [keys(erased)?], |row| {
                Ok(row.get::<_, String>("ids")?)
            })?;
            for delete in [
                "DELETE FROM holds WHERE object IN (SELECT value FROM json_each(?))",
                "DELETE FROM blobs WHERE object IN (SELECT value FROM json_each(?))",
                "DELETE FROM objects WHERE id IN (SELECT value FROM json_each(?))",
            ] {
                execute(&transaction, delete, [&ids])?;
            }
            Ok(transaction.commit()?)
        })
    }

    /// Writes a copy to its final file, row by row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self, to: &Path) -> Result<()> {
        told(|| {
            execute(&self.0, "DELETE FROM shreds", [])?;
            run::forget(&self.0)?;
            execute(&self.0, "VACUUM INTO ?", [to.to_string_lossy()])?;
            Ok(())
        })
    }

    /// What is wrong with the database file itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn damage(&self) -> Result<Vec<String>> {
        told(|| Ok(ledger::verify(&self.0)?.damage))
    }

    /// The schema of the file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn schema(&self) -> Result<u32> {
        told(|| schema::version(&self.0))
    }

    /// How much there is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn totals(&self) -> Result<Totals> {
        told(|| ledger::totals(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than two looks at whether to go on.
    const FILL: &str = "
        CREATE TABLE filling (bytes BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
        INSERT INTO filling SELECT zeroblob(1048576) FROM n;";

    #[test]
    fn a_copy_is_of_one_moment_and_ends_however_much_is_written_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let database = Sqlite::open(dir.path()).unwrap();
        let other = connect(database.files.path()).unwrap();
        other.execute_batch(FILL).unwrap();
        let mut looks = 0;
        let write = "INSERT INTO instance (name, value) VALUES (?, 'later')";
        let copied = database
            .live()
            .unwrap()
            .copy(&dir.path().join("copy"), &mut |_| {
                looks += 1;
                other.execute(write, [looks.to_string()]).unwrap();
                looks < 20
            });
        let copied = copied.unwrap().expect("it begins anew at each write");
        assert!(looks >= 2, "{looks}");
        let later = "SELECT count(*) FROM instance WHERE value = 'later'";
        let later: i64 = copied.0.query_row(later, [], |row| row.get(0)).unwrap();
        assert_eq!(later, 0, "it is of another moment");
    }

    #[test]
    fn a_sealed_file_is_found_whatever_its_name_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a b?c#d%e&\u{e9}");
        std::fs::create_dir(&folder).unwrap();
        drop(Sqlite::open(&folder).unwrap());
        let sealed = Rows::sealed(&folder.join(super::super::FILE)).unwrap();
        assert_eq!(sealed.schema().unwrap(), Sqlite::known_schema());
        assert!(Rows::sealed(&folder.join("nothing")).is_err());
        let names: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}
