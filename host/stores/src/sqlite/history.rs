//! [`History`] in SQLite.

use async_trait::async_trait;
use atropos::domain::decision::Decision;
use atropos::domain::{Activity, Page, Stretch, Wanted};
use atropos::ports::{History, Result};
use atropos::target::{Kind, TenantId};
use rusqlite::{Row, params};
use uuid::Uuid;

use super::error::Sql;
use super::rows::{all, kind, maybe, signed, unsigned};
use super::{Sqlite, decisions};

#[async_trait]
impl History for Sqlite {
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
