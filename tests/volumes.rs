//! The place of the bytes proves that it is the one the rows belong to, and the files of the database are
//! those that were opened: at the start, and while a server runs.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;

use crate::support::site::{MARKER, Site, blob_files, blob_of, database, keys, wait_until};
use crate::support::{DOCUMENT_USER, PATIENT, Server, TENANT, answer, failure, run, verb};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Documents whose content is their name.
fn upload(server: &Server, names: &[&str]) -> Vec<String> {
    let upload = |name: &&str| server.upload_document(name, name.as_bytes());
    names.iter().map(upload).collect()
}

/// Uploads a document, whatever comes of it: status and code.
fn try_upload(server: &Server) -> (u16, Value) {
    let form = Form::new()
        .text("tenantSubDomain", TENANT)
        .text("userAccountId", DOCUMENT_USER.to_string())
        .part("file", Part::bytes(&b"late"[..]).file_name("late"));
    let url = server.url("/api/file/upload/admin-for-client/store");
    let request = server.http.post(url).bearer_auth(&server.token);
    let (status, body) = answer(request.multipart(form).send().expect("an answer"));
    (status, body["code"].clone())
}

/// Deletes a document, under an idempotency key if there is one: status and code.
fn try_delete(server: &Server, guid: &str, key: Option<&str>) -> (u16, Value) {
    let body = serde_json::json!({
        "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
    });
    let url = server.url("/api/library/documents/delete");
    let mut request = server.http.post(url).bearer_auth(&server.token).json(&body);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", format!("\"{key}\""));
    }
    let (status, body) = answer(request.send().expect("an answer"));
    (status, body["code"].clone())
}

/// Asks for the bytes of a document: the status.
fn try_read(server: &Server, guid: &str) -> u16 {
    let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    let request = server
        .http
        .get(server.url(&path))
        .bearer_auth(&server.token);
    request.send().expect("an answer").status().as_u16()
}

fn refused(code: &str) -> (u16, Value) {
    (503, Value::from(code))
}

const EMPTIED: &str = "the same directory with nothing in it";

/// What takes the place of the directory of the bytes, by name.
const INTRUDERS: [(&str, fn(&Path)); 5] = [
    (EMPTIED, |_| {}),
    ("nothing", |_| {}),
    ("an empty directory", |blobs| {
        fs::create_dir(blobs).expect("a folder");
    }),
    ("another's volume", |blobs| {
        fs::create_dir(blobs).expect("a folder");
        fs::write(blobs.join(MARKER), "0123456789abcdef0123456789abcdef\n").expect("a file");
    }),
    ("a marker that is none", |blobs| {
        fs::create_dir(blobs).expect("a folder");
        fs::write(blobs.join(MARKER), "nonsense").expect("a file");
    }),
];

/// What is in a site's directory of bytes, put aside for as long as something else is in its place.
struct Aside {
    blobs: PathBuf,
    aside: PathBuf,
    whole: bool,
}

impl Aside {
    fn put(site: &Site) -> Self {
        let (blobs, aside) = (site.data_dir().join("blobs"), site.folder().join("aside"));
        fs::rename(&blobs, &aside).expect("put aside");
        let whole = true;
        Self {
            blobs,
            aside,
            whole,
        }
    }

    /// The directory itself stays, and has nothing in it.
    fn emptied(site: &Site) -> Self {
        let (blobs, aside) = (site.data_dir().join("blobs"), site.folder().join("aside"));
        fs::create_dir(&aside).expect("a folder");
        move_all(&blobs, &aside);
        let whole = false;
        Self {
            blobs,
            aside,
            whole,
        }
    }

    fn back(self) {
        if self.whole {
            let _ = fs::remove_dir_all(&self.blobs);
            fs::rename(&self.aside, &self.blobs).expect("put back");
        } else {
            move_all(&self.aside, &self.blobs);
            fs::remove_dir(&self.aside).expect("an empty folder");
        }
    }
}

