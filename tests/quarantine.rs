//! Files that nothing names: what a lost or restored database lacks is not destroyed, comes back, and goes
//! after its period or with its object.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::site::{Site, blob_files, blob_of, blob_path, keys, quarantine, wait_until};
use crate::support::{Server, TENANT, failure, files, run, verb};

/// A well-formed key of which no row knows.
const STRAY: &str = "0123456789abcdef0123456789abcdef";

/// Runs the doctor and returns its exit code, its report, and its last word.
fn doctor(data_dir: &Path, args: &[&str]) -> (Option<i32>, Value, String) {
    let output = run(data_dir, &[&["doctor", "--json"], args].concat());
    let report = serde_json::from_slice(&output.stdout).expect("a report");
    let code = output.status.code();
    let said = match code {
        Some(0) => String::new(),
        _ => failure(&output)["error"]["message"].to_string(),
    };
    (code, report, said)
}

fn upload(server: &Server, names: impl Iterator<Item = usize>) -> Vec<String> {
    let upload = |name: usize| server.upload_document("d", name.to_string().as_bytes());
    names.map(upload).collect()
}

/// The database of a stopped server, taken from its place or put there.
fn restore(from: &Path, to: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut name = to.as_os_str().to_owned();
        name.push(end);
        let _ = fs::remove_file(Path::new(&name));
    }
    fs::copy(from, to).expect("a copy");
}

#[test]
fn what_a_restored_database_lacks_is_left_alone_unless_told_and_comes_back_with_the_right_one() {
    let site = Site::new();
    let (data_dir, backup) = (site.data_dir(), site.folder().join("backup.db"));
    let newest = site.folder().join("newest.db");
    let database = data_dir.join("atropos.db");
    let server = site.serve();
    let mut guids = upload(&server, 0..3);
    assert_eq!(server.stop(), Some(0));
    fs::copy(&database, &backup).expect("a copy");
    let server = site.serve();
    guids.extend(upload(&server, 3..15));
    assert_eq!(server.stop(), Some(0));
    fs::copy(&database, &newest).expect("a copy");
    let all = blob_files(&data_dir);
    restore(&backup, &database);

    let (exit, report, said) = doctor(&data_dir, &["--repair"]);
    assert_eq!((exit, &report["orphans"]["count"]), (Some(4), &json!(12)));
    assert_eq!(report["doubts"], json!(["many-orphans"]));
    assert!(
        said.contains("--many-orphans") && said.contains("restored"),
        "{said}"
    );
    assert_eq!(blob_files(&data_dir), all, "good files went");

    let (exit, report, _) = doctor(&data_dir, &["--repair", "--many-orphans"]);
    assert_eq!((exit, &report["quarantined"]), (Some(0), &json!(12)));
    assert_eq!(blob_files(&data_dir).len(), 3);
    assert_eq!(files(&quarantine(&data_dir)).len(), 12);
    assert_eq!(verb(&data_dir, &["status"])["storage"]["quarantined"], 12);
    assert_eq!(
        verb(&data_dir, &["quarantine", "release"])["left"],
        12,
        "no row names them"
    );

    restore(&newest, &database);
    let (exit, report, said) = doctor(&data_dir, &["--repair", "--forget-lost"]);
    assert_eq!((exit, &report["forgotten"]), (Some(4), &json!(0)));
    assert_eq!(report["lost"]["first"][0]["found"], "quarantined");
    assert!(said.contains("atropos quarantine release"), "{said}");
    let released = verb(&data_dir, &["quarantine", "release"]);
    assert_eq!(released, json!({ "released": 12, "left": 0 }));
    assert_eq!(blob_files(&data_dir), all);
    assert_eq!(doctor(&data_dir, &[]).0, Some(0));
    let server = site.serve();
    for (index, guid) in guids.iter().enumerate() {
        assert_eq!(server.document(guid), Some(index.to_string().into_bytes()));
    }
}

