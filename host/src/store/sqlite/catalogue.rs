//! [`Catalogue`] in SQLite: upload, list, change, hold, look back.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::error::Named as _;
use super::objects::name;
use super::rows::{all, execute, first, kind, maybe, object, signed, to_json, unsigned, word};
use super::{Sqlite, decisions};
use crate::step::{self, Step};
use crate::store::catalogue::{Backlog, Change};
use crate::store::decision::Decision;
use crate::store::{
    Activity, Catalogue, NewObject, Page, Rendition, Result, StoreError, Stored, Stretch, Wanted,
};
use crate::target::{BlobKey, Kind, Target, TenantId};

/// Reads live objects with all that their owners may see; the condition follows.
macro_rules! stored {
    ($condition:literal) => {
        concat!(
            "SELECT id, tenant, kind, owner, public_id AS object_id, version, size_bytes,
                media_type, created_at_ms, labels, retain_until_ms, name, width, height,
                EXISTS (SELECT 1 FROM holds WHERE holds.object = objects.id) AS held
            FROM objects ",
            $condition
        )
    };
}

/// By the plus sign the order is no reason to walk through the objects of all owners: those of one are
/// few, and sorted.
const OF_ONE_OWNER: &str =
    stored!("WHERE tenant = ? AND kind = ? AND owner = ? ORDER BY +id LIMIT ? OFFSET ?");

#[async_trait]
impl Catalogue for Sqlite {
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

    async fn show(&self, target: &Target) -> Result<Option<Stored>> {
        let one = stored!("WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ?");
        self.readers
            .snapshot(|rows| first(rows, one, name!(target), |row| stored(rows, row)))
    }

    async fn by_blob(&self, key: BlobKey) -> Result<Option<Stored>> {
        let one = stored!("WHERE id = (SELECT object FROM blobs WHERE key = ?)");
        self.readers
            .snapshot(|rows| first(rows, one, [key.to_string()], |row| stored(rows, row)))
    }

    async fn list(
        &self,
        tenant: TenantId,
        kind: Kind,
        owner: Option<&str>,
        page: Page,
    ) -> Result<Vec<Stored>> {
        let (limit, offset) = (page.limit, signed(page.offset));
        let of_all = stored!("WHERE tenant = ? AND kind = ? ORDER BY id LIMIT ? OFFSET ?");
        self.readers.snapshot(|rows| {
            let read = |row: &Row<'_>| stored(rows, row);
            match owner {
                None => {
                    let values = params![tenant.0, kind.as_str(), limit, offset];
                    all(rows, of_all, values, read)
                }
                Some(owner) => {
                    let values = params![tenant.0, kind.as_str(), owner, limit, offset];
                    all(rows, OF_ONE_OWNER, values, read)
                }
            }
        })
    }

    async fn change(&self, target: &Target, change: Change) -> Result<()> {
        let target = target.clone();
        self.writer
            .write(move |rows| {
                let id = next_version(rows, &target)?;
                if let Some(labels) = &change.labels {
                    let put = "UPDATE objects SET labels = ? WHERE id = ?";
                    execute(rows, put, params![to_json(labels)?, id])?;
                }
                if let Some(until) = change.retain_until_ms {
                    let put = "UPDATE objects SET retain_until_ms = ? WHERE id = ?";
                    execute(rows, put, params![until.map(signed), id])?;
                }
                Ok(())
            })
            .await
    }

    async fn place_hold(&self, target: &Target, reason: &str, at_ms: u64) -> Result<Uuid> {
        let (target, reason, hold) = (target.clone(), reason.to_owned(), Uuid::new_v4());
        let place = "INSERT INTO holds (id, object, reason, placed_at_ms) VALUES (?, ?, ?, ?)";
        self.writer
            .write(move |rows| {
                let id = next_version(rows, &target)?;
                let values = params![hold.to_string(), id, reason, signed(at_ms)];
                execute(rows, place, values)?;
                Ok(hold)
            })
            .await
    }

    async fn release_holds(&self, target: &Target) -> Result<u64> {
        let target = target.clone();
        self.writer
            .write(move |rows| {
                let id = next_version(rows, &target)?;
                let released = execute(rows, "DELETE FROM holds WHERE object = ?", [id])?;
                Ok(released as u64)
            })
            .await
    }