fn put_aside(site: &Site, what: &str, intrude: fn(&Path)) -> Aside {
    let aside = match what {
        EMPTIED => Aside::emptied(site),
        _ => Aside::put(site),
    };
    intrude(&aside.blobs);
    aside
}

fn move_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::rename(entry.path(), to.join(entry.file_name())).expect("moved");
    }
}

#[test]
fn on_another_volume_nothing_starts_and_the_verb_that_adopts_it_is_named() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(&server, &NAMES);
    assert_eq!(server.stop(), Some(0));
    for (what, intrude) in INTRUDERS {
        let aside = put_aside(&site, what, intrude);
        let before = fs::read_dir(&aside.blobs).map(Iterator::count).ok();
        for verb in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["doctor", "--repair"],
        ] {
            let output = run(&data_dir, &[verb, &["--json"]].concat());
            let said = failure(&output);
            assert_eq!(output.status.code(), Some(3), "{what}: {said}");
            assert_eq!(said["error"]["code"], "wrong-volume", "{what}: {said}");
            let remedy = said["error"]["remedy"].as_str().expect("a remedy");
            assert!(remedy.contains("atropos volume adopt"), "{what}: {remedy}");
        }
        let shown = verb(&data_dir, &["status"])["storage"].clone();
        assert!(
            shown["volume"].as_str().expect("words").contains("`blobs`"),
            "{what}: {shown}"
        );
        let after = fs::read_dir(&aside.blobs).map(Iterator::count).ok();
        assert_eq!(after, before, "{what}: it was touched");
        let adopted = run(&data_dir, &["volume", "adopt", "--json"]);
        assert_eq!(
            failure(&adopted)["error"]["code"],
            "wrong-volume",
            "{what}: it has no file"
        );
        aside.back();
    }
    let server = site.serve();
    assert_eq!(server.document(&guids[0]), Some(b"a".to_vec()));
    assert_eq!(server.delete_document(&guids[0]).0, 200);
}

#[test]
fn while_another_volume_is_in_its_place_no_delete_is_done_and_all_goes_on_once_it_is_back() {
    for (what, intrude) in INTRUDERS {
        let site = Site::new();
        let data_dir = site.data_dir();
        let erase = "[erase]\nshred-retry-max-ms = 200\nshred-lease-ms = 1000";
        let server = site.serve_with(&format!(
            "{PATIENT}[http]\nrequest-timeout-ms = 300000\n{erase}"
        ));
        let guids = upload(&server, &NAMES);
        let files = blob_files(&data_dir);
        let aside = put_aside(&site, what, intrude);
        let astray = refused("wrong-volume");
        assert_eq!(try_delete(&server, &guids[0], None), astray, "{what}");
        assert_eq!(
            try_delete(&server, &guids[1], Some("key")),
            astray,
            "{what}"
        );
        let again = try_delete(&server, &guids[1], Some("key"));
        assert_eq!(again, refused("erasure-pending"), "{what}: a repeat");
        assert_eq!(try_upload(&server), astray, "{what}");
        assert_eq!(
            try_read(&server, &guids[2]),
            503,
            "{what}: that it is gone is not said"
        );
        assert_eq!(server.get("/readyz").status(), 503, "{what}");
        wait_until("it was tried again", || {
            verb(&data_dir, &["status"])["storage"]["backlog"]["mostAttempts"].as_u64() >= Some(2)
        });
        let doomed = keys(&data_dir, "shreds");
        assert_eq!(
            doomed.iter().filter(|key| files.contains(*key)).count(),
            2,
            "{what}"
        );
        aside.back();
        assert_eq!(blob_files(&data_dir), files, "{what}: nothing was lost");
        wait_until("what is pending is gone", || {
            blob_files(&data_dir).len() == 1
        });
        wait_until("the repeat is told so", || {
            try_delete(&server, &guids[1], Some("key")) == (200, Value::Null)
        });
        assert_eq!(server.get("/readyz").status(), 200, "{what}");
        assert_eq!(try_upload(&server).0, 200, "{what}");
        assert_eq!(server.document(&guids[2]), Some(b"c".to_vec()), "{what}");
        assert_eq!(try_delete(&server, &guids[2], None).0, 200, "{what}");
        assert!(
            server.deletions().values().all(|events| *events == 1),
            "{what}"
        );
        let activity = verb(&data_dir, &["activity", "--tenant", TENANT, "--user", "6"]);
        let events = activity.as_array().expect("an array");
        assert!(
            events.iter().all(|event| event["bytesAbsent"] == 0),
            "{what}: {activity}"
        );
    }
}

