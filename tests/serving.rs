//! The server in operation: its end, its probes, its figures, and clients that hang up.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

use reqwest::Method;
use rusqlite::TransactionBehavior;

use crate::support::photos::picture;
use crate::support::site::{Site, blob_files, database, keys, wait_until};
use crate::support::{self, GUID, PHOTO_USER, SITE_KEY, Server, WEBSITE};

/// A figure of `/metrics`: 0 until it first counts.
fn figure(server: &Server, series: &str) -> u64 {
    let text = server.get("/metrics").text().expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |figure| figure.trim().parse().expect("a number"))
}

#[test]
fn a_stop_lets_requests_under_way_end() {
    let site = Site::new();
    let server = site.serve();
    let base = server.base.clone();
    let doomed = server.upload_document("doomed.txt", b"doomed");
    let delete = server.raw_delete(&doomed);
    let (upload, end) = server.raw_upload("late.txt", 4);
    let (mut deleting, mut uploading) = (server.dial(), server.dial());
    deleting.begin(&delete);
    uploading.begin(&upload);
    uploading.send(&upload.body);

    let stopping = std::thread::spawn(move || server.stop());
    wait_until("the port is closed", || !Server::listens(&base));
    deleting.send(&delete.body);
    uploading.send(format!("late{end}"));
    let (deleted, uploaded) = (deleting.answer(), uploading.answer());
    assert_eq!(deleted.0, Some(200), "{}", deleted.1);
    assert_eq!(uploaded.0, Some(200), "{}", uploaded.1);
    assert_eq!(stopping.join().expect("a thread"), Some(0));

    let server = site.serve();
    let listed = server.documents();
    assert_eq!(listed.len(), 1);
    assert!(uploaded.1.contains(&listed[0]), "{}", uploaded.1);
    assert_eq!(server.document(&listed[0]), Some(b"late".to_vec()));
    assert_eq!(server.deletions().get(&doomed), Some(&1));
}

#[test]
fn whoever_hangs_up_the_terminal_stops_the_server_as_sigterm_does() {
    let site = Site::new();
    // Whatever started the tests may have had SIGHUP ignored, as `nohup` does.
    let heard = r#"set -- env --default-signal=HUP "$@""#;
    let mut server = site.serve_after(heard, &[]).expect("a server");
    let base = server.base.clone();
    let (upload, end) = server.raw_upload("late.txt", 4);
    let mut uploading = server.dial();
    uploading.begin(&upload);
    uploading.send(&upload.body);
    server.signal("HUP");
    wait_until("the port is closed", || !Server::listens(&base));
    uploading.send(format!("late{end}"));
    let (uploaded, said) = uploading.answer();
    assert_eq!(uploaded, Some(200), "{said}");
    support::eventually("it ends", || server.ended().then_some(()));
    assert!(server.log().contains("stopping once"), "{}", server.log());
    // As `nohup` starts it, it goes on.
    let mut server = site.serve_after("trap '' HUP", &[]).expect("a server");
    server.signal("HUP");
    let kept = server.document(&server.documents()[0]);
    assert_eq!(kept, Some(b"late".to_vec()));
    server.signal("TERM");
    support::eventually("it ends", || server.ended().then_some(()));
    assert_eq!(server.log().matches("stopping once").count(), 1);
}

#[test]
fn a_stop_lasts_as_long_as_it_may_and_tells_what_it_cuts_off() {
    // Container runtimes kill after ten seconds.
    let http = atropos_service::config::Config::default().http;
    assert!(http.shutdown_timeout_ms <= 8000);
    let site = Site::new();
    let mut server = site.serve_with("[http]\nshutdown-timeout-ms = 300\n");
    let guid = server.upload_document("large.bin", &vec![7; 32 << 20]);
    let path = format!(
        "/api/library/documents/file/get/{}/{}/{guid}",
        support::TENANT,
        support::DOCUMENT_USER
    );
    let mut downloads: Vec<_> = (0..2).map(|_| server.dial()).collect();
    for download in &mut downloads {
        let token = format!("Authorization: Bearer {}", server.token);
        download.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n"));
        assert_eq!(download.next_head(), 32 << 20);
    }
    let (upload, _) = server.raw_upload("half.bin", 8 << 20);
    let mut uploading = server.dial();
    uploading.begin(&upload);
    uploading.send(&upload.body);
    server.signal("TERM");
    support::eventually("it ends", || server.ended().then_some(()));
    let cut = "downloads=2 receiving=1 others=0";
    wait_until("it is told", || server.log().contains(cut));
    for download in downloads {
        assert!(download.answer().1.len() < 32 << 20, "it was whole");
    }
}

