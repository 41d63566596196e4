//! The doctor: what has come apart between rows and bytes is found, and mended when told to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::Value as Cell;
use serde_json::{Value, json};

use crate::support::site::{
    MARKER, Site, blob_files, blob_of, blob_path, database, keys, wait_until,
};
use crate::support::{self, Server, TENANT, run, verb};

/// A well-formed key of which no row knows.
const STRAY: &str = "0123456789abcdef0123456789abcdef";

/// Runs the doctor and returns its exit code and its report.
fn doctor(data_dir: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let output = run(data_dir, &[&["doctor", "--json"], args].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("no report, {error}: {said}"));
    (output.status.code(), report)
}

/// How many findings of each sort a report has.
fn counts(report: &Value) -> BTreeMap<&'static str, u64> {
    let found = ["orphans", "lost", "overdue", "foreign"];
    let count = |what: &'static str| (what, report[what]["count"].as_u64().expect("a count"));
    found
        .into_iter()
        .map(count)
        .filter(|(_, n)| *n > 0)
        .collect()
}

fn plant(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
}

/// Every file among the blobs and every row of every table.
fn picture(data_dir: &Path) -> (BTreeMap<PathBuf, Vec<u8>>, Vec<(String, Vec<Cell>)>) {
    let files = support::files(&data_dir.join("blobs")).into_iter();
    let files = files.map(|path| (path.clone(), std::fs::read(path).unwrap_or_default()));
    let database = database(data_dir);
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut tables = database.prepare(tables).expect("tables");
    let tables = tables.query_map([], |row| row.get(0)).expect("rows");
    let tables: Vec<String> = tables.collect::<Result<_, _>>().expect("names");
    let mut rows = Vec::new();
    for table in tables {
        let mut all = database
            .prepare(&format!("SELECT * FROM {table}"))
            .expect("a table");
        let width = all.column_count();
        let read = |row: &rusqlite::Row<'_>| (0..width).map(|at| row.get(at)).collect();
        for row in all.query_map([], read).expect("rows") {
            rows.push((table.clone(), row.expect("a row")));
        }
    }
    (files.collect(), rows)
}

/// Documents whose content is their name.
fn upload(server: &Server, names: &[&str]) -> Vec<String> {
    let upload = |name: &&str| server.upload_document(name, name.as_bytes());
    names.iter().map(upload).collect()
}

/// Runs a hold verb on a document.
fn hold(data_dir: &Path, words: &[&str], guid: &str) {
    let named = ["document", guid, "--tenant", TENANT, "--user", "6"];
    let more: &[&str] = match words.last() {
        Some(&"place") => &["--reason", "a lawsuit"],
        _ => &[],
    };
    verb(data_dir, &[words, &named, more].concat());
}

#[test]
fn each_divergence_is_found_and_nothing_changes_until_it_is_mended() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let names = ["a", "b", "c", "gone", "held", "short", "e", "f"];
    let guids = upload(&server, &names);
    let [gone, held, short] = [&guids[3], &guids[4], &guids[5]];
    assert_eq!(server.stop(), Some(0));
    let (exit, report) = doctor(&data_dir, &[]);
    assert_eq!((exit, counts(&report)), (Some(0), BTreeMap::new()));
    assert_eq!((&report["files"], &report["blobs"]), (&json!(8), &json!(8)));

    let short_file = blob_of(&data_dir, short);
    for guid in [gone, held] {
        std::fs::remove_file(blob_of(&data_dir, guid)).expect("it was there");
    }
    std::fs::write(&short_file, b"sh").expect("a file");
    plant(&blob_path(&data_dir, STRAY), b"of nobody");
    let before = picture(&data_dir);
    let (exit, report) = doctor(&data_dir, &[]);
    assert_eq!(exit, Some(4));
    assert_eq!(
        counts(&report),
        BTreeMap::from([("lost", 3), ("orphans", 1)])
    );
    assert_eq!(
        report["orphans"]["first"][0],
        json!({ "key": STRAY, "sizeBytes": 9 })
    );
    let lost = report["lost"]["first"].as_array().expect("an array");
    let found = |guid: &str| lost.iter().find(|lost| lost["id"] == guid).expect("found");
    assert_eq!(found(gone)["found"], "nothing");
    assert_eq!(found(short)["found"], json!({ "otherSize": 2 }));
    assert_eq!(found(short)["sizeBytes"], 5);
    assert!(picture(&data_dir) == before, "looking changed something");

    // The orphan goes to quarantine, and lost bytes do not come back.
    let (exit, report) = doctor(&data_dir, &["--repair"]);
    assert_eq!((exit, &report["quarantined"]), (Some(4), &json!(1)));
    assert_eq!(keys(&data_dir, "blobs").len(), 8, "no row goes untold");
    assert!(!blob_path(&data_dir, STRAY).exists());
    assert_eq!(keys(&data_dir, "shreds").len(), 0);
    let (_, report) = doctor(&data_dir, &[]);
    assert_eq!(counts(&report), BTreeMap::from([("lost", 3)]));

    // What is held stays, and so does what still has bytes.
    hold(&data_dir, &["hold", "place"], held);
    let (exit, report) = doctor(&data_dir, &["--repair", "--forget-lost"]);
    assert_eq!((exit, &report["forgotten"]), (Some(4), &json!(1)));
    assert_eq!(counts(&report), BTreeMap::from([("lost", 2)]));
    let activity = verb(&data_dir, &["activity", "--tenant", TENANT, "--user", "6"]);
    let events = activity.as_array().expect("an array");
    assert_eq!(events.len(), 1, "{activity}");
    assert_eq!(events[0]["activity"], "User System File Lost");
    assert_eq!(events[0]["objectId"], gone.as_str());
    hold(&data_dir, &["hold", "release"], held);
    std::fs::write(&short_file, b"short").expect("a file");
    let (exit, report) = doctor(&data_dir, &["--repair", "--forget-lost"]);
    assert_eq!((exit, &report["forgotten"]), (Some(0), &json!(1)));

    let (exit, report) = doctor(&data_dir, &[]);
    assert_eq!((exit, counts(&report)), (Some(0), BTreeMap::new()));
    let server = site.serve();
    for (name, guid) in names.iter().zip(&guids) {
        let expected = match *name {
            "gone" | "held" => None,
            name => Some(name.as_bytes().to_vec()),
        };
        assert_eq!(server.document(guid), expected, "{name}");
    }
}

