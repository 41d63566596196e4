//! Deletes that have an `Idempotency-Key`: repeats learn what became of the first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atropos::erase::Request;
use atropos::error::Refused;
use atropos_test_guests as guests;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::json;

use crate::support::demo::{Demo, hills, sunset};
use crate::support::site::{
    CLIENT, Site, blob_files, blob_path, database, keys, secret, wait_until,
};
use crate::support::stage::{Stage, patient};
use crate::support::{DOCUMENT_USER, GUID, SITE_KEY, Server, TENANT, WEBSITE, verb};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// All that a client sees of an answer, but for when it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    body: String,
    retry_after: Option<String>,
    /// The decision that it names.
    decision: Option<String>,
}

/// An answer, and whether it says that it is one to an earlier request.
fn seen(response: Response) -> (Seen, bool) {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().expect("text").to_owned())
    };
    let repeated = header("idempotency-replayed");
    assert!(repeated.as_deref().is_none_or(|value| value == "true"));
    let seen = Seen {
        status: response.status().as_u16(),
        retry_after: header("retry-after"),
        decision: header("atropos-decision"),
        body: response.text().expect("text"),
    };
    (seen, repeated.is_some())
}

fn request(server: &Server, token: &str, guid: &str, key: Option<&str>) -> RequestBuilder {
    let body = json!({
        "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
    });
    let request = server
        .http
        .post(server.url("/api/library/documents/delete"));
    let request = request.bearer_auth(token).json(&body);
    match key {
        Some(key) => request.header("Idempotency-Key", format!("\"{key}\"")),
        None => request,
    }
}

fn delete(server: &Server, guid: &str, key: Option<&str>) -> (Seen, bool) {
    let response = request(server, &server.token, guid, key).send();
    seen(response.expect("an answer"))
}

/// Status and code of a refusal, or 200 and nothing.
fn told(seen: &Seen) -> (u16, String) {
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default();
    (seen.status, code.to_owned())
}

fn told_of(server: &Server, guid: &str, key: Option<&str>) -> (u16, String) {
    told(&delete(server, guid, key).0)
}