#[test]
fn a_stop_amid_many_deletes_answers_each_with_the_truth() {
    let site = Site::new();
    let server = site.serve();
    let guids: Vec<String> = (0..64)
        .map(|index| server.upload_document(&format!("{index}.txt"), b"bytes"))
        .collect();
    let (http, token, url) = (
        server.http.clone(),
        server.token.clone(),
        server.url("/api/library/documents/delete"),
    );
    let acknowledged = std::thread::scope(|scope| {
        let callers: Vec<_> = guids
            .chunks(4)
            .map(|guids| {
                let (http, token, url) = (&http, &token, &url);
                scope.spawn(move || {
                    let delete = |guid: &&String| {
                        let body = serde_json::json!({
                            "tenantSubDomain": support::TENANT,
                            "userAccountId": support::DOCUMENT_USER, "fileGuid": guid,
                        });
                        let request = http.post(url).bearer_auth(token).json(&body);
                        request
                            .send()
                            .is_ok_and(|response| response.status() == 200)
                    };
                    guids.iter().filter(delete).collect::<Vec<_>>()
                })
            })
            .collect();
        assert_eq!(server.stop(), Some(0));
        let joined = callers
            .into_iter()
            .map(|caller| caller.join().expect("no panic"));
        joined.flatten().collect::<BTreeSet<_>>()
    });

    let server = site.serve();
    let listed = server.documents();
    for guid in &guids {
        assert_ne!(acknowledged.contains(guid), listed.contains(guid), "{guid}");
    }
    assert_eq!(server.deletions().len(), acknowledged.len());
    assert_eq!(blob_files(&site.data_dir()).len(), listed.len());
}

#[test]
fn probes_answer_and_the_figures_move() {
    let site = Site::new();
    let server = site.serve();
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let (code, body) = support::answer(server.get(path));
        assert_eq!((code, body["status"].as_str()), (200, Some(status)));
    }
    let erased = r#"atropos_deletes_total{kind="document",outcome="erased"}"#;
    let refused = r#"atropos_deletes_total{kind="document",outcome="refused"}"#;
    assert_eq!((figure(&server, erased), figure(&server, refused)), (0, 0));
    let guid = server.upload_document("a.txt", b"a");
    assert_eq!(server.delete_document(&guid).0, 200);
    assert_eq!(server.delete_document(&guid).0, 404);
    assert_eq!((figure(&server, erased), figure(&server, refused)), (1, 1));
    wait_until("nothing is due", || {
        figure(&server, "atropos_shreds_due ") == 0
    });
    let text = server.get("/metrics").text().expect("text");
    assert!(!text.contains(&guid) && !text.contains(&server.token));
}

#[test]
fn no_other_method_deletes() {
    let server = Server::demo();
    let photo = format!(
        "/api/4/UploadImage/DeleteUserPhoto?userId={PHOTO_USER}&photoId={}",
        support::PHOTO
    );
    let document = "/api/library/documents/delete";
    let photo_methods = [
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
    ];
    let document_methods = [Method::HEAD, Method::GET, Method::PUT, Method::DELETE];
    let requests = photo_methods
        .map(|method| (method, &*photo))
        .into_iter()
        .chain(document_methods.map(|method| (method, document)));
    for (method, path) in requests {
        let request = server.http.request(method.clone(), server.url(path));
        let request = request.header("websiteId", WEBSITE);
        let request = request.header("webApiClientKey", SITE_KEY);
        let request = request.bearer_auth(&server.token);
        let response = request.send().expect("an answer");
        assert_eq!(response.status(), 405, "{method} {path}");
        assert!(response.headers().contains_key("allow"), "{method} {path}");
    }
    assert!(server.documents().iter().any(|guid| guid == GUID));
    assert_eq!(server.delete_photo(support::PHOTO).0, 200);
}

