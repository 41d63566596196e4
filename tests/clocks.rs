//! Clocks that are set: erasures are finished, and what must be kept is kept, wherever they stand.

use std::path::{Path, PathBuf};

use crate::support::machine::Clock;
use crate::support::site::{Site, blob_files, blob_of, database, keys, secret, wait_until};
use crate::support::{Server, TENANT, verb};

/// Uploads a document whose bytes cannot be removed, deletes it, and returns the place of its bytes.
fn delete_in_vain(server: &Server, data_dir: &Path) -> PathBuf {
    let guid = server.upload_document("d", b"bytes");
    let file = blob_of(data_dir, &guid);
    std::fs::remove_file(&file).expect("it was there");
    std::fs::create_dir(&file).expect("a folder");
    assert_eq!(server.delete_document(&guid).0, 503);
    wait_until("the failure is on record", || attempts(data_dir) > 0);
    file
}

/// The bytes are there and can be removed.
fn let_go(file: &Path) {
    std::fs::remove_dir(file).expect("an empty folder");
    std::fs::write(file, b"bytes").expect("a file");
}

fn attempts(data_dir: &Path) -> u32 {
    let most = "SELECT coalesce(max(attempts), 0) FROM shreds";
    database(data_dir)
        .query_row(most, [], |row| row.get(0))
        .expect("a count")
}

/// A site whose token is good for longer than clocks are off.
fn site() -> Site {
    let mut site = Site::new();
    let issue = ["token", "issue", "crm", "--lifetime", "30d"];
    site.token = secret(&verb(&site.data_dir(), &issue));
    site
}

#[test]
fn a_clock_that_was_set_back_after_a_crash_keeps_no_erasure_waiting() {
    let site = site();
    let data_dir = site.data_dir();
    let Some(clock) = Clock::off_by(site.folder(), "+1d") else {
        return;
    };
    let server = site.serve_in("", &clock.environment());
    let file = delete_in_vain(&server, &data_dir);
    let (request, _) = server.raw_upload("half", 1 << 20);
    let mut half = server.dial();
    half.begin(&request);
    half.send(&request.body);
    half.send(vec![b'x'; 1 << 19]);
    wait_until("the upload has a file", || blob_files(&data_dir).len() == 1);
    server.kill();
    let_go(&file);
    // By the clock as it is now, all that is on record lies a day ahead.
    let _server = site.serve();
    wait_until("what was erased is gone", || !file.exists());
    wait_until("its record is struck off", || {
        keys(&data_dir, "shreds").len() == 1
    });
    let day_ahead = database(&data_dir).query_row(
        "SELECT not_before_ms <= 1000 * (unixepoch() + 86400 + 60) FROM shreds",
        [],
        |row| row.get::<_, bool>(0),
    );
    assert!(
        day_ahead.expect("a row"),
        "a reservation waits for longer than any upload may"
    );
}

#[test]
fn a_clock_that_is_set_back_under_a_server_keeps_no_erasure_waiting() {
    let site = site();
    let data_dir = site.data_dir();
    let Some(clock) = Clock::off_by(site.folder(), "+1d") else {
        return;
    };
    let quick = "[erase]\nshred-lease-ms = 1000\nshred-retry-max-ms = 1000\n";
    let server = site.serve_in(quick, &clock.environment());
    let file = delete_in_vain(&server, &data_dir);
    clock.set("+0");
    let_go(&file);
    wait_until("what was erased is gone", || !file.exists());
    wait_until("its record is struck off", || {
        keys(&data_dir, "shreds").is_empty()
    });
    let guid = server.upload_document("d", b"more");
    assert_eq!(server.delete_document(&guid).0, 200);
    // And forward again.
    let guid = server.upload_document("d", b"more");
    clock.set("+2d");
    assert_eq!(server.delete_document(&guid).0, 200);
    assert_eq!(blob_files(&data_dir).len(), 0);
}

#[test]
fn a_clock_that_is_set_back_erases_nothing_before_its_date() {
    let site = site();
    let data_dir = site.data_dir();
    let Some(clock) = Clock::off_by(site.folder(), "+0") else {
        return;
    };
    let server = site.serve_in("", &clock.environment());
    let guid = server.upload_document("d", b"bytes");
    // Kept until an hour ago.
    let until = "UPDATE objects SET retain_until_ms = 1000 * (unixepoch() - 3600)";
    database(&data_dir).execute(until, []).expect("an update");
    clock.set("-1d");
    assert_eq!(server.delete_document(&guid).0, 423);
    assert_eq!(server.document(&guid), Some(b"bytes".to_vec()));
    clock.set("+0");
    assert_eq!(server.delete_document(&guid).0, 200);
}

#[test]
fn a_token_follows_the_clock_until_it_is_revoked() {
    let site = site();
    let data_dir = site.data_dir();
    let Some(clock) = Clock::off_by(site.folder(), "+0") else {
        return;
    };
    let mut server = site.serve_in("", &clock.environment());
    let issued = verb(&data_dir, &["token", "issue", "crm", "--lifetime", "1h"]);
    server.token = secret(&issued);
    let status = |server: &Server| {
        let path = format!("/api/library/documents/list/get/{TENANT}/6");
        let request = server
            .http
            .get(server.url(&path))
            .bearer_auth(&server.token);
        request.send().expect("an answer").status().as_u16()
    };
    assert_eq!(status(&server), 200);
    clock.set("+2h");
    assert_eq!(status(&server), 401, "expired");
    // Whoever sets the clock back says that it has not expired yet.
    clock.set("+0");
    assert_eq!(status(&server), 200);
    verb(
        &data_dir,
        &["token", "revoke", issued["id"].as_str().expect("an id")],
    );
    for offset in ["-1d", "+0", "+1d"] {
        clock.set(offset);
        assert_eq!(status(&server), 401, "revoked, {offset}");
    }
}