fn answered(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn deleted() -> (u16, String) {
    answered(200, "")
}

/// Takes a document beside the server.
fn put(site: &Site, id: Option<&str>) -> String {
    let file = site.folder().join("a-file.txt");
    std::fs::write(&file, "the content").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let user = DOCUMENT_USER.to_string();
    let mut put = vec!["object", "put", "document", file];
    put.extend(["--tenant", TENANT, "--user", &user]);
    put.extend(id.into_iter().flat_map(|id| ["--id", id]));
    let taken = verb(&site.data_dir(), &put);
    taken["id"].as_str().expect("an id").to_owned()
}

/// Runs a verb on a document of the site.
fn on(site: &Site, words: &[&str], guid: &str, more: &[&str]) {
    let user = DOCUMENT_USER.to_string();
    let named = ["document", guid, "--tenant", TENANT, "--user", &user];
    verb(&site.data_dir(), &[words, &named, more].concat());
}

fn assign(site: &Site, link: &str) {
    let assign = ["policy", "assign", "--tenant", TENANT, "--policy", link];
    verb(&site.data_dir(), &assign);
}

fn grant(site: &Site, client: &str, permissions: &[&str]) {
    let grant = ["client", "grant", client, "--tenant", TENANT];
    verb(&site.data_dir(), &[&grant[..], permissions].concat());
}

fn token(site: &Site, client: &str) -> String {
    secret(&verb(&site.data_dir(), &["token", "issue", client]))
}

/// What is done before a delete and undone after it, the answer to it, and what one without the key
/// is answered afterwards.
struct Case {
    name: &'static str,
    before: fn(&Site, &str),
    first: (u16, &'static str),
    after: fn(&Site, &str),
    then: (u16, &'static str),
}

const CASES: [Case; 5] = [
    Case {
        name: "erased",
        before: |_, _| {},
        first: (200, ""),
        after: |_, _| {},
        then: (404, "document-not-found"),
    },
    Case {
        name: "not-there",
        before: |site, guid| {
            let client = token(site, CLIENT);
            let erase = ["delete", "document", "--token", &client, "--tenant", TENANT];
            let user = DOCUMENT_USER.to_string();
            let erase = [&erase[..], &["--user", &user, "--guid", guid]].concat();
            verb(&site.data_dir(), &erase);
        },
        first: (404, "document-not-found"),
        after: |site, guid| {
            put(site, Some(guid));
        },
        then: (200, ""),
    },
    Case {
        name: "denied",
        before: |site, _| assign(site, r#"retention={"minimum-age-days":{"document":30}}"#),
        first: (403, "denied-by-policy"),
        after: |site, _| assign(site, "allow-all"),
        then: (200, ""),
    },
    Case {
        name: "held",
        before: |site, guid| on(site, &["hold", "place"], guid, &["--reason", "a lawsuit"]),
        first: (423, "held"),
        after: |site, guid| on(site, &["hold", "release"], guid, &[]),
        then: (200, ""),
    },
    Case {
        name: "retained",
        before: |site, guid| {
            on(
                site,
                &["object", "change"],
                guid,
                &["--retain-until", "2100-01-01"],
            );
        },
        first: (423, "retained"),
        after: |site, guid| {
            on(
                site,
                &["object", "change"],
                guid,
                &["--retain-until", "none"],
            )
        },
        then: (200, ""),
    },
];

#[test]
fn a_repeat_is_answered_as_the_first_was_whatever_came_between() {
    let site = Site::new();
    let mut server = site.serve();
    let mut firsts = Vec::new();
    for case in CASES {
        let (name, guid) = (case.name, put(&site, None));
        (case.before)(&site, &guid);
        let (first, repeated) = delete(&server, &guid, Some(name));
        assert_eq!(told(&first), answered(case.first.0, case.first.1), "{name}");
        assert!(!repeated, "{name}");
        match &first.decision {
            Some(id) => {
                let show = ["decision", "show", id, "--tenant", TENANT];
                let decision = verb(&site.data_dir(), &show);
                assert_eq!(decision["objectId"], guid, "{name}");
            }
            // That there is one would tell of an object.
            None => assert_eq!(name, "not-there"),
        }
        (case.after)(&site, &guid);
        assert_eq!(delete(&server, &guid, Some(name)), (first.clone(), true));
        firsts.push((name, guid.clone(), first));
        // Nothing that the repeat could have had an effect on is missing.
        let then = told_of(&server, &guid, None);
        assert_eq!(then, answered(case.then.0, case.then.1), "{name}");
    }
    for crash in [false, true] {
        if crash {
            server.kill();
        } else {
            assert_eq!(server.stop(), Some(0));
        }
        server = site.serve();
        for (name, guid, first) in &firsts {
            let again = delete(&server, guid, Some(name));
            assert_eq!(again, (first.clone(), true), "{name}");
        }
    }
    let deletions = server.deletions();
    // The one that was not there had been deleted once, and was deleted as another object.
    let expected = |name: &str| if name == "not-there" { 2 } else { 1 };
    for (name, guid, _) in &firsts {
        assert_eq!(deletions.get(guid), Some(&expected(name)), "{name}");
    }
}

#[test]
fn what_depends_on_the_moment_or_the_caller_is_not_kept() {
    let site = Site::new();
    let server = site.serve();
    let trap = site.folder().join("trap.wasm");
    std::fs::write(&trap, guests::TRAP).expect("a component");
    let set = |rate| {
        let set = ["budget", "set", "tenant", rate, "--tenant", TENANT];
        verb(&site.data_dir(), &set);
    };
    // Nobody could decide.
    let guid = put(&site, None);
    assign(&site, trap.to_str().expect("a path in UTF-8"));
    let undecided = answered(503, "undecided");
    assert_eq!(told_of(&server, &guid, Some("undecided")), undecided);
    assign(&site, "allow-all");
    assert_eq!(told_of(&server, &guid, Some("undecided")), deleted());
    // The budget is used up.
    let guid = put(&site, None);
    set("week=1");
    assert_eq!(told_of(&server, &put(&site, None), None), deleted());
    let used_up = answered(429, "over-budget");
    assert_eq!(told_of(&server, &guid, Some("budget")), used_up);
    set("week=default");
    assert_eq!(told_of(&server, &guid, Some("budget")), deleted());
    // The caller may not, or is nobody.
    let guid = put(&site, None);
    grant(&site, CLIENT, &["documents:read"]);
    let forbidden = answered(403, "permission-missing");
    assert_eq!(told_of(&server, &guid, Some("caller")), forbidden);
    grant(&site, CLIENT, &["documents:read", "documents:write"]);
    let nobody = request(&server, "wrong", &guid, Some("caller")).send();
    let nobody = told(&seen(nobody.expect("an answer")).0);
    assert_eq!(nobody, answered(401, "invalid-token"));
    assert_eq!(told_of(&server, &guid, Some("caller")), deleted());
    let kept: u32 = database(&site.data_dir())
        .query_row("SELECT count(*) FROM outcomes", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(kept, 3, "the three that deleted");
}

#[test]
fn a_key_is_known_to_its_own_caller_alone_and_to_nobody_without_a_credential() {
    let site = Site::new();
    let server = site.serve();
    let guid = put(&site, None);
    verb(&site.data_dir(), &["client", "create", "other"]);
    grant(&site, "other", &["documents:write"]);
    let other = token(&site, "other");
    let fresh = token(&site, CLIENT);
    assert_eq!(told_of(&server, &guid, Some("key")), deleted());
    let by = |token: &str| {
        let response = request(&server, token, &guid, Some("key")).send();
        let (seen, repeated) = seen(response.expect("an answer"));
        (told(&seen), repeated)
    };
    let missing = answered(404, "document-not-found");
    assert_eq!(by(&other), (missing.clone(), false));
    assert_eq!(by(&other), (missing, true), "its own first");
    assert_eq!(by("wrong"), (answered(401, "invalid-token"), false));
    assert_eq!(by(&fresh), (deleted(), true), "the client is the same");
    grant(&site, CLIENT, &["documents:read"]);
    let forbidden = answered(403, "permission-missing");
    assert_eq!(by(&fresh), (forbidden, false));
    grant(&site, CLIENT, &["--nothing"]);
    let no_access = answered(403, "tenant-not-accessible");
    assert_eq!(by(&fresh), (no_access, false));
}

#[test]
fn a_key_of_another_request_is_refused_in_both_styles_and_deletes_nothing() {
    let demo = Demo::start();
    let server = &demo.server;
    let photo = |object: &crate::support::demo::Object, key: &str| {
        let path = "/api/4/UploadImage/DeleteUserPhoto";
        let query = format!("?userId={}&photoId={}", object.user, object.id);
        let request = server.http.get(server.url(&format!("{path}{query}")));
        let request = request.header("websiteId", WEBSITE);
        let request = request.header("webApiClientKey", SITE_KEY);
        let response = request.header("Idempotency-Key", key).send();
        seen(response.expect("an answer"))
    };
    let (first, repeated) = photo(&sunset(), "one");
    assert_eq!((first.status, repeated), (200, false));
    assert!(first.body.contains("successfully"), "{}", first.body);
    // A key is the same in quotes.
    assert_eq!(photo(&sunset(), "\"one\""), (first, true));
    let (reused, repeated) = photo(&hills(), "one");
    let body = r#"{"Response":"Error","Message":"The idempotency key was used for another request.","Data":null,"ErrorCode":"422"}"#;
    assert_eq!((reused.status, reused.body.as_str()), (422, body));
    assert!(!repeated);
    assert!(demo.has(&hills()));

    let other = "61ba0f38-e275-4fc4-909d-b382d476ba07";
    assert_eq!(told_of(server, other, Some("one")).0, 404);
    let reused = answered(422, "idempotency-key-reused");
    assert_eq!(told_of(server, GUID, Some("one")), reused);
    assert!(server.documents().contains(&GUID.to_owned()));
}

#[test]
fn of_many_repeats_at_once_one_has_an_effect_and_all_are_answered_alike() {
    const REPEATS: usize = 32;
    let site = Site::new();
    let server = site.serve();
    let guid = put(&site, None);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = |_| scope.spawn(|| delete(&server, &guid, Some("key")));
        let asked: Vec<_> = (0..REPEATS).map(ask).collect();
        let answers = asked.into_iter().map(|asked| asked.join());
        answers.map(|answer| answer.expect("an answer")).collect()
    });
    for (seen, _) in &answers {
        assert_eq!(told(seen), deleted());
    }
    let firsts = answers.iter().filter(|(_, repeated)| !repeated).count();
    assert_eq!(firsts, 1);
    assert_eq!(server.deletions().get(&guid), Some(&1));
}

#[test]
fn a_new_object_of_the_same_id_survives_a_repeat() {
    let site = Site::new();
    let server = site.serve();
    let guid = put(&site, None);
    assert_eq!(told_of(&server, &guid, Some("key")), deleted());
    put(&site, Some(&guid));
    let (again, repeated) = delete(&server, &guid, Some("key"));
    assert_eq!((told(&again), repeated), (deleted(), true));
    assert!(server.document(&guid).is_some(), "it was deleted");
    assert_eq!(told_of(&server, &guid, Some("another-key")), deleted());
    assert_eq!(server.document(&guid), None);
}

#[test]
fn an_outcome_is_forgotten_after_a_day() {
    let site = Site::new();
    let server = site.serve();
    let guids: Vec<_> = (0..3).map(|_| put(&site, None)).collect();
    for guid in &guids {
        assert_eq!(told_of(&server, guid, Some(guid)), deleted());
    }
    let back = |ms: u64, guid: &str| {
        // The time passes in the database.
        let passed = "UPDATE outcomes SET at_ms = at_ms - ?1 WHERE at_ms IN (
            SELECT at_ms FROM outcomes ORDER BY at_ms LIMIT 1)";
        let changed = database(&site.data_dir()).execute(passed, [ms as i64]);
        assert_eq!(changed.expect("an update"), 1, "{guid}");
    };
    back(DAY_MS - 60_000, &guids[0]);
    assert_eq!(told_of(&server, &guids[0], Some(&guids[0])), deleted());
    back(60_000, &guids[0]);
    let (forgotten, repeated) = delete(&server, &guids[0], Some(&guids[0]));
    assert_eq!(told(&forgotten), answered(404, "document-not-found"));
    assert!(!repeated);
    let (kept, repeated) = delete(&server, &guids[0], Some(&guids[0]));
    assert_eq!((kept, repeated), (forgotten, true));
    assert_eq!(told_of(&server, &guids[1], Some(&guids[1])), deleted());
}

#[test]
fn a_caller_with_too_many_keys_waits_and_none_of_its_outcomes_is_forgotten_early() {
    let site = Site::new();
    grant(&site, CLIENT, &["documents:read", "documents:write"]);
    verb(&site.data_dir(), &["client", "create", "other"]);
    grant(&site, "other", &["documents:write"]);
    let other = token(&site, "other");
    let guids: Vec<_> = (0..7).map(|_| put(&site, None)).collect();
    let server = site.serve_with("[erase]\nidempotency-outcomes = 3\n");
    for (nth, guid) in guids[..3].iter().enumerate() {
        let key = format!("key-{nth}");
        assert_eq!(told_of(&server, guid, Some(&key)), deleted());
    }
    let (refused, repeated) = delete(&server, &guids[3], Some("key-3"));
    assert_eq!(told(&refused), answered(429, "too-many-idempotency-keys"));
    assert!(!repeated);
    let wait: u64 = refused
        .retry_after
        .and_then(|wait| wait.parse().ok())
        .expect("seconds");
    assert!((1..=DAY_MS / 1000).contains(&wait), "{wait}");
    assert!(server.document(&guids[3]).is_some());
    // So is a refusal that could not be kept.
    let (absent, _) = delete(&server, GUID, Some("key-4"));
    assert_eq!(told(&absent), answered(429, "too-many-idempotency-keys"));
    // Every earlier answer is given again, other callers go on, and so does who names no key.
    for (nth, guid) in guids[..3].iter().enumerate() {
        let key = format!("key-{nth}");
        let (first, repeated) = delete(&server, guid, Some(&key));
        assert_eq!((told(&first), repeated), (deleted(), true));
    }
    let by_other = request(&server, &other, &guids[4], Some("key-0")).send();
    assert_eq!(told(&seen(by_other.expect("an answer")).0), deleted());
    assert_eq!(told_of(&server, &guids[5], None), deleted());
    // As soon as the oldest is forgotten there is room for one.
    let oldest = "UPDATE outcomes SET at_ms = at_ms - ? WHERE id = (
        SELECT id FROM outcomes ORDER BY at_ms LIMIT 1)";
    let changed = database(&site.data_dir()).execute(oldest, [DAY_MS as i64]);
    assert_eq!(changed.expect("the outcomes"), 1);
    assert_eq!(told_of(&server, &guids[3], Some("key-3")), deleted());
    let again = told_of(&server, &guids[6], Some("key-6"));
    assert_eq!(again, answered(429, "too-many-idempotency-keys"));
}

#[test]
fn success_is_repeated_only_once_the_bytes_are_gone() {
    let site = Site::new();
    let server = site.serve_with("[erase]\nshred-retry-max-ms = 100");
    let guid = put(&site, None);
    // A folder with something in it stands in the file's place, and is not removed as a file.
    let key = keys(&site.data_dir(), "blobs").pop_first().expect("a key");
    assert_eq!(blob_files(&site.data_dir()).len(), 1);
    let file = blob_path(&site.data_dir(), &key);
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("a folder");
    std::fs::write(file.join("bytes"), "of the document").expect("a file");
    let pending = answered(503, "erasure-pending");
    assert_eq!(told_of(&server, &guid, Some("key")), pending);
    assert_eq!(told_of(&server, &guid, Some("key")), pending);
    assert!(keys(&site.data_dir(), "shreds").contains(&key));
    std::fs::remove_dir_all(&file).expect("removed");
    let (again, repeated) = delete(&server, &guid, Some("key"));
    assert_eq!((told(&again), repeated), (deleted(), true));
    wait_until("no shred record is left", || {
        keys(&site.data_dir(), "shreds").is_empty()
    });
    assert_eq!(server.deletions().get(&guid), Some(&1));
}

#[test]
fn after_a_kill_every_repeat_succeeds_and_each_document_was_deleted_once() {
    const DOCUMENTS: usize = 60;
    const CLIENTS: usize = 12;
    let site = Site::new();
    for successes in [0, 1, DOCUMENTS / 2] {
        let server = site.serve();
        let guids: Vec<_> = (0..DOCUMENTS)
            .map(|n| server.upload_document(&format!("{n}.txt"), b"the content"))
            .collect();
        let (next, succeeded) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let acknowledged = parking_lot::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while let Some(guid) = guids.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let response = request(&server, &server.token, guid, Some(guid)).send();
                        if response.is_ok_and(|response| response.status() == 200) {
                            acknowledged.lock().push(guid.clone());
                            succeeded.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
            while succeeded.load(Ordering::SeqCst) < successes {
                std::thread::sleep(Duration::from_micros(200));
            }
            server.signal("KILL");
        });
        server.kill();
        let server = site.serve();
        let acknowledged = acknowledged.into_inner();
        for guid in &guids {
            let (again, repeated) = delete(&server, guid, Some(guid));
            assert_eq!(told(&again), deleted(), "{guid}");
            if acknowledged.contains(guid) {
                assert!(repeated, "{guid} was deleted before");
            }
        }
        assert_eq!(server.documents(), Vec::<String>::new());
        let deletions = server.deletions();
        for guid in &guids {
            assert_eq!(deletions.get(guid), Some(&1), "{guid}");
        }
        wait_until("no blob is left", || {
            blob_files(&site.data_dir()).is_empty()
        });
    }
}