#[test]
fn what_is_no_blob_is_told_of_and_never_touched() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let blobs = data_dir.join("blobs");
    let outside = site.folder().join("precious");
    std::fs::write(&outside, b"precious").expect("a file");
    std::fs::create_dir_all(blobs.join("lost+found")).expect("a folder");
    plant(&blobs.join("notes.txt"), b"notes");
    plant(&blobs.join("01").join("short"), b"no key");
    plant(
        &blob_path(&data_dir, &STRAY.to_uppercase()),
        b"a key in other words",
    );
    std::fs::create_dir_all(blob_path(&data_dir, &STRAY.replace('0', "1"))).expect("a folder");
    std::os::unix::fs::symlink(&outside, blob_path(&data_dir, STRAY)).expect("a link");
    std::os::unix::fs::symlink(site.folder(), blobs.join("ff")).expect("a link");
    let before = picture(&data_dir);
    for args in [&[][..], &["--repair", "--forget-lost"]] {
        let (exit, report) = doctor(&data_dir, args);
        assert_eq!(exit, Some(0), "no divergence: {report}");
        assert_eq!(
            counts(&report),
            BTreeMap::from([("foreign", 7)]),
            "{report}"
        );
        assert!(picture(&data_dir) == before, "{args:?} touched something");
    }
    assert_eq!(std::fs::read(outside).expect("a file"), b"precious");
}

#[test]
fn if_most_is_lost_nothing_is_forgotten() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(&server, &["a", "b", "c"]);
    assert_eq!(server.stop(), Some(0));
    let (blobs, elsewhere) = (data_dir.join("blobs"), site.folder().join("elsewhere"));
    std::fs::rename(&blobs, &elsewhere).expect("moved");
    // A place that says it is the right one, and has nothing.
    std::fs::create_dir(&blobs).expect("a folder");
    std::fs::copy(elsewhere.join(MARKER), blobs.join(MARKER)).expect("a marker");
    let output = run(&data_dir, &["doctor", "--repair", "--forget-lost"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4));
    assert!(said.contains("is `blobs` in its place?"), "{said}");
    assert_eq!(keys(&data_dir, "blobs").len(), 3);
    std::fs::remove_dir_all(&blobs).expect("an empty folder");
    std::fs::rename(&elsewhere, &blobs).expect("moved back");
    assert_eq!(doctor(&data_dir, &[]).0, Some(0));
    let server = site.serve();
    assert_eq!(server.document(&guids[0]), Some(b"a".to_vec()));
}

#[test]
fn beside_uploads_and_deletes_under_way_nothing_is_found_and_nothing_harmed() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let half = vec![b'x'; 1 << 20];
    let mut stalled = Vec::new();
    for index in 0..4 {
        let (request, end) = server.raw_upload(&format!("stalled-{index}"), 2 << 20);
        let mut connection = server.dial();
        connection.begin(&request);
        connection.send(&request.body);
        connection.send(&half);
        stalled.push((connection, end));
    }
    wait_until("the stalled uploads have files", || {
        blob_files(&data_dir).len() == stalled.len()
    });
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Ends by itself should the doctor fail.
                for _ in 0..2000 {
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    let guid = server.upload_document("brief.txt", b"brief");
                    assert_eq!(server.delete_document(&guid).0, 200);
                }
            });
        }
        for round in 0..6 {
            let args: &[&str] = match round % 2 {
                0 => &[],
                _ => &["--repair", "--forget-lost"],
            };
            let (exit, report) = doctor(&data_dir, args);
            assert_eq!(
                (exit, counts(&report)),
                (Some(0), BTreeMap::new()),
                "{report}"
            );
            assert_eq!(report["quarantined"], 0);
        }
        done.store(true, Ordering::SeqCst);
    });
    for (mut connection, end) in stalled {
        connection.send(&half);
        connection.send(end);
        assert_eq!(connection.answer().0, Some(200));
    }
    let guids = server.documents();
    assert_eq!(guids.len(), 4);
    for guid in &guids {
        let bytes = server.document(guid).expect("bytes");
        assert!(bytes == [half.clone(), half.clone()].concat(), "{guid}");
    }
    assert!(server.deletions().values().all(|events| *events == 1));
}

