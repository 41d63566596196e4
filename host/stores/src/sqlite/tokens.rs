//! The bearer tokens of clients, bounded for each client.
//!
//! **Invariant:** `clients.tokens` is the number of a client's rows in `tokens`: it is changed in the
//! transaction that adds or removes one.

use atropos::domain::tenants::NewCredential;
use atropos::ports::StoreError;
use rusqlite::{Connection, params};

use super::error::{Named as _, Sql};
use super::rows::{all, execute, first, optional, signed, unsigned};

/// How many rows a new token takes away at most: of expired ones, and beyond the bound of its client.
const REMOVED_AT_ONCE: u64 = 8;

/// Stores a token, and takes away what expired or is beyond `most`. Returns how many that were good.
pub(super) fn add(rows: &Connection, client: &str, token: &NewCredential, most: u64) -> Sql<u64> {
    let at_ms = token.issued_at_ms;
    let expired = "
        DELETE FROM tokens WHERE id IN (
            SELECT id FROM tokens WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)
        RETURNING client";
    let values = params![signed(at_ms), signed(REMOVED_AT_ONCE)];
    let expired: Vec<String> = all(rows, expired, values, |row| Ok(row.get("client")?))?;
    for client in expired {
        let count = "UPDATE clients SET tokens = tokens - 1 WHERE id = ?";
        execute(rows, count, [client])?;
    }
    let insert = "
        INSERT INTO tokens (id, client, digest, issued_at_ms, expires_at_ms)
        VALUES (?, ?, ?, ?, ?)";
    let values = params![
        token.id,
        client,
        token.digest.0,
        signed(at_ms),
        token.expires_at_ms.map(signed),
    ];
    execute(rows, insert, values).referring("client")?;
    let count = "UPDATE clients SET tokens = tokens + 1 WHERE id = ? RETURNING tokens";
    let count = first(rows, count, [client], |row| unsigned(row, "tokens"))?;
    let count = count.ok_or(StoreError::Missing { what: "client" })?;
    let beyond = count.saturating_sub(most);
    displace(rows, client, token, beyond.min(REMOVED_AT_ONCE))
}

/// Takes away the tokens of a client that would expire first, but for the new one. One that never
/// expires was issued by hand, and stays.
fn displace(rows: &Connection, client: &str, new: &NewCredential, beyond: u64) -> Sql<u64> {
    let displace = "
        DELETE FROM tokens WHERE id IN (
            SELECT id FROM tokens
            WHERE client = ? AND expires_at_ms IS NOT NULL AND id <> ?
            ORDER BY expires_at_ms LIMIT ?)
        RETURNING expires_at_ms";
    let values = params![client, new.id, signed(beyond)];
    let gone: Vec<Option<u64>> = all(rows, displace, values, |row| optional(row, "expires_at_ms"))?;
    let count = "UPDATE clients SET tokens = tokens - ? WHERE id = ?";
    execute(rows, count, params![signed(gone.len() as u64), client])?;
    let good =
        |until_ms: &&Option<u64>| until_ms.is_none_or(|until_ms| until_ms > new.issued_at_ms);
    Ok(gone.iter().filter(good).count() as u64)
}
