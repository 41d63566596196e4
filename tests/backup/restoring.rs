//! Backups put back: verified first, whole or not at all, and with what was erased since only if that was
//! agreed to.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{assert_whole, backup, doctor, manifest, refusal, restore, text, upload};
use crate::support::random::Random;
use crate::support::site::{Site, blob_files};
use crate::support::{PATIENCE, Starting, atropos, files, run};

/// A site with some documents, its backup, and the folder where it is.
fn backed_up(documents: usize) -> (Site, PathBuf) {
    let site = Site::new();
    let server = site.serve();
    let names: Vec<String> = (0..documents)
        .map(|number| format!("document-{number}"))
        .collect();
    upload(
        &server,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(server.stop(), Some(0));
    let to = site.folder().join("backup");
    backup(&site.data_dir(), &to);
    (site, to)
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let to = to.join(file.strip_prefix(from).expect("beneath"));
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        std::fs::copy(file, to).expect("a copy");
    }
}

/// Changes one byte in the middle of a file.
fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("a file");
}

fn cut(file: &Path) {
    let bytes = std::fs::read(file).expect("a file");
    std::fs::write(file, &bytes[..bytes.len() / 2]).expect("a file");
}

fn edit(backup: &Path, change: fn(&mut Value)) {
    let mut manifest = manifest(backup);
    change(&mut manifest);
    std::fs::write(backup.join("manifest.json"), manifest.to_string()).expect("a file");
}

fn some_blob(backup: &Path) -> PathBuf {
    files(&backup.join("blobs"))
        .into_iter()
        .min()
        .expect("a blob")
}

#[test]
fn a_damaged_backup_is_refused_by_what_is_wrong_and_nothing_is_put_anywhere() {
    let (site, good) = backed_up(3);
    let blob = some_blob(&good);
    let blob = text(blob.strip_prefix(&good).expect("beneath"));
    let cases: [(&str, fn(&Path), &str, &str); 13] = [
        (
            "a byte of a blob",
            |backup| flip(&some_blob(backup)),
            "backup-damaged",
            blob,
        ),
        (
            "a blob is short",
            |backup| cut(&some_blob(backup)),
            "backup-damaged",
            blob,
        ),
        (
            "a blob is missing",
            |backup| std::fs::remove_file(some_blob(backup)).expect("it was there"),
            "backup-damaged",
            blob,
        ),
        (
            "a byte of the rows",
            |backup| flip(&backup.join("atropos.db")),
            "backup-damaged",
            "atropos.db",
        ),
        (
            "the rows are missing",
            |backup| std::fs::remove_file(backup.join("atropos.db")).expect("it was there"),
            "backup-damaged",
            "atropos.db is missing",
        ),
        (
            "a byte of the list",
            |backup| flip(&backup.join("blobs.jsonl")),
            "backup-damaged",
            "blobs.jsonl",
        ),
        (
            "all bytes are missing",
            |backup| std::fs::remove_dir_all(backup.join("blobs")).expect("it was there"),
            "backup-damaged",
            "blobs is missing",
        ),
        (
            "the manifest is short",
            |backup| cut(&backup.join("manifest.json")),
            "backup-damaged",
            "manifest",
        ),
        (
            "the manifest says another time",
            |backup| {
                edit(backup, |manifest| {
                    manifest["backup"]["asOfMs"] = (1u64 << 41).into()
                })
            },
            "backup-damaged",
            "manifest.json",
        ),
        (
            "the manifest is missing",
            |backup| std::fs::remove_file(backup.join("manifest.json")).expect("it was there"),
            "not-found",
            "no backup",
        ),
        (
            "it is unfinished",
            |backup| edit(backup, |manifest| manifest["finished"] = false.into()),
            "backup-unfinished",
            "unfinished",
        ),
        (
            "its format is newer",
            |backup| edit(backup, |manifest| manifest["format"] = 2.into()),
            "backup-newer",
            "format 2",
        ),
        (
            "a later byte of a blob, in a list that fits it",
            |backup| {
                let (from, to) = (backup.join("blobs.jsonl"), backup.join("other"));
                let list = std::fs::read_to_string(&from).expect("a list");
                let lines: String = list
                    .lines()
                    .skip(1)
                    .map(|line| format!("{line}\n"))
                    .collect();
                std::fs::write(&to, lines).expect("a file");
                std::fs::rename(to, from).expect("a file");
            },
            "backup-damaged",
            "blobs.jsonl",
        ),
    ];
    for (name, damage, code, named) in cases {
        let bad = site.folder().join("bad");
        copy(&good, &bad);
        damage(&bad);
        let new = site.folder().join("new");
        let args = [
            "restore",
            text(&bad),
            "--accept-erased-since",
            "3d",
            "--json",
        ];
        let output = run(&new, &args);
        let (exit, found, message) = refusal(&output);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((exit, &*found), (Some(1), code), "{name}: {message}");
        assert!(said.contains(named), "{name}: {said}");
        let put: Vec<_> = files(&new);
        assert!(
            put.iter().all(|file| file.ends_with("server.lock")),
            "{name}: {put:?}"
        );
        std::fs::remove_dir_all(&bad).expect("it was there");
    }
    let new = site.folder().join("new");
    restore(&good, &new);
    assert_eq!(assert_whole(&new), 3);
}

