//! Guessing at credentials over HTTP: slowed, counted, and no way to keep anybody out.

use reqwest::StatusCode;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::Value;

use crate::support::site::{CLIENT, Site, database, secret, wait_until};
use crate::support::{DOCUMENT_USER, PHOTO_USER, Server, TENANT, WEBSITE, verb};

const AUTH: &str = "[auth]\nfailures = 5\ntoken-failures = 5\nwindow-ms = 5000\n";

fn sent(request: RequestBuilder) -> (u16, Option<u64>, Value) {
    let response: Response = request.send().expect("an answer");
    let status = response.status();
    let wait = response.headers().get("retry-after");
    let wait = wait.map(|wait| wait.to_str().expect("text").parse().expect("seconds"));
    assert_eq!(wait.is_some(), status == StatusCode::TOO_MANY_REQUESTS);
    (
        status.as_u16(),
        wait,
        response.json().unwrap_or(Value::Null),
    )
}

/// Guesses until no guess is checked any more, which takes `least` at least, and returns that answer.
fn guess(least: usize, ask: impl Fn(&str) -> RequestBuilder) -> Value {
    // On a slow machine a window may end and another begin.
    for nth in 0..100 {
        match sent(ask(&format!("guess-{nth}"))) {
            (401, ..) => {}
            (429, Some(1..=5), body) if nth >= least => return body,
            other => panic!("guess {nth}: {other:?}"),
        }
    }
    panic!("a hundred guesses were checked");
}

impl Server {
    fn list_photos(&self, website: &str, key: &str) -> RequestBuilder {
        let path = format!("/api/4/UploadImage/GetUserUploadedList?userId={PHOTO_USER}");
        let request = self.http.get(self.url(&path)).header("websiteId", website);
        request.header("webApiClientKey", key)
    }

    fn delete_a_photo(&self, website: &str, key: &str) -> RequestBuilder {
        let path = format!("/api/4/UploadImage/DeleteUserPhoto?userId={PHOTO_USER}&photoId=none");
        let request = self.http.get(self.url(&path)).header("websiteId", website);
        request.header("webApiClientKey", key)
    }

    fn list_documents(&self, token: &str) -> RequestBuilder {
        let path = format!("/api/library/documents/list/get/{TENANT}/{DOCUMENT_USER}");
        self.http.get(self.url(&path)).bearer_auth(token)
    }

    fn delete_a_document(&self, token: &str) -> RequestBuilder {
        let body = serde_json::json!({
            "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER,
            "fileGuid": "fcc588f3-d1e8-47cd-8b08-e878daecb215",
        });
        let request = self.http.post(self.url("/api/library/documents/delete"));
        request.bearer_auth(token).json(&body)
    }

    fn ask_for_a_token(&self, client: &str, secret: &str) -> RequestBuilder {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", secret),
        ];
        self.http.post(self.url("/oauth/token")).form(&form)
    }

    fn counted(&self, what: &str, credential: &str) -> u64 {
        let text = self.get("/metrics").text().expect("text");
        let series = format!("atropos_auth_{what}_total{{credential=\"{credential}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0, |figure| figure.parse().expect("a number"))
    }

    /// Counted by kind, said once, and nothing said of what was guessed.
    fn assert_noticed(&self, credential: &str, secrets: &[&str]) {
        assert!(self.counted("failures", credential) >= 5);
        assert!(self.counted("throttled", credential) >= 1);
        let text = self.get("/metrics").text().expect("text");
        let log = self.log();
        let said = log.matches("too many wrong credentials").count();
        assert!((1..=20).contains(&said), "{said} times: {log}");
        for secret in secrets.iter().chain(&["guess-"]) {
            assert!(!log.contains(secret) && !text.contains(secret), "{secret}");
        }
    }
}

#[test]
fn guesses_at_a_site_key_are_slowed_and_its_owner_goes_on() {
    let site = Site::new();
    let dir = site.data_dir();
    verb(&dir, &["tenant", "create", "other", "--website-id", "7"]);
    let key = |tenant| secret(&verb(&dir, &["key", "issue", "--tenant", tenant]));
    let (known, unused, other) = (key(TENANT), key(TENANT), key("other"));
    let server = site.serve_with(AUTH);
    assert_eq!(sent(server.list_photos(WEBSITE, &known)).0, 200);

    let body = guess(5, |guess| server.list_photos(WEBSITE, guess));
    assert_eq!(body["ErrorCode"], "429");
    // The plugin is told the same.
    let body = guess(0, |guess| server.delete_a_photo(WEBSITE, guess));
    assert_eq!(body["ErrorCode"], "429");
    assert_eq!(sent(server.list_photos(WEBSITE, &known)).0, 200);
    assert_eq!(sent(server.delete_a_photo(WEBSITE, &known)).0, 404);
    assert_eq!(
        sent(server.list_photos("7", &other)).0,
        200,
        "another website"
    );
    // A website that does not exist is guessed at in the same way.
    guess(5, |guess| server.list_photos("8", guess));
    server.assert_noticed("site-key", &[&known, &unused]);

    // Whoever never came before waits no longer than guessing lasts, and the window.
    wait_until("a key that was never used is checked", || {
        sent(server.list_photos(WEBSITE, &unused)).0 == 200
    });
}

