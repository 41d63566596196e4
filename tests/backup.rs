//! Backups: whole, verified, and free of what was erased.

// How much a backup takes, and what it costs those who delete meanwhile.
mod cost;
// A database that was put beside the log of another one.
mod logs;
// Backups put back, refused, and cut short.
mod restoring;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::fs::OFlags;
use serde_json::{Value, json};

use crate::support::site::{Site, blob_files, blob_of, database, keys, wait_until};
use crate::support::{Server, atropos, eventually, failure, files, holds, run, verb};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn backup(data_dir: &Path, to: &Path) -> Value {
    verb(data_dir, &["backup", text(to)])
}

/// Restores with what was erased in the last three days.
fn restore(from: &Path, data_dir: &Path) -> Value {
    verb(
        data_dir,
        &["restore", text(from), "--accept-erased-since", "3d"],
    )
}

/// How a verb failed: exit code, code and message.
fn refusal(output: &Output) -> (Option<i32>, String, String) {
    let failure = failure(output);
    let word = |name: &str| failure["error"][name].as_str().expect("a word").to_owned();
    (output.status.code(), word("code"), word("message"))
}

fn manifest(backup: &Path) -> Value {
    let text = std::fs::read(backup.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

/// The keys that a backup lists as erased while it was made.
fn erased_meanwhile(backup: &Path) -> BTreeSet<String> {
    let manifest = manifest(backup);
    let erased = manifest["backup"]["leftOut"]["erasedMeanwhile"].as_array();
    let key = |key: &Value| key.as_str().expect("a key").to_owned();
    erased.expect("an array").iter().map(key).collect()
}

/// Documents whose content is their name.
fn upload(server: &Server, names: &[&str]) -> Vec<String> {
    let upload = |name: &&str| server.upload_document(name, name.as_bytes());
    names.iter().map(upload).collect()
}

/// The key of a document's one blob.
fn key_of(data_dir: &Path, guid: &str) -> String {
    let file = blob_of(data_dir, guid);
    let path = file.strip_prefix(data_dir.join("blobs")).expect("beneath");
    text(path).replace('/', "")
}

/// What the doctor finds wrong, by its exit code and its report.
fn doctor(data_dir: &Path) -> (Option<i32>, Value) {
    let output = run(data_dir, &["doctor", "--json"]);
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or(Value::Null))
}

/// Holds that every row has its bytes, which are what its name says, and that the doctor finds nothing.
fn assert_whole(data_dir: &Path) -> usize {
    let (exit, report) = doctor(data_dir);
    assert_eq!(exit, Some(0), "{report}");
    let rows = database(data_dir);
    let query = "SELECT public_id, objects.name FROM objects";
    let mut query = rows.prepare(query).expect("a table");
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let objects = query.query_map([], read).expect("rows");
    let objects: Vec<(String, String)> = objects.collect::<Result<_, _>>().expect("names");
    for (id, name) in &objects {
        let bytes = std::fs::read(blob_of(data_dir, id)).expect("bytes");
        assert_eq!(bytes, name.as_bytes());
    }
    assert_eq!(blob_files(data_dir), keys(data_dir, "blobs"));
    objects.len()
}

/// The file of a blob, replaced by a pipe: who reads it waits until the test gives it its bytes.
struct Gate {
    file: PathBuf,
    bytes: Vec<u8>,
    pipe: Option<File>,
}

impl Gate {
    fn close(file: PathBuf) -> Self {
        let bytes = std::fs::read(&file).expect("bytes");
        std::fs::remove_file(&file).expect("it was there");
        let made = std::process::Command::new("mkfifo").arg(&file).status();
        assert!(made.expect("mkfifo runs").success());
        Self {
            file,
            bytes,
            pipe: None,
        }
    }

    /// Returns once somebody waits.
    fn reached(&mut self) {
        let mut write = OpenOptions::new();
        // A pipe that nobody reads cannot be opened so.
        write
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        self.pipe = Some(eventually("somebody waits", || write.open(&self.file).ok()));
    }

    /// Lets the one who waits go on.
    fn open(mut self) {
        if self.pipe.is_none() {
            self.reached();
        }
        let mut pipe = self.pipe.take().expect("a pipe");
        pipe.write_all(&self.bytes).expect("somebody reads");
        drop(pipe);
        self.remove();
    }

    /// Puts the bytes back in their place.
    fn remove(self) {
        std::fs::remove_file(&self.file).expect("the pipe");
        std::fs::write(&self.file, &self.bytes).expect("a file");
    }
}

/// A backup that is being made.
fn begin_backup(data_dir: &Path, to: &Path) -> Child {
    let mut command = atropos(data_dir);
    command.args(["backup", text(to), "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

#[test]
fn a_backup_of_a_server_under_load_is_whole_and_holds_nothing_erased_before_it() {
    let site = Site::new();
    let server = site.serve();
    let kept: Vec<String> = (0..40).map(|number| format!("kept-{number}")).collect();
    upload(
        &server,
        &kept.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let gone: Vec<String> = (0..10)
        .map(|number| format!("gone-for-good-{number}"))
        .collect();
    for guid in upload(
        &server,
        &gone.iter().map(String::as_str).collect::<Vec<_>>(),
    ) {
        assert_eq!(server.delete_document(&guid).0, 200);
    }
    let (done, number) = (AtomicBool::new(false), Mutex::new(0));
    let to = site.folder().join("backup");
    let made = std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let name = {
                        let mut number = number.lock();
                        *number += 1;
                        format!("busy-{}", *number)
                    };
                    let guid = server.upload_document(&name, name.as_bytes());
                    assert_eq!(server.delete_document(&guid).0, 200);
                }
            });
        }
        wait_until("they are at it", || *number.lock() > 10);
        let made = backup(&site.data_dir(), &to);
        done.store(true, Ordering::SeqCst);
        made
    });
    assert_eq!(made["missing"], 0);
    for name in &gone {
        assert_eq!(holds(&to, name.as_bytes()), None, "{name} is in the backup");
    }
    for file in files(&to) {
        let about = std::fs::symlink_metadata(&file).expect("a file");
        assert!(about.is_file(), "{}", file.display());
        assert_eq!(
            (about.nlink(), about.mode() & 0o777),
            (1, 0o600),
            "{}",
            file.display()
        );
        let folder = std::fs::metadata(file.parent().expect("a folder")).expect("a folder");
        assert_eq!(folder.mode() & 0o777, 0o700);
    }
    let erased = erased_meanwhile(&to);
    assert_eq!(
        erased.len() as u64,
        made["erasedMeanwhile"].as_u64().expect("a count")
    );
    assert!(
        erased.is_disjoint(&blob_files(&to)),
        "erased, and in the backup"
    );

    let new = site.folder().join("new");
    let restored = restore(&to, &new);
    assert_eq!(restored["objects"], made["objects"]);
    assert!(assert_whole(&new) >= kept.len());
    assert!(keys(&new, "blobs").is_disjoint(&erased));
    assert_eq!(keys(&new, "shreds").len(), 0, "nothing is doomed");
    let names: BTreeSet<String> = files(&new.join("blobs"))
        .into_iter()
        .map(|file| std::fs::read_to_string(file).expect("a name"))
        .collect();
    assert!(kept.iter().all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn what_is_erased_while_a_backup_is_made_is_listed_and_not_in_it() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(
        &server,
        &["quagga one", "quagga two", "quagga three", "quagga four"],
    );
    let mut by_key: BTreeMap<String, String> = guids
        .iter()
        .map(|guid| (key_of(&data_dir, guid), guid.clone()))
        .collect();
    // Copied last, so that all others are in the backup when it waits here.
    let (last_key, last) = by_key.pop_last().expect("four");
    let (first_key, first) = by_key.pop_first().expect("three");
    let (then_key, then) = by_key.pop_first().expect("two");
    let name = |guid: &str| std::fs::read(blob_of(&data_dir, guid)).expect("bytes");
    let (first_name, then_name) = (name(&first), name(&then));
    let mut gate = Gate::close(blob_of(&data_dir, &last));
    let to = site.folder().join("backup");
    let making = begin_backup(&data_dir, &to);
    gate.reached();
    assert_eq!(blob_files(&to).len(), 3);
    // After its bytes, before the moment of the rows.
    assert_eq!(server.delete_document(&first).0, 200);
    // Of keys that the first pass is beyond, so that the second one comes to it.
    let late = eventually("a lower key", || {
        let late = server.upload_document("late", b"late");
        (key_of(&data_dir, &late) < last_key).then_some(late)
    });
    let mut second_gate = Gate::close(blob_of(&data_dir, &late));
    gate.open();
    second_gate.reached();
    // After the moment of the rows.
    assert_eq!(server.delete_document(&then).0, 200);
    second_gate.open();
    let output = making.wait_with_output().expect("it ended");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let erased = BTreeSet::from([first_key, then_key]);
    assert_eq!(erased_meanwhile(&to), erased);
    for name in [first_name, then_name] {
        assert_eq!(
            holds(&to, &name),
            None,
            "{}",
            String::from_utf8_lossy(&name)
        );
    }
    let new = site.folder().join("new");
    restore(&to, &new);
    assert!(assert_whole(&new) >= 3);
    assert_eq!(keys(&new, "blobs"), keys(&data_dir, "blobs"));
}