#[test]
fn what_was_erased_since_comes_back_only_if_that_is_agreed_to() {
    let (site, to) = backed_up(1);
    let server = site.serve();
    let [guid] = &server.documents()[..] else {
        panic!("one document");
    };
    assert_eq!(server.delete_document(guid).0, 200);
    let new = site.folder().join("new");
    // Older than a second by now.
    std::thread::sleep(Duration::from_millis(1100));
    for agreed in [&[][..], &["--accept-erased-since", "1s"]] {
        let args = [&["restore", text(&to), "--json"], agreed].concat();
        let (exit, code, message) = refusal(&run(&new, &args));
        assert_eq!((exit, &*code), (Some(1), "erased-since"), "{message}");
        let as_of = manifest(&to)["backup"]["asOfMs"].as_i64().expect("a time");
        let as_of = jiff::Timestamp::from_millisecond(as_of).expect("a time");
        for told in [
            &*format!("{as_of:.0}"),
            "comes back",
            "--accept-erased-since",
        ] {
            assert!(message.contains(told), "{message}");
        }
        assert!(!new.exists(), "nothing was made");
    }
    assert_eq!(restore(&to, &new)["objects"], 1, "it is back");
}

#[test]
fn a_backup_is_no_data_directory_and_is_not_put_into_itself() {
    let (site, to) = backed_up(1);
    let before = files(&to);
    let (exit, code, message) = refusal(&run(&to, &["tenant", "list", "--json"]));
    assert_eq!((exit, &*code), (Some(3), "is-backup"));
    assert!(message.contains("atropos restore"), "{message}");
    let accepting = ["--accept-erased-since", "3d", "--set-aside", "--json"];
    for data_dir in [&*to, site.folder()] {
        let args = [&["restore", text(&to)], &accepting[..]].concat();
        let (exit, _, message) = refusal(&run(data_dir, &args));
        assert_eq!(exit, Some(1));
        assert!(
            message.contains("in the data directory itself"),
            "{message}"
        );
        std::fs::remove_file(data_dir.join("server.lock")).expect("a lock");
    }
    assert_eq!(files(&to), before);
}

