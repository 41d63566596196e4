//! Between columns and nouns.

use atropos::ports::StoreError;
use atropos::target::{BlobKey, Digest, Kind, Object, Target, Tenant, TenantId, WebsiteId};
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Sql, damaged, told};
use super::unreadable;

/// The first row of a query.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Sql<T>,
) -> Sql<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Every row of a query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Sql<T>,
) -> Sql<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Rows of a query, at most `limit`. One that cannot be read is passed over, so that it keeps none of
/// the others from being seen: it takes no place of the limit, and is logged and counted by its table.
pub(super) fn readable<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    limit: usize,
    read: impl FnMut(&Row<'_>) -> Sql<T>,
) -> Sql<Vec<T>> {
    let (found, damaged) = sift(connection, sql, params, limit, read)?;
    unreadable::passed_over(table, damaged);
    Ok(found)
}

/// Rows of a query, at most `limit`, and how many could not be read among those looked at.
pub(super) fn sift<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    limit: usize,
    mut read: impl FnMut(&Row<'_>) -> Sql<T>,
) -> Sql<(Vec<T>, u64)> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let (mut found, mut damaged) = (Vec::new(), 0);
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        match told(|| read(row)) {
            Ok(one) => found.push(one),
            Err(StoreError::Corrupt { .. }) => damaged += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((found, damaged))
}

/// How many rows a statement changed.
pub(super) fn execute(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(params)
}

/// A count or time as SQLite keeps it; what does not fit is as good as never.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or time as SQLite kept it.
pub(super) fn unsigned(row: &Row<'_>, column: &str) -> Sql<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| damaged(column))
}

/// Like [`unsigned`], for a column that may be null.
pub(super) fn optional(row: &Row<'_>, column: &str) -> Sql<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    let value = value.map(u64::try_from).transpose();
    value.map_err(|_| damaged(column))
}

/// A column with the text form of a noun.
pub(super) fn word<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> Sql<T> {
    let text = row.get_ref(column)?.as_str();
    let text = text.map_err(|_| damaged(column))?;
    text.parse().map_err(|_| damaged(column))
}

/// The column `key` of a blob or shred record, in the only form in which keys are compared.
pub(super) fn key(row: &Row<'_>) -> Sql<BlobKey> {
    let text = row.get_ref("key")?.as_str();
    let text = text.map_err(|_| damaged("key"))?;
    let digits = text.len() == 32 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let key = digits.then(|| text.parse().ok()).flatten();
    key.ok_or_else(|| damaged("key"))
}

/// Keys as a JSON array, to be looked up in one statement.
pub(super) fn keys<'a>(keys: impl IntoIterator<Item = &'a BlobKey>) -> Sql<String> {
    let keys: Vec<String> = keys.into_iter().map(ToString::to_string).collect();
    to_json(&keys)
}

/// Like [`word`], for a column that may be null.
pub(super) fn maybe<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> Sql<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let word = text.map(|text| text.parse()).transpose();
    word.map_err(|_| damaged(column))
}

/// A column with JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Sql<T> {
    let text = row.get_ref(column)?.as_str();
    let text = text.map_err(|_| damaged(column))?;
    serde_json::from_str(text).map_err(|_| damaged(column))
}

/// JSON for a column.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Sql<String> {
    serde_json::to_string(value).map_err(|_| damaged("value to be written"))
}

/// A column with a SHA-256.
pub(super) fn digest(row: &Row<'_>, column: &str) -> Sql<Digest> {
    Ok(Digest(row.get(column)?))
}

/// The column `kind`.
pub(super) fn kind(row: &Row<'_>) -> Sql<Kind> {
    match row.get_ref("kind")?.as_str() {
        Ok("photo") => Ok(Kind::Photo),
        Ok("document") => Ok(Kind::Document),
        _ => Err(damaged("kind")),
    }
}

/// The columns `id`, `subdomain` and `website_id`.
pub(super) fn tenant(row: &Row<'_>) -> Sql<Tenant> {
    let website_id = WebsiteId::new(unsigned(row, "website_id")?);
    Ok(Tenant {
        id: TenantId(row.get("id")?),
        subdomain: word(row, "subdomain")?,
        website_id: website_id.ok_or_else(|| damaged("website_id"))?,
    })
}

/// The facts of an object, as `objects` and `decisions` name their columns; the query gives the
/// public id as `object_id`, and `held`.
pub(super) fn object(row: &Row<'_>) -> Sql<Object> {
    Ok(Object {
        target: Target {
            tenant: TenantId(row.get("tenant")?),
            kind: kind(row)?,
            owner: row.get("owner")?,
            id: row.get("object_id")?,
        },
        version: unsigned(row, "version")?,
        size_bytes: unsigned(row, "size_bytes")?,
        media_type: row.get("media_type")?,
        created_at_ms: unsigned(row, "created_at_ms")?,
        labels: json(row, "labels")?,
        retain_until_ms: optional(row, "retain_until_ms")?,
        held: row.get("held")?,
    })
}

/// Fails unless the tenant is there.
pub(super) fn known(rows: &Connection, tenant: TenantId) -> Sql<()> {
    let any = "SELECT 1 FROM tenants WHERE id = ?";
    let found = first(rows, any, [tenant.0], |_| Ok(()))?;
    Ok(found.ok_or(StoreError::Missing { what: "tenant" })?)
}
