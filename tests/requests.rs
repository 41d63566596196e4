//! Requests that delete nothing, and the exact answers to them. The cases are data, in `requests/`.

use reqwest::blocking::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{self, GUID, PHOTO, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE, verb};

/// Of the demo's user account 7.
const LETTER: &str = "61ba0f38-e275-4fc4-909d-b382d476ba07";
const OTHER_TENANT: &str = "acme";
const OTHER_PHOTO: &str = "72cb1049-f386-40d5-81ae-c493e587cb18";
const OTHER_GUID: &str = "83dc215a-0497-41e6-92bf-d5a4f698dc29";
const UNKNOWN: &str = "fcc588f3-d1e8-47cd-8b08-e878daecb215";
/// Everybody who has an object in the demo, and some who are named in the cases.
const USERS: [&str; 7] = ["u-1001", "u-2001", "u-9", "6", "7", "8", "0"];

/// A request that deletes, unless a case changes it.
struct Family {
    cases: &'static str,
    method: &'static str,
    path: &'static str,
    query: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const PHOTOS: Family = Family {
    cases: include_str!("requests/photos.toml"),
    method: "GET",
    path: "/api/4/UploadImage/DeleteUserPhoto",
    query: "userId={user}&photoId={photo}",
    headers: &[("websiteId", "{website}"), ("webApiClientKey", "{key}")],
    body: "",
};

const DOCUMENTS: Family = Family {
    cases: include_str!("requests/documents.toml"),
    method: "POST",
    path: "/api/library/documents/delete",
    query: "",
    headers: &[
        ("Authorization", "Bearer {token}"),
        ("Content-Type", "application/json"),
    ],
    body: r#"{"tenantSubDomain":"{tenant}","userAccountId":6,"fileGuid":"{guid}"}"#,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

/// What a request changes, and what is answered.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Case {
    name: String,
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    headers: Vec<(String, String)>,
    without: Vec<String>,
    body: Option<String>,
    status: u16,
    /// In an envelope.
    code: Option<String>,
    /// In problem details.
    problem: Option<String>,
    message: String,
    allow: Option<String>,
}

impl Family {
    fn cases(&self) -> Vec<Case> {
        let table: Table = toml::from_str(self.cases).expect("a table of cases");
        table.case
    }
}

/// A running demo, and the words that stand for something in it.
struct Stage {
    server: Server,
    words: Vec<(&'static str, String)>,
}

impl Stage {
    fn set(server: Server) -> Self {
        let dir = server.data_dir();
        let secret = |said: &Value| said["secret"].as_str().expect("a secret").to_owned();
        let other_key = secret(&verb(dir, &["key", "issue", "--tenant", OTHER_TENANT]));
        let revoked = verb(dir, &["token", "issue", "demo"]);
        let id = revoked["id"].as_str().expect("an id");
        verb(dir, &["token", "revoke", id]);
        let words = vec![
            ("{website}", WEBSITE.to_owned()),
            ("{key}", SITE_KEY.to_owned()),
            ("{other-key}", other_key),
            ("{token}", server.token.clone()),
            ("{revoked-token}", secret(&revoked)),
            ("{tenant}", TENANT.to_owned()),
            ("{user}", PHOTO_USER.to_owned()),
            ("{photo}", PHOTO.to_owned()),
            ("{other-photo}", OTHER_PHOTO.to_owned()),
            ("{guid}", GUID.to_owned()),
            ("{letter}", LETTER.to_owned()),
            ("{other-guid}", OTHER_GUID.to_owned()),
            ("{unknown}", UNKNOWN.to_owned()),
            ("{deep}", "[".repeat(5000) + &"]".repeat(5000)),
        ];
        Self { server, words }
    }

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, meaning) in &self.words {
            text = text.replace(word, meaning);
        }
        while let Some((before, rest)) = text.split_once("{x:") {
            let (count, after) = rest.split_once('}').expect("an end of {x:");
            let long = "x".repeat(count.parse().expect("a number"));
            text = format!("{before}{long}{after}");
        }
        text
    }

