//! The power is lost: what the kernel had not written is gone, too, and whatever was answered holds.
//!
//! Rows and bytes are each on a file system of their own, in an image file, which commits by itself
//! only after minutes. The server is killed, the images are copied at once, and the copies are served
//! from: what is in them is what was made durable.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atropos::step::Barrier;
use atropos::target::Kind;

use crate::support::asking::{Answer, ask};
use crate::support::machine::Disk;
use crate::support::random::Random;
use crate::support::site::{Site, blob_files, database, keys, wait_until};
use crate::support::written::assert_written;
use crate::support::{Server, Starting, at_once_while, run};

const CLIENTS: usize = 8;

/// How many objects are uploaded in one round, in which half of those that are there are deleted.
const UPLOADS: usize = 24;

/// No deadline interferes, and what takes long is no fault.
const CONFIG: &str = "[plugin]\ndeadline-ms = 60000\n[policy]\ndeadline-ms = 60000\n\
    [http]\nrequest-timeout-ms = 60000\nheader-timeout-ms = 600000\n[log]\nfilter = \"warn\"\n";

/// What must not be found afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Database,
    Undone,
    Upload,
    Unnamed,
    Doctor,
}

impl Loss {
    fn words(self) -> &'static str {
        match self {
            Self::Database => "the database is damaged",
            Self::Undone => "a delete that was answered is undone",
            Self::Upload => "an upload that was answered is lost",
            Self::Unnamed => "bytes that nothing names",
            Self::Doctor => "the doctor finds something",
        }
    }
}

/// Each fsync, what it protects, and what is found without it; nothing, where ext4 keeps more than
/// fsync(2) promises.
const BARRIERS: [(Barrier, &str, Option<&[Loss]>); 6] = [
    (
        Barrier::File,
        "the bytes of an uploaded file (`store/local.rs`, `put`)",
        Some(&[Loss::Upload]),
    ),
    (
        Barrier::Entry,
        "the entry of an uploaded file in its directory (`store/local.rs`, `put`)",
        None,
    ),
    (
        Barrier::Directory,
        "the entries of `blobs/` and of the directories in it (`store/local.rs`, `put` and `open`)",
        None,
    ),
    (
        Barrier::Removals,
        "the absence of a removed file (`store/local.rs`, `sync_removals`)",
        Some(&[Loss::Unnamed]),
    ),
    (
        Barrier::Commit,
        "a committed transaction, in the log of the database (SQLite, `synchronous`)",
        Some(&[Loss::Undone, Loss::Upload]),
    ),
    (
        Barrier::Checkpoint,
        "the database, before its log is emptied (SQLite, `wal_checkpoint`)",
        Some(&[Loss::Database, Loss::Undone, Loss::Upload]),
    ),
];

/// A site on two disks, and what its clients were told.
struct World {
    // Dropped in this order: nothing is left in the folder that is mounted or in use.
    server: Server,
    disks: Vec<Disk>,
    site: Site,
    /// What tests leave out.
    points: String,
    live: BTreeMap<String, Vec<u8>>,
    gone: BTreeSet<String>,
    /// What was uploaded at any time, by its content.
    known: BTreeSet<Vec<u8>>,
}

impl World {
    fn new(points: &str) -> Option<Self> {
        let mut site = Site::unmade();
        let image = |name: &str| site.folder().join(name);
        let data_dir = site.data_dir();
        let rows = Disk::make(&image("rows"), &data_dir)?;
        let bytes = Disk::make(&image("bytes"), &data_dir.join("blobs"))?;
        site.make();
        let server = serve(&site, points).expect("a server");
        // What was compiled is not made durable, and need not be compiled in each round.
        rows.sync();
        bytes.sync();
        Some(Self {
            site,
            disks: vec![rows, bytes],
            server,
            points: points.to_owned(),
            live: BTreeMap::new(),
            gone: BTreeSet::new(),
            known: BTreeSet::new(),
        })
    }

