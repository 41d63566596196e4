//! [`Catalogue`] in SQLite: upload, list, change, hold, look back.

use async_trait::async_trait;
use atropos::step::{self, Step};
use atropos::store::catalogue::{Backlog, Change};
use atropos::store::decision::Decision;
use atropos::store::{
    Activity, Catalogue, NewObject, ObjectPage, Page, Result, StoreError, Stored, Stretch, Wanted,
};
use atropos::target::{BlobKey, Kind, Target, TenantId};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::error::{Named as _, Sql};
use super::objects::name;
use super::rows::{all, execute, first, kind, maybe, signed, to_json, unsigned};
use super::stored::{read, stored};
use super::{Sqlite, backlog, decisions, lists};

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
            .snapshot(|rows| first(rows, one, name!(target), |row| read(rows, row)))
    }

    async fn by_blob(&self, key: BlobKey) -> Result<Option<Stored>> {
        let one = stored!("WHERE id = (SELECT object FROM blobs WHERE key = ?)");
        self.readers
            .snapshot(|rows| first(rows, one, [key.to_string()], |row| read(rows, row)))
    }

    async fn is_named(&self, key: BlobKey) -> Result<bool> {
        let named = "SELECT 1 FROM blobs WHERE key = ?";
        let named = |rows: &Connection| first(rows, named, [key.to_string()], |_| Ok(()));
        Ok(self.readers.read(named)?.is_some())
    }

    async fn list(
        &self,
        tenant: TenantId,
        kind: Kind,
        owner: Option<&str>,
        page: ObjectPage,
    ) -> Result<Vec<Stored>> {
        if page.is_short() {
            let readers = &self.readers;
            return readers.snapshot(|rows| lists::objects(rows, tenant, kind, owner, &page));
        }
        let owner = owner.map(str::to_owned);
        self.readers
            .snapshot_long(move |rows| {
                step::pass_blocking(Step::RowsList)?;
                lists::objects(rows, tenant, kind, owner.as_deref(), &page)
            })
            .await
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
        let owner = owner.to_owned();
        // Events of the other kind are passed over, however many there are.
        self.readers
            .read_long(move |rows| {
                let kind = kind.map(Kind::as_str);
                let values = params![tenant.0, owner, kind, page.limit, signed(page.offset)];
                all(rows, latest, values, activity)
            })
            .await
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
        let wanted = wanted.clone();
        self.readers
            .snapshot_long(move |rows| decisions::list(rows, tenant, &wanted, stretch))
            .await
    }

    async fn count_decisions(&self, tenant: TenantId, wanted: &Wanted) -> Result<u64> {
        let wanted = wanted.clone();
        self.readers
            .read_long(move |rows| decisions::count(rows, tenant, &wanted))
            .await
    }

    async fn backlog(&self, now_ms: u64, at_most: u32) -> Result<Backlog> {
        self.readers
            .read_long(move |rows| backlog::count(rows, now_ms, at_most))
            .await
    }
}

fn insert(rows: &Connection, new: &NewObject) -> Sql<()> {
    let (object, target) = (&new.object, &new.object.target);
    // A claimed record may have lost its bytes already, whatever its time says.
    let take_back = "DELETE FROM shreds WHERE key = ? AND claimed = 0 AND event IS NULL";
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

/// Counts a change of an object and returns its row. Holds count too: what was judged before one
/// came or went is not what there is now.
fn next_version(rows: &Connection, target: &Target) -> Sql<i64> {
    let count = "
        UPDATE objects SET version = version + 1
        WHERE tenant = ? AND kind = ? AND owner = ? AND public_id = ? RETURNING id";
    let id = first(rows, count, name!(target), |row| Ok(row.get("id")?))?;
    Ok(id.ok_or(StoreError::Missing { what: "object" })?)
}

fn activity(row: &Row<'_>) -> Sql<Activity> {
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
