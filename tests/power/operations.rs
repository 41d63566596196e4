//! What is done seldom, and what a loss of power takes of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use atropos::domain::volume::VolumeId;

use super::ground::{GROUND, Ground, Place};
use super::{Loss, compiled};
use crate::support::forgetful::Forgetful;
use crate::support::site::{MARKER, Site, blob_path, keys, quarantine};
use crate::support::{Starting, TENANT, atropos, run};

/// A well-formed key of which no row knows.
const STRAY: &str = "0123456789abcdef0123456789abcdef";

/// What is uploaded.
const CONTENT: &[u8] = b"content";

/// Longer than the period of the quarantine.
const LONG: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Something that is done at once and answered.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// What is durable before.
    pub(super) prepare: fn(&mut Site),
    /// Does it with what tests leave out.
    pub(super) act: fn(&mut Site, &str),
    /// What is found of it once the power was lost. `answered` is false if that was before its end.
    pub(super) look: fn(&Site, bool) -> BTreeSet<Loss>,
}

/// Each of them.
pub(super) const OPERATIONS: [Operation; 7] = [
    NEW_DIRECTORY,
    ADOPTION,
    QUARANTINE,
    RELEASE,
    EXPIRY,
    BACKUP,
    RESTORE,
];

/// A data directory is made, by a server that then takes an upload.
pub(super) const NEW_DIRECTORY: Operation = Operation {
    name: "the first start, which makes the directory",
    prepare: |_| {},
    act: start_and_upload,
    look: look_for_the_upload,
};

/// A server starts in a directory that is there, and takes an upload.
pub(super) const FIRST_START: Operation = Operation {
    name: "the first start",
    prepare: |site| compiled::lend(&site.data_dir()),
    ..NEW_DIRECTORY
};

/// An operator says that a directory that bears another marker is the right volume.
pub(super) const ADOPTION: Operation = Operation {
    name: "the adoption of a volume",
    prepare: |site| {
        site.make();
        let marker = site.data_dir().join("blobs").join(MARKER);
        fs::write(marker, format!("{}\n", VolumeId::random())).expect("a marker");
    },
    act: |site, points| tell(site, points, &["volume", "adopt"]),
    look: |site, answered| {
        let marker = site.data_dir().join("blobs").join(MARKER);
        let whole = fs::read(marker).is_ok_and(|marker| marker.len() == 33);
        match whole && (!answered || opens(site)) {
            true => BTreeSet::new(),
            false => BTreeSet::from([Loss::Start]),
        }
    },
};

/// The doctor moves a file that nothing names to the quarantine.
pub(super) const QUARANTINE: Operation = Operation {
    name: "the way into the quarantine",
    prepare: |site| {
        site.make();
        let file = blob_path(&site.data_dir(), STRAY);
        stray(&file);
    },
    // The file is older than the database.
    act: |site, points| tell(site, points, &["doctor", "--repair", "--younger-database"]),
    look: |site, answered| {
        let data_dir = site.data_dir();
        let kept = quarantine(&data_dir).join(STRAY);
        let mut losses = moved(&blob_path(&data_dir, STRAY), &kept, answered);
        let came = fs::metadata(kept).and_then(|kept| kept.modified());
        if came.is_ok_and(|came| came < SystemTime::now() - LONG / 2) {
            losses.insert(Loss::Period);
        }
        losses
    },
};

/// A file comes back from the quarantine.
pub(super) const RELEASE: Operation = Operation {
    name: "the way out of the quarantine",
    prepare: |site| {
        site.make();
        compiled::lend(&site.data_dir());
        let server = site.serve();
        compiled::keep(&site.data_dir());
        server.upload_document("d", CONTENT);
        assert_eq!(server.stop(), Some(0));
        let data_dir = site.data_dir();
        let key = &the_key(site);
        let place = blob_path(&data_dir, key);
        fs::create_dir(quarantine(&data_dir)).expect("a directory");
        fs::rename(&place, quarantine(&data_dir).join(key)).expect("a file");
        // As in a directory that was restored without it.
        fs::remove_dir(place.parent().expect("a directory")).expect("an empty directory");
    },
    act: |site, points| tell(site, points, &["quarantine", "release"]),
    look: |site, answered| {
        let (data_dir, key) = (site.data_dir(), &the_key(site));
        let kept = quarantine(&data_dir).join(key);
        moved(&kept, &blob_path(&data_dir, key), answered)
    },
};

/// The period of a file in quarantine is over.
pub(super) const EXPIRY: Operation = Operation {
    name: "the end of a period",
    prepare: |site| {
        site.make();
        stray(&quarantine(&site.data_dir()).join(STRAY));
    },
    act: |site, points| tell(site, points, &["doctor", "--repair"]),
    look: |site, answered| match quarantine(&site.data_dir()).join(STRAY).exists() {
        true if answered => BTreeSet::from([Loss::Unnamed]),
        _ => BTreeSet::new(),
    },
};