    /// Uploads and deletes until the power is lost, and says what must not be found then.
    fn round(mut self, random: &mut Random) -> (Option<Self>, BTreeSet<Loss>) {
        let contents: Vec<_> = (0..UPLOADS).map(|_| content(random)).collect();
        self.known.extend(contents.iter().cloned());
        let doomed: Vec<_> = self
            .live
            .keys()
            .take(self.live.len() / 2)
            .cloned()
            .collect();
        let uploads = contents.into_iter().map(Deed::Upload);
        let deletes = doomed.into_iter().map(Deed::Delete);
        // What is uploaded last makes durable what was removed before.
        let deeds: Vec<_> = match random.below(2) {
            0 => uploads.chain(deletes).collect(),
            _ => deletes.chain(uploads).collect(),
        };
        let enough = random.below(deeds.len() as u64 + 1) as usize;
        let then = Duration::from_millis(random.below(900));
        let answered = AtomicUsize::new(0);
        let ask = |deed: &Deed| {
            let answer = deed.ask(&self.server);
            answered.fetch_add(usize::from(answer.is_some()), Ordering::SeqCst);
            answer
        };
        let answers = at_once_while(CLIENTS, &deeds, ask, || {
            while answered.load(Ordering::SeqCst) < enough {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(then);
            self.server.signal("KILL");
        });
        let Self {
            site,
            disks,
            server,
            points,
            ..
        } = self;
        server.kill();
        let disks = Disk::cut(disks);
        let mut unsure = BTreeSet::new();
        for (deed, answer) in deeds.into_iter().zip(answers) {
            match (deed, answer) {
                (Deed::Upload(content), Some((200, body))) => {
                    let guid = serde_json::from_str(&body).expect("a GUID");
                    self.live.insert(guid, content);
                }
                (Deed::Upload(_), None) => {}
                (Deed::Delete(guid), Some((200, _))) => {
                    self.live.remove(&guid);
                    self.gone.insert(guid);
                }
                (Deed::Delete(guid), None) => {
                    unsure.insert(guid);
                }
                (_, other) => panic!("{other:?}"),
            }
        }
        let Ok(server) = serve(&site, &points) else {
            return (None, BTreeSet::from([Loss::Database]));
        };
        let mut world = Self {
            site,
            disks,
            server,
            points,
            live: self.live,
            gone: self.gone,
            known: self.known,
        };
        let losses = world.check(&unsure);
        (Some(world), losses)
    }

    fn check(&mut self, unsure: &BTreeSet<String>) -> BTreeSet<Loss> {
        let mut losses = BTreeSet::new();
        let data_dir = self.site.data_dir();
        let erased = "SELECT count(*) FROM shreds WHERE event IS NOT NULL";
        wait_until("what was erased is removed", || {
            let left = database(&data_dir).query_row(erased, [], |row| row.get::<_, i64>(0));
            left.expect("a number") == 0
        });
        let listed: BTreeSet<_> = self.server.documents().into_iter().collect();
        for guid in &self.gone {
            if listed.contains(guid) {
                losses.insert(Loss::Undone);
            }
        }
        // Of what was not answered, each is whole or gone.
        for guid in unsure {
            if !listed.contains(guid) {
                self.live.remove(guid);
                self.gone.insert(guid.clone());
            }
        }
        for (guid, content) in &self.live {
            if self.server.document(guid).as_ref() != Some(content) {
                losses.insert(Loss::Upload);
            }
        }
        for guid in listed {
            match self.server.document(&guid) {
                Some(content) if self.known.contains(&content) => {
                    self.live.insert(guid, content);
                }
                _ => _ = losses.insert(Loss::Upload),
            }
        }
        let named = &keys(&data_dir, "blobs") | &keys(&data_dir, "shreds");
        if !named.is_superset(&blob_files(&data_dir)) {
            losses.insert(Loss::Unnamed);
        }
        if !run(&data_dir, &["doctor"]).status.success() {
            losses.insert(Loss::Doctor);
        }
        losses
    }
}

fn serve(site: &Site, points: &str) -> Result<Server, String> {
    let file = site.folder().join("atropos.toml");
    std::fs::write(&file, CONFIG).expect("a configuration");
    let file = file.to_str().expect("a path in UTF-8");
    let variables = [("FAILPOINTS", points)];
    let started = Starting::new(&site.data_dir(), &["--config", file], &variables).ready();
    started.map(|mut server| {
        server.token.clone_from(&site.token);
        server
    })
}

/// What a client does.
enum Deed {
    Upload(Vec<u8>),
    Delete(String),
}

impl Deed {
    fn ask(&self, server: &Server) -> Answer {
        match self {
            Self::Upload(content) => ask(server.upload(Kind::Document, "a name", content)),
            Self::Delete(guid) => ask(server.deletion(Kind::Document, guid)),
        }
    }
}

/// Something that was never uploaded before.
fn content(random: &mut Random) -> Vec<u8> {
    let word = format!("{:016x};", random.below(u64::MAX));
    word.repeat(1 + random.below(4000) as usize).into_bytes()
}

#[test]
fn whatever_was_answered_holds_when_the_power_is_lost() {
    let mut random = Random::from_environment("power");
    let rounds = std::env::var("ATROPOS_ROUNDS");
    let rounds: usize = rounds.map_or(10, |rounds| rounds.parse().expect("a number"));
    let Some(mut world) = World::new("") else {
        return;
    };
    for round in 0..rounds {
        let (next, losses) = world.round(&mut random);
        assert_eq!(losses, BTreeSet::new(), "round {round}");
        world = next.expect("a server");
        let (live, gone) = (world.live.len(), world.gone.len());
        eprintln!("round {round}: {live} objects live, {gone} gone");
    }
}

/// Loses the power with one fsync left out, until all is found that is to be, or so often in vain.
fn without(barrier: Barrier, expected: Option<&[Loss]>) -> Option<BTreeSet<Loss>> {
    // What is looked for in vain is looked for less often.
    let rounds = if expected.is_some() { 12 } else { 4 };
    let mut random = Random::from_environment(barrier.name());
    let points = format!("{barrier}=return", barrier = barrier.name());
    let mut found = BTreeSet::new();
    let mut world = Some(World::new(&points)?);
    for _ in 0..rounds {
        world = match world {
            Some(world) => {
                let (next, losses) = world.round(&mut random);
                found.extend(&losses);
                // What is lost is lost: it would be found again and again.
                next.filter(|_| losses.is_empty())
            }
            None => World::new(&points),
        };
        if expected.is_some_and(|expected| expected.iter().any(|loss| found.contains(loss))) {
            break;
        }
    }
    Some(found)
}

#[test]
fn each_fsync_that_is_left_out_shows_when_the_power_is_lost() {
    let covered: Vec<_> = BARRIERS.iter().map(|(barrier, ..)| *barrier).collect();
    assert_eq!(covered, Barrier::ALL, "a row for each fsync");
    let mut table = String::from(
        "# What a loss of power takes when an fsync is left out\n\n\
         Written by the test in `power.rs`; `ATROPOS_BLESS=1` writes it anew.\n\n\
         | fsync | what it makes durable | found without it |\n|---|---|---|\n",
    );
    for (barrier, protects, expected) in BARRIERS {
        let Some(found) = without(barrier, expected) else {
            return;
        };
        eprintln!("{}: {found:?}", barrier.name());
        let noticed = match expected {
            Some(expected) => {
                let any = expected.iter().any(|loss| found.contains(loss));
                assert!(any, "nobody notices that {} is left out", barrier.name());
                let words: Vec<_> = expected.iter().map(|loss| loss.words()).collect();
                words.join(", or ")
            }
            None => {
                assert_eq!(found, BTreeSet::new(), "{} is noticed", barrier.name());
                "nothing on ext4".to_owned()
            }
        };
        let name = barrier.name();
        writeln!(table, "| `{name}` | {protects} | {noticed} |").expect("text");
    }
    table += KEPT;
    assert_written("tests/power.md", &table);
}

/// Why those are kept whose absence ext4 makes up for.
const KEPT: &str = "
ext4 makes the entries of a new file durable, and those of new directories above it, when the file itself
is synced. fsync(2) promises that to nobody who does not sync the directory, and other file systems need
not do it. So both are kept; where there is nothing left to write, they cost a flush.
";