/// Takes from a database what came after the version that knew of no volume.
const AS_BY_AN_EARLIER_VERSION: &str = "
    DELETE FROM instance;
    ALTER TABLE outcomes DROP COLUMN decision;
    DROP INDEX shreds_by_lease;
    ALTER TABLE shreds DROP COLUMN owner;
    ALTER TABLE shreds RENAME COLUMN leased_until_ms TO claimed;
    PRAGMA user_version = 8";

#[test]
fn a_directory_without_a_marker_gets_one_if_it_has_a_file_that_a_row_names_or_nothing_is_named() {
    // As an earlier version left it.
    let unmarked = |site: &Site| {
        database(&site.data_dir())
            .execute_batch(AS_BY_AN_EARLIER_VERSION)
            .expect("a statement");
        fs::remove_file(site.data_dir().join("blobs").join(MARKER)).expect("a marker");
    };
    let marker = |site: &Site| site.data_dir().join("blobs").join(MARKER);
    let site = Site::new();
    unmarked(&site);
    assert_eq!(site.serve().stop(), Some(0));
    assert!(marker(&site).exists(), "nothing is named");

    let server = site.serve();
    let guids = upload(&server, &NAMES);
    assert_eq!(server.stop(), Some(0));
    unmarked(&site);
    fs::remove_file(blob_of(&site.data_dir(), &guids[0])).expect("it was there");
    assert_eq!(site.serve().stop(), Some(0));
    assert!(marker(&site).exists(), "some of what is named is there");

    unmarked(&site);
    let aside = Aside::put(&site);
    fs::create_dir(&aside.blobs).expect("a folder");
    let refused = run(
        &site.data_dir(),
        &["serve", "--listen", "127.0.0.1:0", "--json"],
    );
    assert_eq!(failure(&refused)["error"]["code"], "wrong-volume");
    assert!(!marker(&site).exists(), "nothing of what is named is there");
    aside.back();

    // A database of an earlier version, restored beside a marked volume.
    assert_eq!(site.serve().stop(), Some(0));
    let known = verb(&site.data_dir(), &["volume", "show"])["known"].clone();
    database(&site.data_dir())
        .execute_batch(AS_BY_AN_EARLIER_VERSION)
        .expect("a statement");
    assert_eq!(site.serve().document(&guids[1]), Some(b"b".to_vec()));
    let shown = verb(&site.data_dir(), &["volume", "show"]);
    assert_eq!((&shown["known"], &shown["marked"]), (&known, &known));
}

#[test]
fn a_place_that_is_adopted_serves_at_once() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve_with("[erase]\nshred-retry-max-ms = 200");
    let guids = upload(&server, &NAMES);
    // The files were copied to a larger disk, and the marker was forgotten.
    let aside = Aside::put(&site);
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([&aside.aside, &aside.blobs])
        .status();
    assert!(copied.expect("cp runs").success());
    fs::remove_file(aside.blobs.join(MARKER)).expect("a marker");
    assert_eq!(
        try_delete(&server, &guids[0], None),
        refused("wrong-volume")
    );
    verb(&data_dir, &["volume", "adopt"]);
    assert_eq!(try_delete(&server, &guids[1], None).0, 200);
    wait_until("what was pending is gone", || {
        blob_files(&data_dir).len() == 1
    });
    assert_eq!(server.get("/readyz").status(), 200);
    assert_eq!(server.stop(), Some(0));

    // All is lost, and an operator says so.
    fs::remove_dir_all(&aside.blobs).expect("removed");
    fs::create_dir(&aside.blobs).expect("a folder");
    assert_eq!(run(&data_dir, &["volume", "adopt"]).status.code(), Some(3));
    verb(&data_dir, &["volume", "adopt", "--bytes-are-lost"]);
    let server = site.serve();
    assert_eq!(try_delete(&server, &guids[2], None).0, 200);
    assert_eq!(try_upload(&server).0, 200);
}