#[test]
fn files_that_are_older_than_the_database_are_left_alone_unless_told() {
    let site = Site::new();
    let (data_dir, aside) = (site.data_dir(), site.folder().join("aside"));
    let server = site.serve();
    upload(&server, 0..3);
    assert_eq!(server.stop(), Some(0));
    let all = blob_files(&data_dir);
    // The database is lost, another one is made elsewhere, and the files come back to it.
    fs::remove_file(data_dir.join("atropos.db")).expect("it was there");
    fs::rename(data_dir.join("blobs"), &aside).expect("put aside");
    verb(&data_dir, &["tenant", "list"]);
    fs::remove_dir_all(data_dir.join("blobs")).expect("an empty volume");
    fs::rename(&aside, data_dir.join("blobs")).expect("put back");
    verb(&data_dir, &["volume", "adopt"]);
    let (exit, report, said) = doctor(&data_dir, &["--repair", "--many-orphans"]);
    assert_eq!((exit, &report["quarantined"]), (Some(4), &json!(0)));
    assert_eq!(report["doubts"], json!(["younger-database"]));
    assert!(said.contains("--younger-database"), "{said}");
    assert_eq!(blob_files(&data_dir), all, "good files went");
    let (exit, report, _) = doctor(&data_dir, &["--repair", "--younger-database"]);
    assert_eq!((exit, &report["quarantined"]), (Some(0), &json!(3)));
}

/// Sets when a file in quarantine came.
fn came(data_dir: &Path, key: &str, at: SystemTime) {
    let file = File::options()
        .write(true)
        .open(quarantine(data_dir).join(key));
    file.expect("a file").set_modified(at).expect("a time");
}

fn stray(data_dir: &Path) {
    let path = blob_path(data_dir, STRAY);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, "of nobody").expect("a file");
}

#[test]
fn what_is_in_quarantine_is_erased_after_its_period_by_the_server_and_by_the_doctor() {
    let day = Duration::from_secs(24 * 60 * 60);
    let site = Site::new();
    let data_dir = site.data_dir();
    let in_quarantine = || files(&quarantine(&data_dir)).len();
    stray(&data_dir);
    let (exit, report, _) = doctor(&data_dir, &["--repair"]);
    assert_eq!((exit, &report["quarantined"]), (Some(0), &json!(1)));
    let listed = verb(&data_dir, &["quarantine", "list"]);
    let since = listed[0]["sinceMs"].as_u64().expect("a time");
    assert_eq!(listed[0]["key"], STRAY);
    assert_eq!(
        listed[0]["erasedAtMs"].as_u64(),
        Some(since + 604_800_000),
        "a week"
    );

    came(&data_dir, STRAY, SystemTime::now() - 6 * day);
    assert_eq!(doctor(&data_dir, &["--repair"]).1["inQuarantine"], 1);
    // The clock was ahead when it came: it stays no longer than its period from now on.
    came(&data_dir, STRAY, SystemTime::now() + 300 * day);
    assert_eq!(doctor(&data_dir, &["--repair"]).1["inQuarantine"], 1);
    let since = verb(&data_dir, &["quarantine", "list"])[0]["sinceMs"].as_u64();
    let latest = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    assert!(u128::from(since.expect("a time")) <= latest.expect("a time").as_millis());
    came(&data_dir, STRAY, SystemTime::now() - 8 * day);
    assert_eq!(
        doctor(&data_dir, &[]).1["inQuarantine"],
        1,
        "looking changes nothing"
    );
    assert_eq!(doctor(&data_dir, &["--repair"]).1["expired"], 1);
    assert_eq!(in_quarantine(), 0);

    stray(&data_dir);
    doctor(&data_dir, &["--repair"]);
    let server = site.serve_with("[erase]\nquarantine-ms = 1000");
    wait_until("the server erases it", || in_quarantine() == 0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_object_whose_file_is_in_quarantine_is_neither_forgotten_nor_erased_without_it() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(&server, 0..3);
    let place = blob_of(&data_dir, &guids[0]);
    let key = keys(&data_dir, "blobs").into_iter();
    let key = key
        .filter(|key| blob_path(&data_dir, key) == place)
        .collect::<String>();
    fs::create_dir(quarantine(&data_dir)).expect("a folder");
    fs::rename(&place, quarantine(&data_dir).join(&key)).expect("moved");
    let (exit, report, _) = doctor(&data_dir, &["--repair", "--forget-lost"]);
    assert_eq!((exit, &report["forgotten"]), (Some(4), &json!(0)));
    assert_eq!(server.document(&guids[0]), None, "it is served to nobody");
    assert_eq!(server.delete_document(&guids[0]).0, 200);
    assert!(
        files(&quarantine(&data_dir)).is_empty(),
        "its bytes are still there"
    );
    let activity = verb(&data_dir, &["activity", "--tenant", TENANT, "--user", "6"]);
    assert_eq!(activity[0]["bytesAbsent"], 0, "{activity}");
}