#[test]
fn an_upload_under_way_is_not_in_a_backup_and_a_doomed_one_does_not_come_back() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    upload(&server, &["whole"]);
    let half = vec![b'h'; 1 << 20];
    let (request, end) = server.raw_upload("half", 2 << 20);
    let mut connection = server.dial();
    connection.begin(&request);
    connection.send(&request.body);
    connection.send(&half);
    wait_until("the upload has a file", || blob_files(&data_dir).len() == 2);
    let resists = server.upload_document("resists", b"resists");
    let file = blob_of(&data_dir, &resists);
    std::fs::remove_file(&file).expect("it was there");
    std::fs::create_dir(&file).expect("a folder");
    assert_eq!(server.delete_document(&resists).0, 503);
    let to = site.folder().join("backup");
    assert_eq!(backup(&data_dir, &to)["files"], 1);
    let new = site.folder().join("new");
    restore(&to, &new);
    assert_eq!(assert_whole(&new), 1);
    assert_eq!(keys(&new, "shreds").len(), 0);
    connection.send(&half);
    connection.send(end);
    assert_eq!(connection.answer().0, Some(200));
}

#[test]
fn bytes_that_are_missing_are_told_of_and_the_rest_is_backed_up() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(&server, &["there", "lost", "short"]);
    let [lost, short] = [&guids[1], &guids[2]].map(|guid| key_of(&data_dir, guid));
    std::fs::remove_file(blob_of(&data_dir, &guids[1])).expect("it was there");
    std::fs::write(blob_of(&data_dir, &guids[2]), b"sh").expect("a file");
    assert_eq!(server.stop(), Some(0));
    let to = site.folder().join("backup");
    let output = run(&data_dir, &["backup", text(&to), "--json"]);
    assert_eq!(output.status.code(), Some(4));
    let made: Value = serde_json::from_slice(&output.stdout).expect("an answer");
    assert_eq!((&made["files"], &made["missing"]), (&json!(1), &json!(2)));
    let missing = &manifest(&to)["backup"]["leftOut"]["missing"];
    let missing: BTreeSet<String> = serde_json::from_value(missing.clone()).expect("keys");
    assert_eq!(missing, BTreeSet::from([lost, short]));
    let new = site.folder().join("new");
    assert_eq!(restore(&to, &new)["missing"], 2);
    let (exit, report) = doctor(&new);
    assert_eq!((exit, &report["lost"]["count"]), (Some(4), &json!(2)));
}