/// Whatever some frameworks take for another method, in headers and in the query.
#[test]
fn no_trick_turns_another_request_into_a_delete() {
    let server = Server::demo();
    let before = (server.photos(), server.documents());
    let photo = format!("userId={PHOTO_USER}&photoId={}", support::PHOTO);
    let document = "/api/library/documents";
    let list = "/api/4/UploadImage/GetUserUploadedList";
    let requests = [
        (Method::GET, format!("{list}?{photo}&_method=DELETE"), 200),
        (Method::HEAD, format!("{list}?{photo}&_method=DELETE"), 200),
        (
            Method::GET,
            format!("{document}/list/get/mytenant/6?_method=DELETE"),
            200,
        ),
        (
            Method::GET,
            format!("{document}/file/get/mytenant/6/{GUID}?_method=POST"),
            200,
        ),
        (Method::GET, format!("{document}/delete?_method=POST"), 405),
        (Method::HEAD, format!("{document}/delete"), 405),
        (
            Method::DELETE,
            format!("{document}/file/get/mytenant/6/{GUID}"),
            405,
        ),
        (Method::POST, format!("{list}?{photo}&_method=GET"), 405),
    ];
    let body = serde_json::json!({
        "tenantSubDomain": support::TENANT, "userAccountId": support::DOCUMENT_USER,
        "fileGuid": GUID, "_method": "delete",
    });
    for (method, path, status) in requests {
        let request = server.http.request(method.clone(), server.url(&path));
        let request = request.header("websiteId", WEBSITE);
        let request = request.header("webApiClientKey", SITE_KEY);
        let request = request.header("X-HTTP-Method-Override", "DELETE");
        let request = request.header("X-Method-Override", "DELETE");
        let request = request.header("X-HTTP-Method", "DELETE");
        let response = request.bearer_auth(&server.token).json(&body).send();
        let response = response.expect("an answer");
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(
            response.headers()["cache-control"],
            "no-store",
            "{method} {path}"
        );
    }
    assert_eq!((server.photos(), server.documents()), before);
    // What somebody means is done once; the repeat learns that.
    assert_eq!(server.delete_photo(support::PHOTO).0, 200);
    for _ in 0..2 {
        let (status, body) = server.delete_photo(support::PHOTO);
        assert_eq!((status, body["ErrorCode"].as_str()), (404, Some("327")));
    }
    assert_eq!(server.photo_deletions(support::PHOTO), 1);
}

#[test]
fn a_client_that_hangs_up_cancels_no_delete() {
    let site = Site::new();
    let server = site.serve();
    let guid = server.upload_document("a.txt", b"bytes");
    // Whoever writes to the database keeps the delete waiting in the middle of its commit.
    let mut database = database(&site.data_dir());
    let writing = database.transaction_with_behavior(TransactionBehavior::Immediate);
    let writing = writing.expect("a transaction");
    let request = server.raw_delete(&guid);
    let mut connection = server.dial();
    connection.begin(&request);
    connection.send(&request.body);
    wait_until("the delete is under way", || {
        figure(&server, "atropos_commit_group_count ") == 1
    });
    drop(connection);
    // Its end is noticed before the delete can go on.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.documents(), std::slice::from_ref(&guid));
    drop(writing);
    wait_until("it is done all the same", || server.documents().is_empty());
    assert_eq!(server.deletions().get(&guid), Some(&1));
    wait_until("its bytes are gone", || {
        blob_files(&site.data_dir()).is_empty()
    });
}

#[test]
fn whoever_hangs_up_at_once_leaves_each_document_whole_or_gone() {
    let site = Site::new();
    let server = site.serve();
    let guids: Vec<String> = (0..32)
        .map(|index| server.upload_document(&format!("{index}.txt"), b"bytes"))
        .collect();
    for (pause, guid) in (0..).step_by(100).zip(&guids) {
        let request = server.raw_delete(guid);
        let mut connection = server.dial();
        connection.begin(&request);
        connection.send(&request.body);
        std::thread::sleep(Duration::from_micros(pause));
    }
    // A stop waits for whatever is under way.
    assert_eq!(server.stop(), Some(0));
    let server = site.serve();
    assert_eq!(
        blob_files(&site.data_dir()),
        keys(&site.data_dir(), "blobs")
    );
    let (listed, deletions) = (server.documents(), server.deletions());
    eprintln!("{} of {} are gone", deletions.len(), guids.len());
    for guid in &guids {
        let bytes = server.document(guid);
        let whole = bytes.is_some_and(|bytes| bytes == b"bytes");
        assert_eq!(listed.contains(guid), whole, "{guid}");
        assert_eq!(!deletions.contains_key(guid), whole, "{guid}");
        let expected = if whole { 200 } else { 404 };
        assert_eq!(server.delete_document(guid).0, expected, "{guid}");
    }
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let site = Site::new();
    let server = site.serve();
    let (request, _) = server.raw_upload("half.bin", 8 << 20);
    let mut connection = server.dial();
    connection.begin(&request);
    connection.send(&request.body);
    connection.send(vec![b'x'; 4 << 20]);
    let files = || blob_files(&site.data_dir());
    wait_until("its bytes are being written", || files().len() == 1);
    assert!(server.documents().is_empty());
    drop(connection);
    wait_until("its bytes are gone", || files().is_empty());
    assert!(server.documents().is_empty());
    assert_eq!(server.get("/readyz").status(), 200);
}