    fn send(&self, family: &Family, case: &Case) -> Response {
        let method = case.method.as_deref().unwrap_or(family.method);
        let path = case.path.as_deref().unwrap_or(family.path);
        let query = self.filled(case.query.as_deref().unwrap_or(family.query));
        let mark = if query.is_empty() { "" } else { "?" };
        let mut headers = HeaderMap::new();
        let replaced = |name: &str| case.headers.iter().any(|(known, _)| known == name);
        let left_out = |name: &str| case.without.iter().any(|known| known == name);
        let kept = family.headers.iter().copied();
        let kept = kept.filter(|(name, _)| !replaced(name) && !left_out(name));
        let own = case.headers.iter();
        for (name, value) in kept.chain(own.map(|(name, value)| (&**name, &**value))) {
            let name = HeaderName::try_from(name).expect("a name");
            let value = HeaderValue::try_from(self.filled(value).into_bytes());
            headers.append(name, value.expect("a value"));
        }
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = self.server.url(&format!("{path}{mark}{query}"));
        let request = self.server.http.request(method, url).headers(headers);
        let body = self.filled(case.body.as_deref().unwrap_or(family.body));
        request.body(body).send().expect("an answer")
    }

    /// What is wrong with the answer to a case, if anything.
    fn try_case(&self, family: &Family, case: &Case) -> Option<String> {
        let response = self.send(family, case);
        let status = response.status();
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let body = response.text().expect("text");
        let expected = expected(case);
        let challenge = match (&case.code, status.as_u16()) {
            (Some(_), 401) => Some("SiteKey realm=\"atropos\""),
            (None, 401) => Some("Bearer realm=\"atropos\""),
            _ => None,
        };
        let wrong = [
            status.as_u16() != case.status,
            body != expected,
            header("allow") != case.allow.as_deref(),
            header("www-authenticate") != challenge,
            header("cache-control") != Some("no-store"),
            header("x-content-type-options") != Some("nosniff"),
            header("x-injected").is_some(),
            // Pages of other sites may read nothing.
            headers
                .keys()
                .any(|name| name.as_str().starts_with("access-control")),
        ];
        wrong.contains(&true).then(|| {
            format!(
                "{}: {status}\n  {body}\n  expected {}\n  {expected}\n  {headers:?}",
                case.name, case.status
            )
        })
    }

    /// Whatever changes when something is deleted.
    fn state(&self) -> Vec<Value> {
        let dir = self.server.data_dir();
        let mut state = vec![json!(support::files(&dir.join("blobs")))];
        for tenant in [TENANT, OTHER_TENANT] {
            let ask = |words: &[&str]| verb(dir, &[words, &["--tenant", tenant]].concat());
            state.push(ask(&["object", "list", "photo"]));
            state.push(ask(&["object", "list", "document"]));
            state.push(ask(&["decision", "list"]));
            state.extend(USERS.map(|user| ask(&["activity", "--user", user])));
        }
        state
    }
}

/// The exact body of an answer.
fn expected(case: &Case) -> String {
    let message = json!(case.message);
    if let Some(code) = &case.code {
        return format!(
            r#"{{"Response":"Error","Message":{message},"Data":null,"ErrorCode":"{code}"}}"#
        );
    }
    let Some(code) = &case.problem else {
        return String::new();
    };
    let status = StatusCode::from_u16(case.status).expect("a status");
    let title = status.canonical_reason().expect("a known status");
    format!(
        r#"{{"type":"about:blank","title":"{title}","status":{},"detail":{message},"code":"{code}"}}"#,
        case.status
    )
}

#[test]
fn what_is_wrong_with_a_request_is_told_exactly_and_nothing_is_deleted_or_logged() {
    let owned = tempfile::tempdir().expect("a directory");
    let args = ["--demo", "--log", "atropos=trace,hyper=debug"];
    let stage = Stage::set(Server::start(&owned.path().join("data"), &args));
    let before = stage.state();
    let mut failures = Vec::new();
    let mut count = 0;
    for family in [&PHOTOS, &DOCUMENTS] {
        for case in family.cases() {
            count += 1;
            failures.extend(stage.try_case(family, &case));
        }
    }
    assert!(count >= 60, "{count} cases are too few to be all");
    assert!(
        failures.is_empty(),
        "{} of {count} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );

    let log = support::eventually("every request in the log", || {
        let log = stage.server.log();
        (log.matches("answered").count() >= count).then_some(log)
    });
    let names = ["sunset", "contract", "letter", "report.pdf"];
    let secrets = stage.words.iter().filter(|(word, _)| {
        let secrets = [
            "{key}",
            "{other-key}",
            "{token}",
            "{revoked-token}",
            "{user}",
        ];
        secrets.contains(word)
    });
    let secrets = secrets.map(|(_, secret)| &**secret).chain(names);
    for secret in secrets.chain(["u-2001", "u-9"]) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }

    let after = stage.state();
    assert_eq!(before, after, "something happened");
    // What is recorded in batches is on record at the latest when the server has stopped.
    let dir = stage.server.data_dir().to_owned();
    assert_eq!(stage.server.stop(), Some(0));
    for tenant in [TENANT, OTHER_TENANT] {
        assert_eq!(
            verb(&dir, &["decision", "list", "--tenant", tenant]),
            json!([])
        );
    }
}