#[test]
fn bytes_that_resist_are_told_of_with_the_reason() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("resists.txt", b"resists");
    let file = blob_of(&data_dir, &guid);
    std::fs::remove_file(&file).expect("it was there");
    std::fs::create_dir(&file).expect("a folder");
    assert_eq!(server.delete_document(&guid).0, 503);
    wait_until("the failure is on record", || {
        counts(&doctor(&data_dir, &[]).1).contains_key("overdue")
    });
    let (exit, report) = doctor(&data_dir, &[]);
    let overdue = &report["overdue"]["first"][0];
    assert_eq!(exit, Some(4), "{report}");
    assert!(overdue["attempts"].as_u64() >= Some(1), "{overdue}");
    assert!(overdue["erasedAtMs"].as_u64() > Some(0), "{overdue}");
    let why = overdue["lastError"].as_str().expect("words");
    assert!(why.contains("directory"), "{why}");
    std::fs::remove_dir(&file).expect("an empty folder");
    wait_until("what resisted is gone", || {
        doctor(&data_dir, &["--repair"]).0 == Some(0)
    });
    assert_eq!(keys(&data_dir, "shreds").len(), 0);
}

#[test]
fn thousands_of_orphans_are_mended_in_batches() {
    const ORPHANS: u64 = 2500;
    let site = Site::new();
    let data_dir = site.data_dir();
    for index in 0..ORPHANS {
        let key = format!("{:02x}{index:030x}", index % 7);
        plant(&blob_path(&data_dir, &key), b"of nobody");
    }
    let (exit, report) = doctor(&data_dir, &[]);
    assert_eq!(
        (exit, &report["orphans"]["count"]),
        (Some(4), &json!(ORPHANS))
    );
    assert_eq!(
        report["orphans"]["first"].as_array().map(Vec::len),
        Some(100)
    );
    let (exit, report) = doctor(&data_dir, &["--repair"]);
    assert_eq!((exit, &report["quarantined"]), (Some(4), &json!(0)));
    assert_eq!(report["doubts"], json!(["many-orphans"]));
    let (exit, report) = doctor(&data_dir, &["--repair", "--many-orphans"]);
    assert_eq!((exit, &report["quarantined"]), (Some(0), &json!(ORPHANS)));
    assert_eq!(report["inQuarantine"], json!(ORPHANS));
    assert_eq!(blob_files(&data_dir).len(), 0);
    assert_eq!(keys(&data_dir, "shreds").len(), 0);
}

#[test]
fn a_database_that_contradicts_itself_is_told_of_and_not_trusted() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    upload(&server, &["a", "b"]);
    assert_eq!(server.stop(), Some(0));
    let broken = database(&data_dir);
    broken
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM components; DELETE FROM grants;")
        .expect("a statement");
    broken
        .execute_batch("UPDATE objects SET id = id + 10 WHERE id = 1")
        .expect("a statement");
    let (exit, report) = doctor(&data_dir, &["--repair", "--forget-lost"]);
    assert_eq!(exit, Some(4));
    let dangling = report["dangling"].to_string();
    for said in [
        "1 of `blobs` refer to what is not in `objects`",
        "1 live objects have no blob",
        "names the policy `allow-all`",
    ] {
        assert!(dangling.contains(said), "{dangling}");
    }
    assert_eq!(blob_files(&data_dir).len(), 2, "what a row names stays");

    // A page of an index, overwritten.
    let page = "SELECT rootpage FROM sqlite_master WHERE name = 'objects_by_owner'";
    let number = |query| broken.query_row(query, [], |row| row.get::<_, u32>(0));
    let page = u64::from(number(page).expect("a page"));
    let size = u64::from(number("PRAGMA page_size").expect("a size"));
    drop(broken);
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::options()
        .write(true)
        .open(data_dir.join("atropos.db"));
    let nonsense = vec![0xa5; size as usize];
    let written = file
        .expect("a file")
        .write_all_at(&nonsense, (page - 1) * size);
    written.expect("written");
    let output = run(&data_dir, &["doctor"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("restore it from a backup"), "{said}");
    assert_eq!(blob_files(&data_dir).len(), 2);
}

#[test]
fn where_there_is_no_data_directory_none_is_made() {
    let folder = tempfile::tempdir().expect("a directory");
    let missing = folder.path().join("missing");
    for look in ["doctor", "status"] {
        let output = run(&missing, &[look]);
        assert_eq!(output.status.code(), Some(1), "{look}");
        assert!(!missing.exists(), "{look} made one");
    }
}
