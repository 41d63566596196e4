//! One damaged row, or one panic, fails its own request, and no request of another tenant.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::site::{CLIENT, Site, blob_files, database, keys, wait_until};
use crate::support::{DOCUMENT_USER, Server, TENANT, answer, run, verb};

const OTHER: &str = "acme";

/// Asks for the delete of a document: status and code.
fn delete(server: &Server, tenant: &str, guid: &str) -> (u16, String) {
    let body = json!({
        "tenantSubDomain": tenant, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
    });
    let path = server.url("/api/library/documents/delete");
    let request = server
        .http
        .post(path)
        .bearer_auth(&server.token)
        .json(&body);
    let (status, body) = answer(request.send().expect("an answer"));
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    (status, code)
}

/// A second tenant, for which the client of the site may do everything.
fn second_tenant(site: &Site) {
    let data_dir = site.data_dir();
    verb(
        &data_dir,
        &["tenant", "create", OTHER, "--website-id", "423"],
    );
    let grant = ["client", "grant", CLIENT, "--tenant", OTHER];
    verb(
        &data_dir,
        &[&grant[..], &["documents:read", "documents:write"]].concat(),
    );
}

/// Takes a document of the second tenant.
fn put(site: &Site, content: &[u8]) -> String {
    let file = site.folder().join("note.txt");
    std::fs::write(&file, content).expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let user = DOCUMENT_USER.to_string();
    let owner = ["--tenant", OTHER, "--user", &user];
    let taken = verb(
        &site.data_dir(),
        &[&["object", "put", "document", file], &owner[..]].concat(),
    );
    taken["id"].as_str().expect("an id").to_owned()
}

fn count(site: &Site, of: &str, id: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {of} = ?");
    let counted = database(&site.data_dir()).query_row(&sql, [id], |row| row.get(0));
    counted.expect("a number")
}

/// Of a document nothing is gone: row, bytes, and neither event nor decision that erased.
fn assert_whole(site: &Site, id: &str, file: &str) {
    assert_eq!(count(site, "objects WHERE public_id", id), 1);
    let blobs = "blobs JOIN objects ON objects.id = object WHERE public_id";
    assert_eq!(count(site, blobs, id), 1);
    assert_eq!(count(site, "events WHERE object_id", id), 0);
    assert_eq!(
        count(site, "decisions WHERE erased = 1 AND object_id", id),
        0
    );
    assert!(blob_files(&site.data_dir()).contains(file), "its bytes");
}

#[test]
fn a_damaged_row_of_one_tenant_fails_its_own_deletes_and_none_of_another_tenant() {
    let site = Site::new();
    second_tenant(&site);
    let data_dir = site.data_dir();
    let damaged: Vec<_> = (0..3).map(|n| put(&site, &[n; 10])).collect();
    // While the first group waits, all others come together in one.
    let slow = [("FAILPOINTS", "rows.erase=1*sleep(2000)->off".to_owned())];
    let server = site.serve_in("[plugin]\ndeadline-ms = 60000\n", &slow);
    let sound: Vec<_> = (0..24)
        .map(|n| server.upload_document("d", &[n; 10]))
        .collect();
    // Of each, one thing that its erasure comes to after its row is deleted.
    let key = |id: &str| -> String {
        let key = "SELECT key FROM blobs WHERE object =
            (SELECT id FROM objects WHERE public_id = ?)";
        let key = database(&data_dir).query_row(key, [id], |row| row.get(0));
        key.expect("a key")
    };
    let files: Vec<_> = damaged.iter().map(|id| key(id)).collect();
    let doomed = "INSERT INTO shreds (key, not_before_ms) VALUES (?, 9000000000000000)";
    let renamed = "UPDATE blobs SET key = 'no key' WHERE key = ?";
    for (damage, file) in [(renamed, 0), (doomed, 1), (doomed, 2)] {
        let rows = database(&data_dir).execute(damage, [&files[file]]);
        assert_eq!(rows.expect("a statement"), 1);
    }
    for _ in 0..2 {
        let refused = (503, "unavailable".to_owned());
        std::thread::scope(|scope| {
            let ask = |tenant, id| {
                let server = &server;
                scope.spawn(move || delete(server, tenant, id))
            };
            let first = ask(TENANT, &*sound[0]);
            std::thread::sleep(std::time::Duration::from_millis(300));
            let bad: Vec<_> = damaged.iter().map(|id| ask(OTHER, &**id)).collect();
            let good: Vec<_> = sound[1..].iter().map(|id| ask(TENANT, &**id)).collect();
            let asked = good.into_iter().chain([first]);
            let told: BTreeSet<_> = asked.map(|one| one.join().expect("an answer")).collect();
            assert_eq!(told.len(), 1, "{told:?}");
            let status = told.first().expect("one").0;
            assert!(status == 200 || status == 404, "{told:?}");
            for one in bad {
                assert_eq!(one.join().expect("an answer"), refused);
            }
        });
        for (id, file) in damaged.iter().zip(&files) {
            assert_whole(&site, id, file);
        }
    }
    assert!(server.documents().is_empty());
    wait_until("all that was erased is removed", || {
        blob_files(&data_dir).len() == damaged.len() && keys(&data_dir, "shreds").len() == 2
    });
    assert!(server.deletions().values().all(|events| *events == 1));
    assert_eq!(server.deletions().len(), sound.len());
}

