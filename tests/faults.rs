//! Disks that are full or cannot be written, and databases that are locked or damaged: each is
//! refused in clear words, nothing is lost, and the same server goes on once the fault has ended.

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;

use crate::support::machine::{Immutable, Volume};
use crate::support::site::{Site, blob_files, blob_of, database, keys, wait_until};
use crate::support::{DOCUMENT_USER, Server, TENANT, answer, client, eventually, run, verb};

/// Uploads a document of so many bytes, whatever comes of it.
fn upload(server: &Server, size: usize) -> (u16, Value) {
    // Who answers before all was sent may hang up before the answer is read, and no other request
    // is to be sent on that connection.
    eventually("an answer", || {
        let http = client();
        let file = Part::bytes(vec![b'x'; size]).file_name("some.bin");
        let form = Form::new()
            .text("tenantSubDomain", TENANT)
            .text("userAccountId", DOCUMENT_USER.to_string())
            .part("file", file);
        let path = server.url("/api/file/upload/admin-for-client/store");
        let request = http.post(path).bearer_auth(&server.token);
        Some(answer(request.multipart(form).send().ok()?))
    })
}

/// Deletes a document: its status, its code, and after how many seconds to try again.
fn delete(server: &Server, guid: &str) -> (u16, String, Option<u64>) {
    let body = serde_json::json!({
        "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
    });
    let path = server.url("/api/library/documents/delete");
    let request = server.http.post(path).bearer_auth(&server.token);
    let response = request.json(&body).send().expect("an answer");
    let after = response.headers().get("retry-after");
    let after = after.map(|after| after.to_str().expect("text").parse().expect("seconds"));
    let (status, body) = answer(response);
    (
        status,
        body["code"].as_str().unwrap_or_default().to_owned(),
        after,
    )
}

fn is(answer: &(u16, String, Option<u64>), status: u16, code: &str) -> bool {
    answer.0 == status && answer.1 == code
}

/// The backlog as `atropos status` shows it.
fn status(data_dir: &Path) -> Value {
    verb(data_dir, &["status"])["storage"].clone()
}

