//! [`Claims`] in SQLite: which volume of bytes the rows belong to, and when the database was made.

use rusqlite::{Connection, TransactionBehavior, params};

use super::rows::{execute, first, keys, word};
use super::{Sqlite, connect};
use crate::store::Result;
use crate::store::volume::{Claims, VolumeId};
use crate::target::BlobKey;

/// The row of `instance` that names the volume.
const VOLUME: &str = "volume";

impl Claims for Sqlite {
    fn volume(&self) -> Result<Option<VolumeId>> {
        self.readers.read(volume)
    }

    fn note_volume(&self, id: VolumeId) -> Result<VolumeId> {
        // In place, on a connection of its own: a data directory is being opened.
        let mut connection = connect(self.files.path())?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let rows = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let note = "INSERT INTO instance (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
        execute(&rows, note, params![VOLUME, id.to_string()])?;
        let noted = volume(&rows)?;
        rows.commit()?;
        Ok(noted.unwrap_or(id))
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
        let wanted = keys(wanted)?;
        self.readers
            .read(|rows| Ok(first(rows, named, [wanted], |_| Ok(()))?.is_some()))
    }
}

fn volume(rows: &Connection) -> Result<Option<VolumeId>> {
    let known = "SELECT value FROM instance WHERE name = ?";
    first(rows, known, [VOLUME], |row| word(row, "value"))
}
