//! Ready means that a delete would be served: whatever a delete needs is taken away in turn, the server says
//! what is missing, and is ready again without a restart once it is back.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use atropos_test_guests as guests;
use serde_json::Value;

use crate::support::machine::{Immutable, Volume};
use crate::support::site::{Site, database, wait_until};
use crate::support::{Server, answer, at_once, run, verb};

/// What is done to give something back.
type Mend = Box<dyn FnOnce()>;

/// A server over a site, from which something can be taken away.
struct Ground {
    // Dropped in this order.
    server: Server,
    volume: Option<Volume>,
    site: Site,
    guid: String,
}

impl Ground {
    fn start() -> Self {
        let site = Site::new();
        Self::over(site, None)
    }

    fn over(site: Site, volume: Option<Volume>) -> Self {
        let server = site.serve();
        Self {
            guid: server.upload_document("d", b"bytes"),
            server,
            volume,
            site,
        }
    }

    fn ready(&self) -> (u16, String) {
        let (status, body) = answer(self.server.get("/readyz"));
        (
            status,
            body["reason"].as_str().unwrap_or_default().to_owned(),
        )
    }

    fn delete(&self) -> (u16, String) {
        let (status, body) = self.server.delete_document(&self.guid);
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    /// While something is missing, and once it is back.
    fn check(self, what: &str, part: &str, code: &str, mend: Mend) {
        let said = |(status, reason): &(u16, String)| {
            *status == 503 && reason.starts_with(&format!("{part}: "))
        };
        wait_until(what, || said(&self.ready()));
        assert!(!self.ready().1.contains("; "), "{what}: {:?}", self.ready());
        assert_eq!(
            self.server.get("/healthz").status(),
            200,
            "{what}: it lives"
        );
        let status = verb(&self.site.data_dir(), &["status"]);
        let live = &status["server"];
        assert_eq!(live["ready"], false, "{what}: {status}");
        assert_eq!(live["missing"][0]["part"], part, "{what}: {status}");
        let text = run(&self.site.data_dir(), &["status"]);
        let text = String::from_utf8(text.stdout).expect("text");
        assert!(text.contains(&format!("{part}: ")), "{what}: {text}");
        assert_eq!(self.delete(), (503, code.to_owned()), "{what}");

        mend();
        wait_until(what, || self.ready() == (200, String::new()));
        let status = verb(&self.site.data_dir(), &["status"]);
        assert_eq!(status["server"]["ready"], true, "{what}: {status}");
        wait_until("the delete is done", || {
            matches!(self.delete().0, 200 | 404)
        });
        assert_eq!(self.server.deletions().get(&self.guid), Some(&1), "{what}");
    }
}

#[test]
fn without_the_files_of_the_database_the_status_still_tells_what_is_missing() {
    let ground = Ground::start();
    let aside = ground.site.folder().join("aside");
    fs::create_dir(&aside).expect("a folder");
    let files = ["atropos.db", "atropos.db-wal", "atropos.db-shm"];
    let moved = files.map(|name| (ground.site.data_dir().join(name), aside.join(name)));
    for (file, aside) in &moved {
        fs::rename(file, aside).expect("put aside");
    }
    let back = move || {
        for (file, aside) in moved {
            fs::rename(aside, file).expect("put back");
        }
    };
    ground.check("no database", "database", "wrong-database", Box::new(back));
}

#[test]
fn without_the_volume_of_the_bytes_it_is_not_ready() {
    let ground = Ground::start();
    let blobs = ground.site.data_dir().join("blobs");
    let aside = ground.site.folder().join("aside");
    fs::rename(&blobs, &aside).expect("put aside");
    let back = move || fs::rename(aside, blobs).expect("put back");
    ground.check("no volume", "bytes", "wrong-volume", Box::new(back));
}

#[test]
fn while_the_volume_of_the_bytes_is_read_only_it_is_not_ready() {
    let site = Site::new();
    let Some(volume) = Volume::mount(&site.data_dir().join("blobs"), 8) else {
        return;
    };
    let ground = Ground::over(site, None);
    volume.remount("ro");
    let back = move || {
        volume.remount("rw");
        // It stays mounted until the server has ended.
        std::mem::forget(volume);
    };
    let blobs = ground.site.data_dir().join("blobs");
    ground.check("read-only", "bytes", "erasure-pending", Box::new(back));
    let unmounted = std::process::Command::new("umount")
        .arg("-l")
        .arg(blobs)
        .status();
    assert!(unmounted.expect("umount runs").success());
}

#[test]
fn while_the_database_cannot_be_written_it_is_not_ready() {
    let ground = Ground::start();
    let data_dir = ground.site.data_dir();
    let files = ["atropos.db", "atropos.db-wal"].map(|name| data_dir.join(name));
    let Some(immutable) = Immutable::make(&files) else {
        return;
    };
    let back = move || drop(immutable);
    ground.check("immutable", "writer", "unavailable", Box::new(back));
}

#[test]
fn while_another_program_locks_the_database_it_is_not_ready() {
    let ground = Ground::start();
    let other = database(&ground.site.data_dir());
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    let back = move || other.execute_batch("ROLLBACK").expect("let go");
    ground.check("locked", "writer", "unavailable", Box::new(back));
}

#[test]
fn while_the_disk_is_full_it_is_not_ready() {
    let mut site = Site::unmade();
    let data_dir = site.data_dir();
    let Some(volume) = Volume::mount(&data_dir, 12) else {
        return;
    };
    site.make();
    let ground = Ground::over(site, Some(volume));
    let path = ground.volume.as_ref().expect("a volume").fill();
    let kept = ground.server.document(&ground.guid);
    assert_eq!(kept, Some(b"bytes".to_vec()), "reads go on");
    let back = move || fs::remove_file(path).expect("it was there");
    ground.check("full", "writer", "unavailable", Box::new(back));
}

#[test]
fn while_the_plugin_cannot_be_loaded_it_is_not_ready() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let file = site.folder().join("plugin.wasm");
    fs::write(&file, guests::STAGES_TWICE).expect("a file");
    let guid = site.serve().upload_document("d", b"bytes");
    verb(
        &data_dir,
        &["component", "choose", file.to_str().expect("a path")],
    );
    let damage = "UPDATE components SET bytes = x'00'";
    database(&data_dir).execute(damage, []).expect("an update");
    fs::remove_dir_all(data_dir.join("components")).expect("the folder");
    let server = site.serve();
    let ground = Ground {
        server,
        volume: None,
        site,
        guid,
    };
    let back = move || _ = verb(&data_dir, &["component", "choose", "default"]);
    ground.check("no plugin", "plugin", "plugin-unreadable", Box::new(back));
}

/// Anybody may ask, and each write wears the disk.
#[test]
fn however_many_ask_a_row_is_written_once_a_second_at_most() {
    let site = Site::new();
    let server = site.serve();
    let rows = database(&site.data_dir());
    let probed = "SELECT value FROM instance WHERE name = 'probed-at-ms'";
    let probed = || rows.query_row(probed, [], |row| row.get::<_, String>(0));
    let started = Instant::now();
    let mut written = BTreeSet::new();
    for _ in 0..50 {
        for status in at_once(8, &[(); 8], |()| server.get("/readyz").status()) {
            assert_eq!(status, 200);
        }
        written.insert(probed().expect("a row"));
    }
    let most = started.elapsed().as_secs() as usize + 1;
    assert!(written.len() <= most, "{} in {most} s", written.len());
}