#[test]
fn guesses_at_tokens_are_slowed_and_the_clients_go_on() {
    let site = Site::new();
    let client = ["client", "create", "fresh"];
    let fresh = secret(&verb(&site.data_dir(), &client));
    let unused = secret(&verb(&site.data_dir(), &["token", "issue", CLIENT]));
    let server = site.serve_with(AUTH);
    assert_eq!(sent(server.list_documents(&site.token)).0, 200);

    let body = guess(5, |guess| server.list_documents(guess));
    assert_eq!(body["code"], "throttled");
    let body = guess(0, |guess| server.delete_a_document(guess));
    assert_eq!(body["code"], "throttled");
    assert_eq!(sent(server.list_documents(&site.token)).0, 200);
    assert_eq!(sent(server.delete_a_document(&site.token)).0, 404);
    // One that was asked for here is known from the start.
    let (status, _, issued) = sent(server.ask_for_a_token("fresh", &fresh));
    assert_eq!(status, 200, "{issued}");
    let token = issued["access_token"].as_str().expect("a token");
    assert_eq!(sent(server.list_documents(token)).0, 403, "it has no grant");
    server.assert_noticed("token", &[&site.token, &unused, token]);
    wait_until("a token that was never used is checked", || {
        sent(server.list_documents(&unused)).0 == 200
    });
}

#[test]
fn a_client_that_asks_for_too_many_tokens_loses_its_own_and_nobody_else_does() {
    let site = Site::new();
    let dir = site.data_dir();
    let greedy = secret(&verb(&dir, &["client", "create", "greedy"]));
    let by_hand = ["token", "issue", "greedy", "--lifetime", "24h"];
    let by_hand = secret(&verb(&dir, &by_hand));
    let server = site.serve_with("[auth]\nclient-tokens = 4\n");
    let tokens: Vec<_> = (0..7)
        .map(|nth| {
            let (status, _, issued) = sent(server.ask_for_a_token("greedy", &greedy));
            assert_eq!(status, 200, "{nth}: {issued}");
            issued["access_token"].as_str().expect("a token").to_owned()
        })
        .collect();
    // Without a grant a good token is answered 403.
    let answers: Vec<_> = tokens
        .iter()
        .map(|token| sent(server.list_documents(token)).0)
        .collect();
    assert_eq!(answers, [401, 401, 401, 401, 403, 403, 403]);
    let answer = sent(server.list_documents(&by_hand)).0;
    assert_eq!(answer, 403, "one that lasts longer stays");
    assert_eq!(sent(server.list_documents(&site.token)).0, 200);
    let metrics = server.get("/metrics").text().expect("text");
    assert!(
        metrics.contains("atropos_tokens_displaced_total 4"),
        "{metrics}"
    );
    let rows = "SELECT count(*), (SELECT tokens FROM clients WHERE id = 'greedy')
        FROM tokens WHERE client = 'greedy'";
    let rows = database(&dir).query_row(rows, [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    });
    assert_eq!(rows.expect("counts"), (4, 4));
}

#[test]
fn guesses_at_a_client_secret_are_slowed_whether_or_not_there_is_such_a_client() {
    let site = Site::new();
    let right = secret(&verb(&site.data_dir(), &["client", "create", "fresh"]));
    let server = site.serve_with(AUTH);
    for client in ["fresh", "nobody"] {
        guess(5, |guess| server.ask_for_a_token(client, guess));
    }
    server.assert_noticed("client-secret", &[&right, "nobody"]);
    wait_until("the right secret is checked", || {
        sent(server.ask_for_a_token("fresh", &right)).0 == 200
    });
    // From now on it is known.
    guess(0, |guess| server.ask_for_a_token("fresh", guess));
    assert_eq!(sent(server.ask_for_a_token("fresh", &right)).0, 200);
}

#[test]
fn a_client_that_was_not_told_of_its_new_key_keeps_nobody_out() {
    let site = Site::new();
    let dir = site.data_dir();
    let issued = || verb(&dir, &["key", "issue", "--tenant", TENANT]);
    let (old, new) = (issued(), issued());
    verb(&dir, &["key", "revoke", old["id"].as_str().expect("an id")]);
    let server = site.serve_with(AUTH);
    for _ in 0..20 {
        assert_eq!(sent(server.list_photos(WEBSITE, &secret(&old))).0, 401);
    }
    assert_eq!(sent(server.list_photos(WEBSITE, &secret(&new))).0, 200);
}