    async fn activity(
        &self,
        tenant: TenantId,
        kind: Option<Kind>,
        owner: &str,
        page: Page,
    ) -> Result<Vec<Activity>> {
        let latest = "
            SELECT activity, kind, object_id, at_ms, caller, decision, bytes_absent FROM events
            WHERE tenant = ? AND owner = ? AND (?3 IS NULL OR kind = ?3)
            ORDER BY id DESC LIMIT ? OFFSET ?";
        let kind = kind.map(Kind::as_str);
        let values = params![tenant.0, owner, kind, page.limit, signed(page.offset)];
        self.readers
            .read(|rows| all(rows, latest, values, activity))
    }

    async fn decision(&self, tenant: TenantId, id: Uuid) -> Result<Option<Decision>> {
        self.readers.read(|rows| decisions::find(rows, tenant, id))
    }

    async fn decisions(
        &self,
        tenant: TenantId,
        wanted: &Wanted,
        stretch: Stretch,
    ) -> Result<Vec<Decision>> {
        self.readers
            .snapshot(|rows| decisions::list(rows, tenant, wanted, stretch))
    }

    async fn count_decisions(&self, tenant: TenantId, wanted: &Wanted) -> Result<u64> {
        self.readers
            .read(|rows| decisions::count(rows, tenant, wanted))
    }

    async fn backlog(&self, now_ms: u64) -> Result<Backlog> {
        // A record whose attempts make no sense does not hide how many wait.
        let waiting = "
            SELECT count(*) AS due,
                coalesce(max(attempts) FILTER (WHERE attempts BETWEEN 0 AND 4294967295), 0)
                    AS most_attempts
            FROM shreds WHERE not_before_ms <= ? OR attempts > 0";
        let backlog = self.readers.read(|rows| {
            first(rows, waiting, [signed(now_ms)], |row| {
                Ok(Backlog {
                    due: unsigned(row, "due")?,
                    most_attempts: row.get("most_attempts")?,
                })
            })
        })?;
        Ok(backlog.unwrap_or_default())
    }
}

fn insert(rows: &Connection, new: &NewObject) -> Result<()> {
    let (object, target) = (&new.object, &new.object.target);
    // A claimed record may have lost its bytes already, whatever its time says.
    let take_back = "DELETE FROM shreds WHERE key = ? AND claimed = 0 AND event IS NULL";
    for rendition in &new.renditions {
        step::pass_blocking(Step::InsertReservation)?;
        if execute(rows, take_back, [rendition.key.to_string()])? == 0 {
            return Err(StoreError::Missing {
                what: "reservation",
            });
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

/// Counts a change of an object and returns its row. Holds count too: what was judged before one
/// came or went is not what there is now.
fn next_version(rows: &Connection, target: &Target) -> Result<i64> {
    let count = "
        UPDATE objects SET version = version + 1
        WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ? RETURNING id";
    let id = first(rows, count, name!(target), |row| Ok(row.get("id")?))?;
    id.ok_or(StoreError::Missing { what: "object" })
}

fn stored(rows: &Connection, row: &Row<'_>) -> Result<Stored> {
    let renditions = "
        SELECT name, key, size_bytes, media_type FROM blobs WHERE object = ? ORDER BY ordinal";
    let id: i64 = row.get("id")?;
    let (width, height): (Option<u32>, Option<u32>) = (row.get("width")?, row.get("height")?);
    Ok(Stored {
        object: object(row)?,
        name: row.get("name")?,
        dimensions: width.zip(height),
        renditions: all(rows, renditions, [id], |row| {
            Ok(Rendition {
                name: row.get("name")?,
                key: word(row, "key")?,
                size_bytes: unsigned(row, "size_bytes")?,
                media_type: row.get("media_type")?,
            })
        })?,
    })
}

fn activity(row: &Row<'_>) -> Result<Activity> {
    Ok(Activity {
        activity: row.get("activity")?,
        kind: kind(row)?,
        object_id: row.get("object_id")?,
        at_ms: unsigned(row, "at_ms")?,
        caller: row.get("caller")?,
        decision_id: maybe(row, "decision")?,
        bytes_absent: row.get("bytes_absent")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_one_owner_are_found_without_a_look_at_those_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {OF_ONE_OWNER}");
        let values = params![1, "photo", "u-1001", 25, 0];
        let plan = |rows: &Connection| {
            all(
                rows,
                &sql,
                values,
                |row| Ok(row.get::<_, String>("detail")?),
            )
        };
        let plan = sqlite.readers.read(plan).unwrap().join("\n");
        assert!(plan.contains("(tenant=? AND kind=? AND owner=?)"), "{plan}");
    }
}
