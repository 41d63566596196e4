//! How many deletes tenants and callers may have.

use std::time::{SystemTime, UNIX_EPOCH};

use atropos::error::Refused;
use atropos_service::config::{Budget, Config, Rates};
use reqwest::blocking::Response;
use serde_json::json;

use crate::support::demo::{Demo, deleted, hills, refused, sunset};
use crate::support::site::{CLIENT, Site, secret};
use crate::support::stage::{OWNER, Stage, patient};
use crate::support::{DOCUMENT_USER, Server, TENANT, answer, run, verb};

const OTHER_TENANT: &str = "acme";
const OTHER_CLIENT: &str = "erp";

/// Long windows, in which no test is on both sides of an end.
const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_millis() as u64
}

/// Milliseconds from now to the next Monday, in UTC.
fn left_of_the_week_ms() -> u64 {
    // The epoch began on a Thursday.
    let since_monday = now_ms() + 3 * WEEK_MS / 7;
    WEEK_MS - since_monday % WEEK_MS
}

/// A document that a user of the tenant has, taken beside the server.
fn put(site: &Site, tenant: &str, name: &str) -> String {
    let file = site.folder().join(name);
    std::fs::write(&file, name).expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let user = DOCUMENT_USER.to_string();
    let named = ["--tenant", tenant, "--user", &user];
    let put = [&["object", "put", "document", file][..], &named].concat();
    let taken = verb(&site.data_dir(), &put);
    taken["id"].as_str().expect("an id").to_owned()
}

fn delete(server: &Server, token: &str, tenant: &str, guid: &str) -> Response {
    let body = json!({
        "tenantSubDomain": tenant, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
    });
    let request = server
        .http
        .post(server.url("/api/library/documents/delete"));
    let response = request.bearer_auth(token).json(&body).send();
    response.expect("an answer")
}

/// Another client of the tenant, by its token.
fn other_client(site: &Site) -> String {
    let run = |args: &[&str]| verb(&site.data_dir(), args);
    run(&["client", "create", OTHER_CLIENT]);
    let grant = ["client", "grant", OTHER_CLIENT, "--tenant", TENANT];
    run(&[&grant[..], &["documents:write"]].concat());
    secret(&run(&["token", "issue", OTHER_CLIENT]))
}

/// Another tenant, in which the site's own client may do the same.
fn other_tenant(site: &Site) {
    let run = |args: &[&str]| verb(&site.data_dir(), args);
    run(&["tenant", "create", OTHER_TENANT, "--website-id", "423"]);
    let grant = ["client", "grant", CLIENT, "--tenant", OTHER_TENANT];
    run(&[&grant[..], &["documents:write"]].concat());
}

/// How many seconds the answer says to wait.
fn retry_after(response: &Response) -> u64 {
    let header = response.headers().get("retry-after").expect("Retry-After");
    let header = header.to_str().expect("text");
    header.parse().expect("seconds")
}

/// Checks a refusal for want of budget, down to the second.
fn assert_used_up(response: Response, message: &str) {
    let left = left_of_the_week_ms();
    let seconds = retry_after(&response);
    // It was a little more when it was answered.
    let exact = left.div_ceil(1000)..=left.div_ceil(1000) + 60;
    assert!(exact.contains(&seconds), "{seconds} s, and {left} ms left");
    let (status, body) = answer(response);
    assert_eq!((status, body["code"].as_str()), (429, Some("over-budget")));
    assert_eq!(body["detail"], message);
}

const CALLER_USED_UP: &str = "The caller's deletes of this week are used up; try again later.";
const TENANT_USED_UP: &str = "The tenant's deletes of this week are used up; try again later.";

