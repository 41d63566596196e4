//! [`PendingUploads`] in SQLite.

use async_trait::async_trait;
use atropos::domain::NewObject;
use atropos::ports::{PendingUploads, Result, StoreError};
use atropos::step::{self, Step};
use atropos::target::BlobKey;
use rusqlite::{Connection, params};

use super::Sqlite;
use super::error::{Named as _, Sql};
use super::objects::name;
use super::rows::{execute, signed, to_json};

#[async_trait]
impl PendingUploads for Sqlite {
    async fn reserve(&self, keys: &[BlobKey], until_ms: u64) -> Result<()> {
        let (keys, until) = (keys.to_vec(), signed(until_ms));
        let doom = "INSERT INTO shreds (key, not_before_ms) VALUES (?, ?)";
        self.writer
            .write(move |rows| {
                for key in keys {
                    step::pass_blocking(Step::UploadReserve)?;
                    execute(rows, doom, params![key.to_string(), until])?;
                }
                Ok(())
            })
            .await
    }

    async fn insert(&self, object: NewObject) -> Result<()> {
        self.writer.write(move |rows| insert(rows, &object)).await
    }
}

fn insert(rows: &Connection, new: &NewObject) -> Sql<()> {
    let (object, target) = (&new.object, &new.object.target);
    // A claimed record may have lost its bytes already, whatever its time says.
    let take_back = "DELETE FROM shreds WHERE key = ? AND leased_until_ms = 0 AND event IS NULL";
    for rendition in &new.renditions {
        step::pass_blocking(Step::InsertReservation)?;
        if execute(rows, take_back, [rendition.key.to_string()])? == 0 {
            let what = "reservation";
            return Err(StoreError::Missing { what }.into());
        }
    }
    step::pass_blocking(Step::InsertRow)?;
    let live = "
        INSERT INTO objects (tenant, kind, owner, public_id, version, size_bytes, media_type,
            created_at_ms, labels, retain_until_ms, name, width, height)
        VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = name!(
        target,
        signed(object.size_bytes),
        object.media_type,
        signed(object.created_at_ms),
        to_json(&object.labels)?,
        object.retain_until_ms.map(signed),
        new.name,
        new.dimensions.map(|(width, _)| width),
        new.dimensions.map(|(_, height)| height)
    );
    let inserted = rows.prepare_cached(live)?.insert(values);
    let id = inserted.unique("object")?;
    let blob = "
        INSERT INTO blobs (key, object, ordinal, name, size_bytes, media_type)
        VALUES (?, ?, ?, ?, ?, ?)";
    for (ordinal, rendition) in (0_i64..).zip(&new.renditions) {
        step::pass_blocking(Step::InsertBlob)?;
        let values = params![
            rendition.key.to_string(),
            id,
            ordinal,
            rendition.name,
            signed(rendition.size_bytes),
            rendition.media_type,
        ];
        execute(rows, blob, values)?;
    }
    Ok(())
}
