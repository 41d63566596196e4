//! [`KnownVolume`] in SQLite: which volume of bytes the rows belong to, and when the database was made.

use atropos::domain::volume::VolumeId;
use atropos::ports::KnownVolume;
use atropos::ports::{Result, StoreError};
use atropos::target::BlobKey;
use rusqlite::{Connection, TransactionBehavior, params};

use super::Sqlite;
use super::error::{Sql, told};
use super::open::connect;
use super::rows::{execute, first, keys, word};

/// The rows of `instance` that name the volume and tell when the database was made.
const VOLUME: &str = "volume";
const MADE: &str = "made-at-ms";

const VALUE: &str = "SELECT value FROM instance WHERE name = ?";

impl KnownVolume for Sqlite {
    fn volume(&self) -> Result<Option<VolumeId>> {
        self.readers.read(volume)
    }

    fn note_volume(&self, id: VolumeId) -> Result<VolumeId> {
        told(|| {
            // In place, on a connection of its own: a data directory is being opened.
            let mut connection = connect(self.files.path())?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let rows = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let note = "INSERT INTO instance (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
            execute(&rows, note, params![VOLUME, id.to_string()])?;
            let noted = volume(&rows)?;
            rows.commit()?;
            Ok(noted.unwrap_or(id))
        })
    }

    fn name_any(&self) -> Result<bool> {
        let any = "SELECT 1 FROM (SELECT key FROM blobs UNION ALL SELECT key FROM shreds) LIMIT 1";
        self.readers
            .read(|rows| Ok(first(rows, any, [], |_| Ok(()))?.is_some()))
    }

    fn name_one_of(&self, wanted: &[BlobKey]) -> Result<bool> {
        let named = "
            SELECT 1 FROM json_each(?)
            WHERE EXISTS (SELECT 1 FROM blobs WHERE blobs.key = value)
                OR EXISTS (SELECT 1 FROM shreds WHERE shreds.key = value)
            LIMIT 1";
        self.readers
            .read(|rows| Ok(first(rows, named, [keys(wanted)?], |_| Ok(()))?.is_some()))
    }
}

fn volume(rows: &Connection) -> Sql<Option<VolumeId>> {
    first(rows, VALUE, [VOLUME], |row| word(row, "value"))
}

/// When the database was made, in milliseconds since the epoch.
pub(super) fn made_at_ms(rows: &Connection) -> Sql<u64> {
    let made = first(rows, VALUE, [MADE], |row| word(row, "value"))?;
    let what = "time at which the database was made";
    Ok(made.ok_or(StoreError::Missing { what })?)
}