/// A backup is taken. It has no bytes: those are made durable by syncfs(2), of which the kernel tells no file
/// system of ours.
pub(super) const BACKUP: Operation = Operation {
    name: "a backup",
    prepare: Site::make,
    act: |site, points| tell(site, points, &["backup", &backup(site)]),
    look: |site, answered| match !answered || restores(site, &site.folder().join("restored")) {
        true => BTreeSet::new(),
        false => BTreeSet::from([Loss::Backup]),
    },
};

/// A backup is restored.
pub(super) const RESTORE: Operation = Operation {
    name: "a restore",
    prepare: |site| {
        site.make();
        tell(site, "", &["backup", &backup(site)]);
        fs::remove_dir_all(site.data_dir()).expect("a directory");
    },
    act: |site, _| assert!(restores(site, &site.data_dir()), "it is not restored"),
    look: |site, answered| {
        let data_dir = &site.data_dir();
        // One that was cut short is begun again; one that is done is refused then.
        let _ = answered || restores(site, data_dir);
        let tenants = run(data_dir, &["tenant", "list"]).stdout;
        match String::from_utf8_lossy(&tenants).contains(TENANT) {
            true => BTreeSet::new(),
            false => BTreeSet::from([Loss::Backup]),
        }
    },
};

/// Where a backup is taken to: in a folder that is not there yet.
fn backup(site: &Site) -> String {
    let backup = site.folder().join(GROUND).join("backups").join("monday");
    backup.to_str().expect("a path in UTF-8").to_owned()
}

/// Restores the backup into this directory; whether that succeeds.
fn restores(site: &Site, data_dir: &Path) -> bool {
    let restore = ["restore", &backup(site), "--accept-erased-since", "3d"];
    run(data_dir, &restore).status.success()
}

/// The server makes tenant and client itself: nobody else opens the database meanwhile.
fn start_and_upload(site: &mut Site, points: &str) {
    let variables = [("FAILPOINTS", points)];
    let server = Starting::new(&site.data_dir(), &["--demo"], &variables);
    let server = server.ready().expect("a server");
    compiled::keep(&site.data_dir());
    site.token.clone_from(&server.token);
    server.upload_document("the upload", CONTENT);
    server.kill();
}

fn look_for_the_upload(site: &Site, answered: bool) -> BTreeSet<Loss> {
    if !opens(site) {
        return BTreeSet::from([Loss::Start]);
    }
    let data_dir = site.data_dir();
    let content = |key: &String| fs::read(blob_path(&data_dir, key)).ok();
    let uploads = keys(&data_dir, "blobs");
    let is_there = uploads
        .iter()
        .filter_map(content)
        .any(|found| found == CONTENT);
    match !answered || is_there {
        true => BTreeSet::new(),
        false => BTreeSet::from([Loss::Upload]),
    }
}

/// Loses the power after the answer, with this left out, and says what is found then.
pub(super) fn afterwards(
    operation: Operation,
    place: Place,
    points: &str,
) -> Option<BTreeSet<Loss>> {
    let mut site = Site::unmade_in(GROUND);
    let ground = Ground::above_data(place, &site)?;
    (operation.prepare)(&mut site);
    ground.sync();
    (operation.act)(&mut site, points);
    let _ground = ground.cut();
    Some((operation.look)(&site, true))
}

/// What is found if the power is lost after each fsync of an operation, and before the first.
pub(super) fn amid_each(operation: Operation) -> Vec<BTreeSet<Loss>> {
    let mut site = Site::unmade_in(GROUND);
    let Some(mut ground) = Forgetful::mount(&site.folder().join(GROUND)) else {
        return Vec::new();
    };
    (operation.prepare)(&mut site);
    ground.sync();
    ground.watch();
    (operation.act)(&mut site, "");
    let mut found = Vec::new();
    for left in ground.stages() {
        ground = ground.put(left);
        found.push((operation.look)(&site, false));
    }
    found
}

/// Whether the data directory can be opened: by a verb, as by a server, and sooner.
fn opens(site: &Site) -> bool {
    let verb = run(&site.data_dir(), &["client", "create", "another"]);
    verb.status.success()
}

/// Runs a verb that must succeed.
fn tell(site: &Site, points: &str, args: &[&str]) {
    let mut verb = atropos(&site.data_dir());
    let output = verb.args(args).env("FAILPOINTS", points).output();
    let output = output.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
}

/// A file of long ago that nothing names.
fn stray(path: &Path) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, "of nobody").expect("a file");
    let file = File::options().write(true).open(path).expect("a file");
    file.set_modified(SystemTime::now() - LONG).expect("a time");
}

/// The key of the only blob.
fn the_key(site: &Site) -> String {
    let mut keys = keys(&site.data_dir(), "blobs");
    keys.pop_first().expect("a blob")
}

/// Whether a file is where it is to be, and whole.
fn moved(from: &Path, to: &Path, answered: bool) -> BTreeSet<Loss> {
    let whole = |path: &Path| fs::read(path).is_ok_and(|content| !content.is_empty());
    let mut losses = BTreeSet::new();
    if !(whole(to) || !answered && whole(from)) {
        losses.insert(Loss::Moved);
    }
    if answered && from.exists() {
        losses.insert(Loss::Unmoved);
    }
    losses
}