/// Nothing has come apart, and nothing is left to do.
fn assert_sound(data_dir: &Path) {
    wait_until("no shred record is left", || {
        keys(data_dir, "shreds").is_empty()
    });
    let checked = run(data_dir, &["doctor"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{said}");
}

/// Writes until there is no room, but for `spare` bytes.
fn fill(data_dir: &Path, spare: u64) {
    let path = data_dir.join("ballast");
    let mut ballast = std::fs::File::create(&path).expect("a file");
    for size in [64 << 10, 4096, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
    let size = ballast.metadata().expect("a file").len();
    ballast
        .set_len(size.saturating_sub(spare))
        .expect("shorter");
}

#[test]
fn a_full_disk_refuses_uploads_loses_nothing_and_needs_no_restart() {
    let mut site = Site::unmade();
    let data_dir = site.data_dir();
    let Some(_volume) = Volume::mount(&data_dir, 12) else {
        return;
    };
    site.make();
    let server = site.serve();
    let guids: Vec<_> = (0..4)
        .map(|n| server.upload_document("d", &[n; 1000]))
        .collect();
    // Room for rows but not for the bytes, then for nothing.
    for spare in [300 << 10, 0] {
        fill(&data_dir, spare);
        let files = blob_files(&data_dir);
        let (refused, body) = upload(&server, 600 << 10);
        assert_eq!(
            (refused, &body["code"]),
            (507, &Value::from("storage-full")),
            "{body}"
        );
        assert!(
            !body.to_string().contains(&*data_dir.to_string_lossy()),
            "{body}"
        );
        assert_eq!(server.documents().len(), guids.len(), "spare {spare}");
        assert_eq!(blob_files(&data_dir), files, "a part of an upload stayed");
    }
    let refused = delete(&server, &guids[0]);
    assert!(
        is(&refused, 503, "unavailable") || refused.0 == 200,
        "{refused:?}"
    );
    let kept = server.document(&guids[0]);
    assert_eq!(
        kept,
        (refused.0 == 503).then(|| vec![0; 1000]),
        "half of it"
    );
    assert_eq!(server.document(&guids[1]), Some(vec![1; 1000]));

    std::fs::remove_file(data_dir.join("ballast")).expect("it was there");
    let again = delete(&server, &guids[0]).0;
    assert_eq!(
        again,
        if refused.0 == 503 { 200 } else { 404 },
        "the retry learns the truth"
    );
    assert_eq!(delete(&server, &guids[1]).0, 200);
    assert_eq!(upload(&server, 600 << 10).0, 200);
    let deletions = server.deletions();
    assert_eq!(
        (deletions.get(&guids[0]), deletions.get(&guids[1])),
        (Some(&1), Some(&1))
    );
    assert_eq!(server.get("/readyz").status(), 200);
    // The reservations of refused uploads run out by themselves.
    let over = "UPDATE shreds SET not_before_ms = 1";
    database(&data_dir).execute(over, []).expect("an update");
    assert_sound(&data_dir);
}

#[test]
fn a_server_that_was_killed_starts_on_a_full_disk() {
    let mut site = Site::unmade();
    let data_dir = site.data_dir();
    let Some(_volume) = Volume::mount(&data_dir, 12) else {
        return;
    };
    site.make();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    fill(&data_dir, 0);
    server.kill();
    let server = site.serve();
    assert_eq!(server.document(&guid), Some(b"bytes".to_vec()));
    std::fs::remove_file(data_dir.join("ballast")).expect("it was there");
    wait_until("there is room", || delete(&server, &guid).0 != 503);
    assert_eq!(server.document(&guid), None);
}

#[test]
fn bytes_on_a_read_only_volume_stay_doomed_until_it_can_be_written() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let Some(volume) = Volume::mount(&data_dir.join("blobs"), 8) else {
        return;
    };
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    volume.remount("ro");
    let (refused, body) = upload(&server, 100);
    assert_eq!(
        (refused, &body["code"]),
        (503, &Value::from("unavailable")),
        "{body}"
    );
    let pending = delete(&server, &guid);
    assert!(
        is(&pending, 503, "erasure-pending") && pending.2.is_some(),
        "{pending:?}"
    );
    assert_eq!(server.document(&guid), None, "invisible at once");
    assert!(is(&delete(&server, &guid), 404, "document-not-found"));
    wait_until("the status shows it", || {
        let shown = status(&data_dir);
        let why = shown["overdue"][0]["lastError"]
            .as_str()
            .unwrap_or_default();
        shown["backlog"]["due"] == 1 && why.contains("Read-only")
    });
    assert_eq!(blob_files(&data_dir).len(), 1);
    volume.remount("rw");
    wait_until("the bytes are gone", || blob_files(&data_dir).is_empty());
    assert_eq!(server.deletions().get(&guid), Some(&1));
    assert_eq!(upload(&server, 100).0, 200);
    // Of the upload that was refused only its reservation is left.
    let over = "UPDATE shreds SET not_before_ms = 1";
    database(&data_dir).execute(over, []).expect("an update");
    assert_sound(&data_dir);
}

#[test]
fn a_read_only_data_directory_is_refused_by_name_and_serves_once_it_can_be_written() {
    let mut site = Site::unmade();
    let data_dir = site.data_dir();
    let Some(volume) = Volume::mount(&data_dir, 8) else {
        return;
    };
    site.make();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    assert_eq!(server.stop(), Some(0));
    volume.remount("ro");
    let refused = run(&data_dir, &["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains(&*data_dir.to_string_lossy()), "{said}");
    assert!(said.contains("Read-only"), "{said}");
    volume.remount("rw");
    let server = site.serve();
    assert_eq!(delete(&server, &guid).0, 200);
}

#[test]
fn a_database_that_cannot_be_written_refuses_and_goes_on_when_it_can() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    let files = ["atropos.db", "atropos.db-wal"].map(|name| data_dir.join(name));
    let Some(immutable) = Immutable::make(&files) else {
        return;
    };
    assert!(is(&delete(&server, &guid), 503, "unavailable"));
    assert_eq!(upload(&server, 100).0, 503);
    assert_eq!(
        server.document(&guid),
        Some(b"bytes".to_vec()),
        "reads go on"
    );
    drop(immutable);
    assert_eq!(delete(&server, &guid).0, 200);
    assert_eq!(server.deletions().get(&guid), Some(&1));
    assert_sound(&data_dir);
}

#[test]
fn bytes_that_cannot_be_unlinked_are_pending_and_go_when_they_can() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    let Some(immutable) = Immutable::make(&[blob_of(&data_dir, &guid)]) else {
        return;
    };
    let pending = delete(&server, &guid);
    assert!(
        is(&pending, 503, "erasure-pending") && pending.2.is_some(),
        "{pending:?}"
    );
    assert_eq!(server.document(&guid), None, "invisible at once");
    assert!(is(&delete(&server, &guid), 404, "document-not-found"));
    wait_until("it is tried again and again", || {
        status(&data_dir)["backlog"]["mostAttempts"].as_u64() >= Some(2)
    });
    drop(immutable);
    wait_until("the bytes are gone", || blob_files(&data_dir).is_empty());
    assert_eq!(server.deletions().get(&guid), Some(&1));
    assert_sound(&data_dir);
}

#[test]
fn bytes_that_are_absent_already_complete_the_delete_and_the_event_says_so() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    std::fs::remove_file(blob_of(&data_dir, &guid)).expect("it was there");
    assert_eq!(delete(&server, &guid).0, 200);
    wait_until("the event says so", || {
        let activity = verb(&data_dir, &["activity", "--tenant", TENANT, "--user", "6"]);
        activity[0]["bytesAbsent"] == 1
    });
    assert_sound(&data_dir);
}

#[test]
fn a_locked_database_refuses_and_goes_on_when_it_is_free() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    let other = database(&data_dir);
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    assert!(is(&delete(&server, &guid), 503, "unavailable"));
    assert_eq!(
        server.document(&guid),
        Some(b"bytes".to_vec()),
        "reads go on"
    );
    assert_eq!(status(&data_dir)["objects"], 1, "and so does the status");
    other.execute_batch("ROLLBACK").expect("let go");
    assert_eq!(delete(&server, &guid).0, 200);
    assert_eq!(server.deletions().get(&guid), Some(&1));
    assert_sound(&data_dir);
}

