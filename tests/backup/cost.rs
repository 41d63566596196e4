//! How much a backup takes, and what it costs those who delete meanwhile, measured.
//!
//! `cargo test --release -p atropos-server --test atropos backup::cost -- --ignored --nocapture`; with `ATROPOS_OBJECTS`
//! of another number of documents, `ATROPOS_OBJECT_BYTES` of another size, and `ATROPOS_EXE` of another build.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{backup, doctor, restore};
use crate::support::site::Site;
use crate::support::{Server, at_once, files};

/// How long deletes are looked at where nothing else goes on.
const CALM: Duration = Duration::from_secs(10);

/// How often one of the clients deletes.
const PACE: Duration = Duration::from_millis(10);

/// How many clients upload and delete.
const CLIENTS: usize = 4;

fn number(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.map_or(default, |set| set.parse().expect("a number"))
}

/// Uploads and deletes until `done`, and returns how long each delete took.
fn load(server: &Server, bytes: &[u8], done: &AtomicBool) -> Vec<Duration> {
    let mut took = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let guid = server.upload_document("busy.bin", bytes);
        let begun = Instant::now();
        assert_eq!(server.delete_document(&guid).0, 200);
        took.push(begun.elapsed());
        std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
    }
    took
}

/// What every delete took while `meanwhile` went on, and how long that was.
fn beside(server: &Server, bytes: &[u8], meanwhile: impl FnOnce()) -> (Vec<Duration>, Duration) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| load(server, bytes, &done)))
            .collect();
        let begun = Instant::now();
        meanwhile();
        let lasted = begun.elapsed();
        done.store(true, Ordering::Relaxed);
        let took = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"));
        (took.collect(), lasted)
    })
}

fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort();
    took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

fn size(folder: &Path) -> f64 {
    let sizes = files(folder)
        .into_iter()
        .filter_map(|file| file.metadata().ok());
    sizes.map(|file| file.len()).sum::<u64>() as f64 / f64::from(1 << 20)
}

#[test]
#[ignore = "a measurement: minutes, on a quiet machine, in release"]
fn what_a_backup_takes_and_what_it_costs_those_who_delete_meanwhile() {
    let (objects, bytes) = (
        number("ATROPOS_OBJECTS", 5000),
        number("ATROPOS_OBJECT_BYTES", 65_536),
    );
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let content = vec![b'x'; bytes];
    let numbers: Vec<usize> = (0..objects).collect();
    at_once(CLIENTS, &numbers, |_| {
        server.upload_document("kept.bin", &content)
    });

    let (mut calm, _) = beside(&server, &content, || std::thread::sleep(CALM));
    let to = site.folder().join("backup");
    let (log, longest) = (data_dir.join("atropos.db-wal"), AtomicU64::new(0));
    let (mut during, lasted) = beside(&server, &content, || {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let now = std::fs::metadata(&log).map_or(0, |log| log.len());
                    longest.fetch_max(now, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let made = backup(&data_dir, &to);
            done.store(true, Ordering::Relaxed);
            println!("{made:#}");
        });
    });
    let new = site.folder().join("new");
    let begun = Instant::now();
    restore(&to, &new);
    let restored = begun.elapsed();
    assert_eq!(doctor(&new).0, Some(0), "the doctor finds something");

    println!("| what | figure |\n|---|--:|");
    let log = longest.into_inner() as f64 / f64::from(1 << 20);
    for (what, figure) in [
        (
            "documents".to_owned(),
            format!("{objects} of {bytes} bytes"),
        ),
        (
            "data directory".to_owned(),
            format!("{:.1} MiB", size(&data_dir)),
        ),
        ("backup".to_owned(), format!("{:.1} MiB", size(&to))),
        (
            "time of the backup".to_owned(),
            format!("{:.2} s", lasted.as_secs_f64()),
        ),
        (
            "time of the restore".to_owned(),
            format!("{:.2} s", restored.as_secs_f64()),
        ),
        (
            "longest write-ahead log meanwhile".to_owned(),
            format!("{log:.1} MiB"),
        ),
    ] {
        println!("| {what} | {figure} |");
    }
    for (when, took) in [("calm", &mut calm), ("during the backup", &mut during)] {
        let (p50, p99) = (percentile(took, 50), percentile(took, 99));
        println!(
            "| {} deletes, {when}: p50, p99 | {p50:.1} ms, {p99:.1} ms |",
            took.len()
        );
    }
}