#[test]
fn a_backup_goes_to_an_empty_folder_and_one_that_is_cut_short_is_good_for_nothing() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guids = upload(&server, &["a", "b"]);
    let to = site.folder().join("backup");
    let last = guids.iter().max_by_key(|guid| key_of(&data_dir, guid));
    let gate = Gate::close(blob_of(&data_dir, last.expect("two")));
    let mut making = begin_backup(&data_dir, &to);
    wait_until("one is copied", || !blob_files(&to).is_empty());
    making.kill().expect("it was running");
    making.wait().expect("it ended");
    gate.remove();

    let new = site.folder().join("new");
    let accepting = [
        "restore",
        text(&to),
        "--accept-erased-since",
        "3d",
        "--json",
    ];
    let (exit, code, _) = refusal(&run(&new, &accepting));
    assert_eq!((exit, &*code), (Some(1), "backup-unfinished"));
    assert!(!new.exists(), "nothing was made");
    let again = ["backup", text(&to), "--json"];
    let (exit, code, message) = refusal(&run(&data_dir, &again));
    assert_eq!((exit, &*code), (Some(1), "not-empty"));
    assert!(message.contains(text(&to)), "{message}");
    let nowhere = site.folder().join("nowhere");
    for made in [false, true] {
        let (exit, code, _) = refusal(&run(&nowhere, &["backup", text(&new), "--json"]));
        assert_eq!(
            (exit, &*code),
            (Some(1), "not-found"),
            "a directory: {made}"
        );
        std::fs::create_dir_all(&nowhere).expect("a folder");
    }
    assert_eq!(files(&nowhere).len(), 0, "no database was made");
    std::fs::create_dir(&new).expect("a folder");
    assert_eq!(
        backup(&data_dir, &new)["files"],
        2,
        "an empty folder will do"
    );
}

#[test]
fn rows_that_take_too_long_to_copy_are_let_go() {
    let site = Site::new();
    let data_dir = site.data_dir();
    // More than one look at the time, whatever the disk does.
    let fill = "
        CREATE TABLE filling (bytes BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
        INSERT INTO filling SELECT zeroblob(1048576) FROM n;";
    database(&data_dir).execute_batch(fill).expect("rows");
    let to = site.folder().join("backup");
    let args = ["backup", text(&to), "--longest-snapshot", "1ms", "--json"];
    let (exit, code, message) = refusal(&run(&data_dir, &args));
    assert_eq!((exit, &*code), (Some(3), "too-slow"), "{message}");
    assert!(
        message.contains("1 ms") && message.contains("--longest-snapshot"),
        "{message}"
    );
    let log = data_dir.join("atropos.db-wal");
    assert_eq!(
        std::fs::metadata(log).map_or(0, |log| log.len()),
        0,
        "no log is kept"
    );
    File::open(to.join("manifest.json")).expect("an unfinished backup");
}