#[test]
fn a_directory_that_is_not_empty_is_refused_or_set_aside_and_nothing_is_lost() {
    let (site, to) = backed_up(2);
    let data_dir = site.data_dir();
    let accepting = [
        "restore",
        text(&to),
        "--accept-erased-since",
        "3d",
        "--json",
    ];
    let aside = [&accepting[..], &["--set-aside"]].concat();
    let server = site.serve();
    for args in [&accepting[..], &aside] {
        let (exit, code, message) = refusal(&run(&data_dir, args));
        assert_eq!((exit, &*code), (Some(3), "server-running"), "{message}");
    }
    upload(&server, &["later"]);
    server.kill();
    let (log, old) = (data_dir.join("atropos.db-wal"), blob_files(&data_dir));
    // A log that is left is no better than a database.
    std::fs::write(&log, b"an old log").expect("a file");
    let (exit, code, message) = refusal(&run(&data_dir, &accepting));
    assert_eq!((exit, &*code), (Some(1), "not-empty"));
    assert!(
        message.contains("`atropos.db`") && message.contains("--set-aside"),
        "{message}"
    );
    std::fs::rename(data_dir.join("blobs"), site.folder().join("elsewhere")).expect("moved");
    for name in ["atropos.db", "atropos.db-run", "atropos.db-shm"] {
        let _ = std::fs::rename(data_dir.join(name), site.folder().join(name));
    }
    let (exit, _, message) = refusal(&run(&data_dir, &accepting));
    assert_eq!(exit, Some(1));
    assert!(message.contains("`atropos.db-wal`"), "{message}");
    std::fs::rename(site.folder().join("elsewhere"), data_dir.join("blobs")).expect("moved");

    let output = run(&data_dir, &aside);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let restored: Value = serde_json::from_slice(&output.stdout).expect("an answer");
    let aside = data_dir.join(restored["setAside"].as_str().expect("a folder"));
    assert_eq!(blob_files(&aside), old);
    assert_eq!(
        std::fs::read(aside.join("atropos.db-wal")).expect("a log"),
        b"an old log"
    );
    assert_eq!(assert_whole(&data_dir), 2);
    assert_eq!(site.serve().documents().len(), 2);
}

#[test]
fn a_restore_that_is_killed_at_any_moment_leaves_nothing_usable_or_the_whole() {
    const DOCUMENTS: usize = 150;
    let (site, to) = backed_up(DOCUMENTS);
    let other = site.folder().join("other backup");
    backup(&site.data_dir(), &other);
    let mut random = Random::from_environment("a restore that is killed");
    let (mut unfinished, started) = (0, Instant::now());
    for round in 0.. {
        if unfinished >= 5 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "no kill came amid a restore");
        let new = site.folder().join(format!("new-{round}"));
        std::fs::create_dir(&new).expect("a folder");
        // As an old database that is moved aside.
        std::fs::write(new.join("atropos.db"), b"old").expect("a file");
        let mut command = atropos(&new);
        command.args([
            "restore",
            text(&to),
            "--accept-erased-since",
            "3d",
            "--set-aside",
        ]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut restoring = command.spawn().expect("the binary starts");
        let enough = random.below(DOCUMENTS as u64 + 20) as usize;
        loop {
            let begun = new.join("server.lock").exists() && blob_files(&new).len() >= enough;
            if begun || restoring.try_wait().expect("a process").is_some() {
                break;
            }
        }
        let _ = restoring.kill();
        restoring.wait().expect("it ended");
        if new.join("restore-unfinished.json").exists() {
            unfinished += 1;
            for verb in [&["doctor", "--json"][..], &["tenant", "list", "--json"]] {
                let (exit, code, message) = refusal(&run(&new, verb));
                assert_eq!((exit, &*code), (Some(3), "unfinished-restore"));
                assert!(message.contains("not finished"), "{message}");
            }
            let log = Starting::new(&new, &[], &[])
                .ready()
                .map(drop)
                .expect_err("no server");
            assert!(log.contains("not finished"), "{log}");
            let accepting = ["--accept-erased-since", "3d", "--json"];
            let args = [&["restore", text(&other)], &accepting[..]].concat();
            let (exit, _, message) = refusal(&run(&new, &args));
            assert_eq!(exit, Some(1));
            assert!(message.contains("another backup"), "{message}");
            let restored = restore(&to, &new);
            assert_eq!(restored["resumed"], true);
        } else if doctor(&new).0 != Some(0) {
            // Before it was marked, nothing of the old was touched.
            assert_eq!(
                std::fs::read(new.join("atropos.db")).expect("a file"),
                b"old"
            );
            continue;
        }
        assert_eq!(assert_whole(&new), DOCUMENTS);
        let aside = std::fs::read_dir(&new).expect("a folder").flatten();
        let aside: Vec<_> = aside
            .filter(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("set-aside-")
            })
            .collect();
        let [aside] = &aside[..] else {
            panic!("one folder: {aside:?}");
        };
        assert_eq!(
            std::fs::read(aside.path().join("atropos.db")).expect("a file"),
            b"old"
        );
        std::fs::remove_dir_all(&new).expect("it was there");
    }
}
