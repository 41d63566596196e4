//! Who may do what, as tables: a row for each endpoint and verb, a column for each sort of caller.
//! The rows come from the program itself, so that none can be left out; the cells, from asking.
//!
//! `ATROPOS_BLESS=1` writes the tables anew, for a review to read.

// Every endpoint, asked over HTTP.
mod endpoints;
// Every verb, run.
mod verbs;

use serde_json::Value;

pub(crate) use self::verbs::verbs;

use crate::support::demo::OTHER_TENANT;
use crate::support::site::{secret, wait_until};
use crate::support::{SITE_KEY, Server, TENANT, verb};

const WRONG: &str = "00000000-1111-2222-3333-444444444444";

/// Somebody who asks, and with what.
struct Caller {
    name: &'static str,
    /// As `webApiClientKey`. Whoever has no site key shows its token there.
    key: Option<String>,
    token: Option<String>,
    /// Client id and secret. No verb makes a client whose secret has expired or is revoked.
    client: Option<(&'static str, String)>,
}

/// All sorts of callers of the demo's first tenant.
fn callers(server: &Server) -> [Caller; 8] {
    let dir = server.data_dir();
    let run = |args: &[&str]| verb(dir, args);
    let key = |tenant, more: &[&str]| run(&[&["key", "issue", "--tenant", tenant], more].concat());
    let client = |id, tenant, permissions: &[&str]| {
        let created = secret(&run(&["client", "create", id]));
        run(&[&["client", "grant", id, "--tenant", tenant], permissions].concat());
        (id, created)
    };
    let token = |client, more: &[&str]| run(&[&["token", "issue", client], more].concat());
    let id = |issued: &Value| issued["id"].as_str().expect("an id").to_owned();

    let soon = ["--lifetime", "1s"];
    let expired = (key(TENANT, &soon), token("demo", &soon));
    let revoked = (key(TENANT, &[]), token("demo", &[]));
    run(&["key", "revoke", &id(&revoked.0)]);
    run(&["token", "revoke", &id(&revoked.1)]);
    let other = client(
        "other",
        OTHER_TENANT,
        &["documents:read", "documents:write"],
    );
    let reader = client("reader", TENANT, &["documents:read"]);
    let writer = client("writer", TENANT, &["documents:write"]);
    let moderator = client("moderator", TENANT, &["moderate"]);
    let of = |client| secret(&token(client, &[]));
    let (reading, moderating) = (of("reader"), of("moderator"));

    let caller = |name, key: &str, token: &str, client| Caller {
        name,
        key: Some(key.to_owned()),
        token: Some(token.to_owned()),
        client,
    };
    let callers = [
        Caller {
            name: "none",
            key: None,
            token: None,
            client: None,
        },
        caller("wrong", WRONG, WRONG, Some(("writer", WRONG.to_owned()))),
        caller("expired", &secret(&expired.0), &secret(&expired.1), None),
        caller("revoked", &secret(&revoked.0), &secret(&revoked.1), None),
        caller(
            "other tenant",
            &secret(&key(OTHER_TENANT, &[])),
            &of("other"),
            Some(other),
        ),
        caller("read only", &reading, &reading, Some(reader)),
        caller("write", SITE_KEY, &of("writer"), Some(writer)),
        caller("moderate", &moderating, &moderating, Some(moderator)),
    ];
    wait_until("what expires has expired", || {
        let path = format!("/api/library/documents/list/get/{TENANT}/6");
        let request = server.http.get(server.url(&path));
        let response = request.bearer_auth(secret(&expired.1)).send();
        response.expect("an answer").status() == 401
    });
    callers
}

/// A table in Markdown whose columns are as wide as they need to be.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = String::new();
    for row in rows.iter().take(1).chain([&rule]).chain(&rows[1..]) {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("| {cell:<width$} ");
        }
        text += "|\n";
    }
    text
}