#[test]
fn a_damaged_database_is_refused_by_name_with_what_to_do_and_left_as_it_is() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let file = data_dir.join("atropos.db");
    let whole = std::fs::read(&file).expect("a database");
    let damages: [(&str, Vec<u8>); 3] = [
        ("no database", vec![b'x'; 8192]),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        (
            "its header overwritten",
            [&[0xa5; 512][..], &whole[512..]].concat(),
        ),
    ];
    for (how, bytes) in damages {
        std::fs::write(&file, &bytes).expect("a file");
        for verb in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["tenant", "list"],
            &["doctor"],
        ] {
            let refused = run(&data_dir, verb);
            let said = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(3), "{how}: {said}");
            assert!(said.contains(&*data_dir.to_string_lossy()), "{how}: {said}");
            assert!(
                said.contains("damaged") && said.contains("from a backup"),
                "{how}: {said}"
            );
        }
        assert!(
            std::fs::read(&file).expect("a file") == bytes,
            "{how}: it was changed"
        );
    }
    std::fs::write(&file, &whole).expect("a file");
    assert_eq!(site.serve().stop(), Some(0));
}

#[test]
fn damage_met_while_serving_is_never_a_success() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    assert_eq!(server.stop(), Some(0));
    // The page from which every look-up of an object begins.
    let database = database(&data_dir);
    let number = |query| database.query_row(query, [], |row| row.get::<_, u32>(0));
    let page =
        number("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_objects_1'");
    let size = u64::from(number("PRAGMA page_size").expect("a size"));
    let at = u64::from(page.expect("a page") - 1) * size;
    drop(database);
    let mut options = std::fs::File::options();
    let file = options.read(true).write(true);
    let file = file.open(data_dir.join("atropos.db")).expect("a file");
    let mut whole = vec![0; size as usize];
    file.read_exact_at(&mut whole, at).expect("a page");
    file.write_all_at(&vec![0xa5; size as usize], at)
        .expect("written");
    let server = site.serve();
    for _ in 0..2 {
        assert!(is(&delete(&server, &guid), 503, "unavailable"));
    }
    let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    let request = server
        .http
        .get(server.url(&path))
        .bearer_auth(&server.token);
    assert_eq!(request.send().expect("an answer").status(), 503);
    wait_until("the log tells", || server.log().contains("damaged"));
    assert_eq!(blob_files(&data_dir).len(), 1, "the bytes stay");
    assert_eq!(server.stop(), Some(0));
    file.write_all_at(&whole, at).expect("restored");
    let server = site.serve();
    assert_eq!(delete(&server, &guid).0, 200);
    assert_sound(&data_dir);
}

#[test]
fn a_wait_for_the_lock_harms_no_other_tenant_for_long() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("d", b"bytes");
    let other = database(&data_dir);
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| delete(&server, &guid));
        std::thread::sleep(Duration::from_millis(300));
        // Shorter than the patience of the server.
        other.execute_batch("ROLLBACK").expect("let go");
        assert_eq!(waiting.join().expect("an answer").0, 200);
    });
}
