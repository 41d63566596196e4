//! Decisions: written once, and looked for by what they are about.
//!
//! **Invariant:** a part of a list is a range of an index, wherever in the list it begins. Only among
//! those of one millisecond the place is searched for.

use async_trait::async_trait;
use atropos::domain::decision::{Decision, Verdict};
use atropos::domain::wanted::Order;
use atropos::domain::{Stretch, Wanted};
use atropos::ports::{Decisions, Result, StoreError};
use atropos::step::{self, Step};
use atropos::target::{Kind, TenantId};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, ToSql, named_params, params};
use uuid::Uuid;

use super::Sqlite;
use super::error::Sql;
use super::rows::{all, execute, first, json, object, signed, to_json, unsigned, word};

const RECORD: &str = "
    INSERT INTO decisions (id, at_ms, tenant, subdomain, caller, kind, owner, object_id, version,
        size_bytes, media_type, created_at_ms, labels, retain_until_ms, held, chain_revision,
        reviews, verdict, erased)
    VALUES (:id, :at_ms, :tenant, :subdomain, :caller, :kind, :owner, :object_id, :version,
        :size_bytes, :media_type, :created_at_ms, :labels, :retain_until_ms, :held,
        :chain_revision, :reviews, :verdict, :erased)";

/// A chain tells which policies can have been asked, without a look into what they said.
const ASKED_POLICY: &str = "
    chain_revision IN (
        SELECT revision FROM chains, json_each(chains.entries) AS entry
        WHERE chains.tenant = :tenant AND entry.value ->> '$.policy' = :policy)
    AND EXISTS (SELECT 1 FROM json_each(reviews) WHERE value ->> '$.policy' = :policy)";
const ASKED_DIGEST: &str = "
    chain_revision IN (
        SELECT revision FROM chains, json_each(chains.entries) AS entry
        WHERE chains.tenant = :tenant AND entry.value ->> '$.digest' = :digest)
    AND EXISTS (SELECT 1 FROM json_each(reviews) WHERE value ->> '$.digest' = :digest)";

/// A place in the list: a time, and the row among those of that time. Rows count from 1.
type Place = (i64, i64);

#[async_trait]
impl Decisions for Sqlite {
    async fn record(&self, decisions: &[Decision]) -> Result<Vec<Result<()>>> {
        step::pass(Step::RowsRecord).await?;
        self.writer
            .write_each(decisions.to_vec(), |rows, decision| {
                self::record(rows, decision, false)
            })
            .await
    }
}

/// Writes one.
pub(super) fn record(rows: &Connection, decision: &Decision, erased: bool) -> Sql<()> {
    let object = &decision.object;
    let values = named_params! {
        ":id": decision.id.to_string(),
        ":at_ms": signed(decision.at_ms),
        ":tenant": object.target.tenant.0,
        ":subdomain": decision.tenant.as_str(),
        ":caller": to_json(&decision.caller)?,
        ":kind": object.target.kind.as_str(),
        ":owner": object.target.owner,
        ":object_id": object.target.id,
        ":version": signed(object.version),
        ":size_bytes": signed(object.size_bytes),
        ":media_type": object.media_type,
        ":created_at_ms": signed(object.created_at_ms),
        ":labels": to_json(&object.labels)?,
        ":retain_until_ms": object.retain_until_ms.map(signed),
        ":held": object.held,
        ":chain_revision": signed(decision.chain_revision),
        ":reviews": to_json(&decision.reviews)?,
        ":verdict": decision.verdict.as_str(),
        ":erased": erased,
    };
    execute(rows, RECORD, values)?;
    Ok(())
}

/// One by its id.
pub(super) fn find(rows: &Connection, tenant: TenantId, id: Uuid) -> Sql<Option<Decision>> {
    let one = "SELECT * FROM decisions WHERE id = ? AND tenant = ?";
    first(rows, one, params![id.to_string(), tenant.0], decision)
}

/// A part of the list of those that are wanted.
pub(super) fn list(
    rows: &Connection,
    tenant: TenantId,
    wanted: &Wanted,
    stretch: Stretch,
) -> Sql<Vec<Decision>> {
    let (mut from, mut to) = bounds(wanted);
    if let Some(after) = stretch.after {
        let ended = place(rows, tenant, after)?;
        match stretch.order {
            Order::LatestFirst => to = to.min(ended),
            Order::OldestFirst => from = from.max(ended),
        }
    }
    let order = match stretch.order {
        Order::LatestFirst => "ORDER BY at_ms DESC, seq DESC",
        Order::OldestFirst => "ORDER BY at_ms, seq",
    };
    let (select, mut values) = select("*", tenant, wanted, (from, to));
    values.push((":limit", i64::from(stretch.limit).into()));
    let sql = format!("{select} {order} LIMIT :limit");
    all(rows, &sql, &*named(&values), decision)
}

/// How many are wanted.
pub(super) fn count(rows: &Connection, tenant: TenantId, wanted: &Wanted) -> Sql<u64> {
    let (sql, values) = select("count(*) AS count", tenant, wanted, bounds(wanted));
    let count = first(rows, &sql, &*named(&values), |row| unsigned(row, "count"))?;
    Ok(count.unwrap_or_default())
}

/// After the first place and before the second.
fn bounds(wanted: &Wanted) -> (Place, Place) {
    let from = wanted.since_ms.map_or(0, signed);
    let to = wanted.until_ms.map_or(i64::MAX, signed);
    ((from, 0), (to, 0))
}