#[test]
fn a_delete_typed_again_with_its_key_is_answered_as_it_was() {
    let site = Site::new();
    let guid = put(&site, None);
    let user = DOCUMENT_USER.to_string();
    let typed = ["--tenant", TENANT, "--user", &user, "--guid", &guid];
    let token = ["--token", &site.token, "--idempotency-key", "typed"];
    let delete = [&["delete", "document"], &typed[..], &token].concat();
    let first = verb(&site.data_dir(), &delete);
    let decision = first["decision"].as_str().expect("a decision");
    let answer = |repeated| {
        json!({
            "erased": true, "repeated": repeated, "outcome": "erased", "decision": decision,
        })
    };
    assert_eq!(first, answer(false));
    let again = verb(&site.data_dir(), &delete);
    assert_eq!(again, answer(true));
}

#[tokio::test]
async fn a_platform_that_keeps_no_outcomes_refuses_what_has_a_key() {
    let stage = Stage::with(&patient());
    let request = || Request::Photo(stage.request("p-1"));
    let key = || Some("key".parse().expect("a key"));
    let answer = stage.atropos.delete_once(request(), key()).await;
    assert_eq!(answer.outcome, Err(Refused::Unavailable));
    stage.assert_intact("no outcomes");
    let answer = stage.atropos.delete_once(request(), None).await;
    assert_eq!(answer.outcome, Ok(()));
}