/// The files of the database.
fn files(data_dir: &Path) -> [PathBuf; 3] {
    ["atropos.db", "atropos.db-wal", "atropos.db-shm"].map(|name| data_dir.join(name))
}

#[test]
fn beside_bytes_no_empty_database_is_made() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    upload(&server, &NAMES);
    assert_eq!(server.stop(), Some(0));
    fs::remove_file(data_dir.join("atropos.db")).expect("it was there");
    let blobs = blob_files(&data_dir);
    for marked in [true, false] {
        if !marked {
            fs::remove_file(data_dir.join("blobs").join(MARKER)).expect("a marker");
        }
        for verb in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["tenant", "list"],
            &["doctor", "--repair"],
            &["status"],
            &["volume", "adopt"],
        ] {
            let output = run(&data_dir, &[verb, &["--json"]].concat());
            let said = failure(&output);
            assert_eq!(output.status.code(), Some(3), "{verb:?}: {said}");
            assert_eq!(said["error"]["code"], "no-database", "{verb:?}: {said}");
            assert!(
                said["error"]["remedy"]
                    .as_str()
                    .expect("words")
                    .contains("backup")
            );
            assert!(
                files(&data_dir).iter().all(|file| !file.exists()),
                "{verb:?} made one"
            );
        }
    }
    assert_eq!(blob_files(&data_dir), blobs);
    fs::rename(data_dir.join("blobs"), site.folder().join("aside")).expect("put aside");
    verb(&data_dir, &["tenant", "list"]);
}

#[test]
fn a_database_that_is_removed_or_replaced_while_it_is_open_takes_no_write_until_it_is_back() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(&server, &NAMES);
    let aside = site.folder().join("aside");
    fs::create_dir(&aside).expect("a folder");
    let [database, log, shared] = files(&data_dir);
    let all: &[&PathBuf] = &[&database, &log, &shared];
    // What is taken away, and whether a copy takes its place.
    let table = [
        ("all removed", all, false),
        ("all replaced", all, true),
        ("the database removed", &[&database], false),
        ("the log removed", &[&log], false),
        ("the log replaced", &[&log], true),
    ];
    for (what, taken, replaced) in table {
        let beside = |file: &Path| aside.join(file.file_name().expect("a name"));
        for file in taken {
            fs::rename(file, beside(file)).expect("put aside");
            if replaced {
                fs::copy(beside(file), file).expect("a copy");
            }
        }
        let lost = refused("wrong-database");
        assert_eq!(try_upload(&server), lost, "{what}");
        assert_eq!(try_delete(&server, &guids[0], None), lost, "{what}");
        wait_until("it is not ready", || server.get("/readyz").status() == 503);
        for file in taken {
            assert_eq!(file.exists(), replaced, "{what}: another one was made");
            let _ = fs::remove_file(file);
            fs::rename(beside(file), file).expect("put back");
        }
        assert_eq!(server.get("/readyz").status(), 200, "{what}");
        assert_eq!(server.document(&guids[0]), Some(b"a".to_vec()), "{what}");
    }
    assert_eq!(server.delete_document(&guids[0]).0, 200);
    assert_eq!(try_upload(&server).0, 200);
    assert_eq!(server.documents().len(), NAMES.len());
    assert_eq!(server.stop(), Some(0));
    assert_eq!(run(&data_dir, &["doctor"]).status.code(), Some(0));
}