#[test]
fn an_answer_before_the_end_of_a_body_says_that_the_connection_closes() {
    let server = Server::demo();
    let delete = "/api/library/documents/delete";
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let json = "Content-Type: application/json\r\n";
    let long = "x".repeat(40_000);
    // What a request says, the part of its body that comes, and the status of the answer.
    let cases = [
        ("an unknown path", "/nothing", String::new(), "", 404),
        ("another method", "/healthz", String::new(), "", 405),
        ("too much", delete, format!("{token}{json}"), &long, 413),
    ];
    for (name, path, headers, part, status) in cases {
        let mut connection = server.dial();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}");
        connection.send(format!("{head}Content-Length: 50000\r\n\r\n{part}"));
        let (said_status, said) = connection.answer();
        assert_eq!(said_status, Some(status), "{name}: {said}");
        let head = said.to_lowercase();
        assert!(head.contains("\r\nconnection: close\r\n"), "{name}: {said}");
    }
    // A body that was read leaves the connection open.
    let mut connection = server.dial();
    for _ in 0..2 {
        let head = format!("POST {delete} HTTP/1.1\r\nHost: x\r\n{token}{json}");
        connection.send(format!("{head}Content-Length: 2\r\n\r\n{{}}"));
        assert_eq!(connection.next_answer().0, 400);
    }
}

#[test]
fn a_slow_sender_of_headers_is_let_go() {
    let site = Site::new();
    let server = site.serve_with("[http]\nheader-timeout-ms = 200\n");
    let mut slow = server.dial();
    slow.send("GET /healthz HTTP/1.1\r\nHost:");
    let (status, said) = slow.answer();
    assert_ne!(status, Some(200), "{said}");
    assert_eq!(server.get("/healthz").status(), 200);
}

#[test]
fn a_deleted_photo_takes_all_its_renditions_with_it() {
    let server = Server::demo();
    let data_dir = server.data_dir().to_owned();
    let before = blob_files(&data_dir);
    let png = picture(1500, 900);
    let photo = server.upload_photo("wide.png", png.clone());
    let text = |field: &str| photo[field].as_str().expect("text").to_owned();
    let id = text("Id");
    assert_eq!(
        (&photo["Width"], &photo["Height"]),
        (&1500.into(), &900.into())
    );
    assert!(server.photos().contains(&photo));
    let original = server.get(&text("OriginalURL"));
    assert_eq!(original.headers()["content-type"], "image/png");
    assert!(original.bytes().expect("bytes") == png);
    let standard = server.get(&text("StandardURL")).bytes().expect("bytes");
    let standard = image::load_from_memory(&standard).expect("a picture");
    assert_eq!(standard.width().max(standard.height()), 1280);
    assert_eq!(blob_files(&data_dir).difference(&before).count(), 2);

    assert_eq!(server.delete_photo(&id).0, 200);

    assert!(server.photos().iter().all(|listed| listed["Id"] != *id));
    for url in ["OriginalURL", "StandardURL"] {
        assert_eq!(server.get(&text(url)).status(), 404, "{url}");
    }
    assert_eq!(blob_files(&data_dir), before);
    assert_eq!(keys(&data_dir, "blobs"), before);
    assert_eq!(server.photo_deletions(&id), 1);
}

#[test]
fn of_two_deletes_of_one_photo_at_once_one_succeeds() {
    let server = Server::demo();
    let png = picture(8, 8);
    for round in 0..8 {
        let photo = server.upload_photo(&format!("{round}.png"), png.clone());
        let id = photo["Id"].as_str().expect("an id");
        let together = Barrier::new(4);
        let delete = || {
            together.wait();
            server.delete_photo(id)
        };
        let mut answers = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(delete)).collect();
            let joined = callers
                .into_iter()
                .map(|caller| caller.join().expect("no panic"));
            joined.collect::<Vec<_>>()
        });
        answers.sort_by_key(|(status, _)| *status);
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [200, 404, 404, 404], "{answers:?}");
        for (_, body) in &answers[1..] {
            assert_eq!(body["ErrorCode"], "327");
        }
        assert_eq!(server.photo_deletions(id), 1);
    }
}