#[test]
fn of_many_deletes_at_once_exactly_as_many_succeed_as_the_budget_allows() {
    const ALLOWED: usize = 7;
    const ASKED: usize = 24;
    let site = Site::new();
    other_tenant(&site);
    let other_token = other_client(&site);
    let server = site.serve_with(&format!("[budget.caller]\nper-week = {ALLOWED}"));
    let guids: Vec<_> = (0..ASKED)
        .map(|n| server.upload_document(&format!("{n}.txt"), b"bytes"))
        .collect();
    let elsewhere = put(&site, OTHER_TENANT, "elsewhere.txt");

    let responses: Vec<Response> = std::thread::scope(|scope| {
        let ask = |guid: &String| {
            let (server, token, guid) = (&server, &site.token, guid.clone());
            scope.spawn(move || delete(server, token, TENANT, &guid))
        };
        let asked: Vec<_> = guids.iter().map(ask).collect();
        let answers = asked.into_iter().map(|asked| asked.join());
        answers.map(|answer| answer.expect("an answer")).collect()
    });
    let mut left = Vec::new();
    for (guid, response) in guids.iter().zip(responses) {
        if response.status() != 200 {
            assert_used_up(response, CALLER_USED_UP);
            left.push(guid.clone());
        }
    }
    assert_eq!(left.len(), ASKED - ALLOWED);
    let mut listed = server.documents();
    listed.sort();
    left.sort();
    assert_eq!(listed, left, "what was refused is as it was");
    assert_eq!(server.deletions().len(), ALLOWED);

    // Neither another caller nor another tenant has had any.
    let of_other = delete(&server, &other_token, TENANT, &left[0]);
    assert_eq!(of_other.status(), 200);
    let elsewhere = delete(&server, &site.token, OTHER_TENANT, &elsewhere);
    assert_eq!(elsewhere.status(), 200);
    let again = delete(&server, &site.token, TENANT, &left[1]);
    assert_used_up(again, CALLER_USED_UP);
    // What is not there is not there, whatever is left of the budget.
    let gone = delete(&server, &site.token, TENANT, &left[0]);
    assert_eq!(gone.status(), 404);

    let metrics = server.get("/metrics").text().expect("text");
    let counted = r#"atropos_deletes_total{kind="document",outcome="over-budget"} 18"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn a_crash_gives_no_budget_back() {
    let site = Site::new();
    let budget = "[budget.tenant]\nper-week = 3";
    let server = site.serve_with(budget);
    let guids: Vec<_> = (0..4)
        .map(|n| server.upload_document(&format!("{n}.txt"), b"bytes"))
        .collect();
    for guid in &guids[..3] {
        assert_eq!(server.delete_document(guid).0, 200);
    }
    server.kill();
    let server = site.serve_with(budget);
    let refused = delete(&server, &site.token, TENANT, &guids[3]);
    assert_used_up(refused, TENANT_USED_UP);
    assert_eq!(server.documents(), guids[3..]);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_is_set_for_one_tenant_counts_from_the_next_delete_of_the_running_server() {
    let site = Site::new();
    other_tenant(&site);
    let server = site.serve();
    let guids: Vec<_> = (0..5)
        .map(|n| server.upload_document(&format!("{n}.txt"), b"bytes"))
        .collect();
    let set = |limit: &str| {
        let set = ["budget", "set", "tenant", limit, "--tenant", TENANT];
        verb(&site.data_dir(), &set)
    };
    let status = |guid: &str| server.delete_document(guid).0;
    assert_eq!(status(&guids[0]), 200);
    let limit = json!([{ "scope": "tenant", "window": "week", "deletes": 1 }]);
    assert_eq!(set("week=1"), limit);
    assert_eq!(status(&guids[1]), 200);
    assert_eq!(status(&guids[2]), 429);
    let elsewhere = put(&site, OTHER_TENANT, "elsewhere.txt");
    let elsewhere = delete(&server, &site.token, OTHER_TENANT, &elsewhere);
    assert_eq!(elsewhere.status(), 200, "it was set for one tenant");

    let shown = verb(&site.data_dir(), &["budget", "show", "--tenant", TENANT]);
    let until_ms = shown[0]["untilMs"].as_u64().expect("a time");
    assert!(until_ms.abs_diff(now_ms() + left_of_the_week_ms()) <= 1000);
    let expected = json!([{
        "scope": "tenant", "window": "week", "caller": null, "limit": 1, "setBy": "tenant",
        "deletes": 1, "untilMs": until_ms,
    }]);
    assert_eq!(shown, expected);

    set("week=2");
    assert_eq!(status(&guids[2]), 200);
    assert_eq!(status(&guids[3]), 429);
    set("week=0");
    assert_eq!(status(&guids[3]), 200);
    set("week=default");
    assert_eq!(status(&guids[4]), 200);
    let shown = verb(&site.data_dir(), &["budget", "show", "--tenant", TENANT]);
    assert_eq!(shown, json!([]));
    let mistyped = ["budget", "set", "tenant", "month=1", "--tenant", TENANT];
    assert_eq!(run(&site.data_dir(), &mistyped).status.code(), Some(2));
}

#[test]
fn a_photo_beyond_the_budget_is_refused_in_the_style_of_photos() {
    let demo = Demo::start();
    let limits = ["caller", "second=1000", "week=1", "--tenant", TENANT];
    demo.verb(&[&["budget", "set"], &limits[..]].concat());
    assert_eq!(demo.delete(&sunset()), deleted());
    assert_eq!(demo.delete(&hills()), refused(429, "429", CALLER_USED_UP));
    assert!(demo.has(&hills()));
}

#[tokio::test]
async fn the_platform_of_an_embedder_erases_no_more_than_a_budget_allows() {
    let tenant = Rates {
        per_week: 1,
        ..Rates::default()
    };
    let budget = Budget {
        tenant,
        ..Budget::default()
    };
    let config = Config {
        budget,
        ..patient()
    };
    let stage = Stage::with(&config);
    stage.memory.add_photo(OWNER, "p-2", b"bytes");
    assert_eq!(stage.delete("p-1").await, Ok(()));
    let refused = stage.delete("p-2").await;
    assert!(
        matches!(refused, Err(Refused::OverBudget { .. })),
        "{refused:?}"
    );
    stage.assert_intact("over budget");
}