#[test]
fn a_panic_while_a_delete_is_written_fails_that_delete_alone() {
    let site = Site::new();
    let panics = [("FAILPOINTS", "erase.shred=1*panic->off".to_owned())];
    let server = site.serve_in("", &panics);
    let guids: Vec<_> = (0..3)
        .map(|n| server.upload_document("d", &[n; 10]))
        .collect();
    let unavailable = (503, "unavailable".to_owned());
    assert_eq!(delete(&server, TENANT, &guids[0]), unavailable);
    assert_eq!(server.document(&guids[0]), Some(vec![0; 10]), "half of it");
    for guid in &guids {
        assert_eq!(delete(&server, TENANT, guid).0, 200);
    }
    let metrics = server.get("/metrics").text().expect("text");
    assert!(
        metrics.contains("atropos_storage_panics_total 1"),
        "{metrics}"
    );
}

#[test]
fn the_doctor_tells_of_rows_that_cannot_be_read_and_takes_no_file_of_theirs_for_an_orphan() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids: Vec<_> = (0..3)
        .map(|n| server.upload_document("d", &[n; 10]))
        .collect();
    assert_eq!(server.stop(), Some(0));
    let files = blob_files(&data_dir);
    let (of, stray) = (
        &guids[0],
        "INSERT INTO shreds (key, not_before_ms) VALUES ('nor a key', 1)",
    );
    let rename = "UPDATE blobs SET key = 'no key' WHERE object =
        (SELECT id FROM objects WHERE public_id = ?)";
    database(&data_dir)
        .execute(rename, [of])
        .expect("a statement");
    database(&data_dir).execute(stray, []).expect("a statement");
    let doctor = |args: &[&str]| -> (Option<i32>, Value) {
        let output = run(&data_dir, &[&["doctor", "--json"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout);
        (
            output.status.code(),
            report.unwrap_or_else(|error| panic!("{error}: {said}")),
        )
    };
    for args in [&[][..], &["--repair"]] {
        let (exit, report) = doctor(args);
        assert_eq!(exit, Some(4), "{report}");
        let told = json!([
            "1 of `blobs` cannot be read",
            "1 of `shreds` cannot be read"
        ]);
        assert_eq!(report["dangling"], told, "{report}");
        assert_eq!(report["blobs"], 2, "the others were compared: {report}");
        assert_eq!(report["orphans"]["count"], 1, "{report}");
        assert_eq!(report["quarantined"], 0, "{report}");
        assert_eq!(blob_files(&data_dir), files, "a file went");
    }
    // And the server serves what can be read.
    let server = site.serve();
    assert_eq!(delete(&server, TENANT, &guids[1]).0, 200);
    wait_until("its bytes are gone", || blob_files(&data_dir).len() == 2);
    let status = verb(&data_dir, &["status"]);
    assert_eq!(status["storage"]["objects"], 2, "{status}");
}