#[test]
fn absent_another_users_and_another_tenants_are_one_answer_to_the_last_byte() {
    let stage = Stage::set(Server::demo());
    let photos = [
        "userId={user}&photoId=0b54a9d2-8c1f-4f6e-9a37-5d2c7e10b4a2",
        "userId=u-9&photoId={photo}",
        "userId={user}&photoId={other-photo}",
        "userId=u-2001&photoId={other-photo}",
        "userId=6&photoId={guid}",
    ];
    let photos = photos.map(|query| Case {
        query: Some(query.to_owned()),
        ..Case::default()
    });
    let document = |user: &str, guid: &str| Case {
        body: Some(format!(
            r#"{{"tenantSubDomain":"{{tenant}}","userAccountId":{user},"fileGuid":"{guid}"}}"#
        )),
        ..Case::default()
    };
    let documents = [
        ("6", "{unknown}"),
        ("6", "{letter}"),
        ("7", "{guid}"),
        ("6", "{other-guid}"),
        ("8", "{other-guid}"),
    ];
    let documents = documents.map(|(user, guid)| document(user, guid));
    let tenants = ["nowhere", OTHER_TENANT].map(|tenant| Case {
        body: Some(DOCUMENTS.body.replace("{tenant}", tenant)),
        ..Case::default()
    });
    let read = |what: &str, of: String| Case {
        method: Some("GET".to_owned()),
        path: Some(format!("/api/library/documents/{what}/get/{of}")),
        body: Some(String::new()),
        ..Case::default()
    };
    let bytes = [
        ("6", UNKNOWN),
        ("7", GUID),
        ("6", OTHER_GUID),
        ("8", OTHER_GUID),
    ];
    let bytes = bytes.map(|(user, guid)| read("file", format!("{TENANT}/{user}/{guid}")));
    let elsewhere = |what, rest| {
        ["nowhere", OTHER_TENANT].map(|tenant| read(what, format!("{tenant}/8{rest}")))
    };
    let lists = elsewhere("list", String::new());
    let activities = elsewhere("activity", String::new());
    let others_bytes = elsewhere("file", format!("/{OTHER_GUID}"));
    let strangers = ["nobody", "u-2001"].map(|user| Case {
        path: Some("/api/4/UploadImage/GetUserUploadedList".to_owned()),
        query: Some(format!("userId={user}")),
        ..Case::default()
    });
    let uploads = ["nowhere", OTHER_TENANT].map(|tenant| {
        let part = |named: &str| format!("--x\r\nContent-Disposition: form-data; {named}\r\n\r\n");
        let fields = [("tenantSubDomain", tenant), ("userAccountId", "8")];
        let fields = fields.map(|(name, value)| part(&format!("name={name}")) + value + "\r\n");
        let file = part("name=file; filename=a.txt");
        Case {
            path: Some("/api/file/upload/admin-for-client/store".to_owned()),
            headers: vec![(
                "Content-Type".to_owned(),
                "multipart/form-data; boundary=x".to_owned(),
            )],
            body: Some(fields.concat() + &file + "bytes\r\n--x--\r\n"),
            ..Case::default()
        }
    });
    let same: [(&Family, &[Case], u16); 9] = [
        (&PHOTOS, &photos, 404),
        (&PHOTOS, &strangers, 200),
        (&DOCUMENTS, &documents, 404),
        (&DOCUMENTS, &tenants, 403),
        (&DOCUMENTS, &bytes, 404),
        (&DOCUMENTS, &lists, 403),
        (&DOCUMENTS, &activities, 403),
        (&DOCUMENTS, &others_bytes, 403),
        (&DOCUMENTS, &uploads, 403),
    ];
    for (family, cases, status) in same {
        let answers = cases.iter().map(|case| {
            let response = stage.send(family, case);
            assert_eq!(response.status(), status, "{:?}", case.path);
            let mut headers = response.headers().clone();
            headers.remove("x-request-id").expect("a request id");
            headers.remove("date").expect("a date");
            let headers: Vec<_> = headers.into_iter().collect();
            (headers, response.bytes().expect("bytes"))
        });
        let answers: Vec<_> = answers.collect();
        for (case, answer) in cases.iter().zip(&answers) {
            let which = (&case.path, &case.query, &case.body);
            assert_eq!(*answer, answers[0], "{which:?} is told apart");
        }
    }
}