/// Where in the list a decision stands.
fn place(rows: &Connection, tenant: TenantId, id: Uuid) -> Sql<Place> {
    let one = "SELECT at_ms, seq FROM decisions WHERE id = ? AND tenant = ?";
    let place = first(rows, one, params![id.to_string(), tenant.0], |row| {
        Ok((row.get("at_ms")?, row.get("seq")?))
    })?;
    Ok(place.ok_or(StoreError::Missing { what: "decision" })?)
}

/// The start of a statement. Only what is wanted stands in its condition; which index serves is said,
/// because SQLite cannot know how many rows a user, a verdict or a time has.
fn select(
    what: &str,
    tenant: TenantId,
    wanted: &Wanted,
    (from, to): (Place, Place),
) -> (String, Vec<(&'static str, Value)>) {
    let word = |word: &str| Value::from(word.to_owned());
    let text = |text: &Option<String>| text.as_deref().map(word);
    let digest = wanted.digest.map(|digest| digest.to_string());
    let verdict = wanted.verdict.as_ref().map(Verdict::as_str);
    let revision = wanted.revision.map(|revision| signed(revision).into());
    // What has fewest rows comes first.
    let optional = [
        (
            Some("object"),
            "object_id = :object",
            ":object",
            text(&wanted.object),
        ),
        (Some("owner"), "owner = :user", ":user", text(&wanted.user)),
        (
            Some("revision"),
            "chain_revision = :revision",
            ":revision",
            revision,
        ),
        (
            Some("verdict"),
            "verdict = :verdict",
            ":verdict",
            verdict.map(word),
        ),
        (
            Some("caller"),
            "caller ->> '$.id' = :caller",
            ":caller",
            text(&wanted.caller),
        ),
        (
            None,
            "kind = :kind",
            ":kind",
            wanted.kind.map(Kind::as_str).map(word),
        ),
        (None, ASKED_POLICY, ":policy", text(&wanted.policy)),
        (None, ASKED_DIGEST, ":digest", text(&digest)),
    ];
    let mut values = vec![
        (":tenant", tenant.0.into()),
        (":from_ms", from.0.into()),
        (":from_seq", from.1.into()),
        (":to_ms", to.0.into()),
        (":to_seq", to.1.into()),
    ];
    let (mut best, mut more) = (None, String::new());
    for (index, clause, name, value) in optional {
        if let Some(value) = value {
            best = best.or(index);
            more.push_str(" AND ");
            more.push_str(clause);
            values.push((name, value));
        }
    }
    let index = best.unwrap_or("time");
    let sql = format!(
        "SELECT {what} FROM decisions INDEXED BY decisions_by_{index}
        WHERE tenant = :tenant
            AND (at_ms, seq) > (:from_ms, :from_seq) AND (at_ms, seq) < (:to_ms, :to_seq){more}"
    );
    (sql, values)
}

fn named<'a>(values: &'a [(&'static str, Value)]) -> Vec<(&'static str, &'a dyn ToSql)> {
    let value = |(name, value): &'a (&'static str, Value)| (*name, value as &dyn ToSql);
    values.iter().map(value).collect()
}

fn decision(row: &Row<'_>) -> Sql<Decision> {
    let verdict: String = row.get("verdict")?;
    Ok(Decision {
        id: word(row, "id")?,
        at_ms: unsigned(row, "at_ms")?,
        tenant: word(row, "subdomain")?,
        caller: json(row, "caller")?,
        object: object(row)?,
        chain_revision: unsigned(row, "chain_revision")?,
        reviews: json(row, "reviews")?,
        verdict: Verdict::from_word(&verdict),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::Sqlite;

    /// How SQLite goes about it.
    fn plan(rows: &Connection, wanted: &Wanted, order: &str) -> String {
        let (select, values) = select("*", TenantId(1), wanted, ((0, 0), (9, 9)));
        let sql = format!("EXPLAIN QUERY PLAN {select} {order}");
        let steps = all(rows, &sql, &*named(&values), |row| {
            Ok(row.get::<_, String>("detail")?)
        });
        steps.unwrap().join("\n")
    }

    #[test]
    fn whatever_is_wanted_is_a_range_of_an_index_and_needs_no_sorting() {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(dir.path()).unwrap();
        let some = || Some("x".to_owned());
        let by = |change: fn(&mut Wanted, Option<String>)| {
            let mut wanted = Wanted::default();
            change(&mut wanted, some());
            wanted
        };
        let table = [
            (by(|_, _| {}), "decisions_by_time"),
            (by(|wanted, x| wanted.policy = x), "decisions_by_time"),
            (by(|wanted, x| wanted.user = x), "decisions_by_owner"),
            (by(|wanted, x| wanted.object = x), "decisions_by_object"),
            (by(|wanted, x| wanted.caller = x), "decisions_by_caller"),
            (
                by(|wanted, x| wanted.verdict = x.map(Verdict::Fault)),
                "decisions_by_verdict",
            ),
            (
                by(|wanted, _| wanted.revision = Some(3)),
                "decisions_by_revision",
            ),
        ];
        for (wanted, index) in table {
            for order in ["ORDER BY at_ms DESC, seq DESC", "ORDER BY at_ms, seq"] {
                let plan = sqlite.readers.read(|rows| Ok(plan(rows, &wanted, order)));
                let plan = plan.unwrap();
                assert!(plan.contains(index), "{plan}");
                assert!(plan.contains("at_ms>? AND at_ms<?"), "{plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }
}
