//! The power is lost: what the kernel had not written is gone, too, and whatever was answered holds.
//!
//! The server is killed, and what was made durable by then is served from. On ext4, rows and bytes are each
//! on a file system of their own, in an image file, which commits by itself only after minutes: the images
//! are copied at once. As ext4 keeps more than fsync(2) promises, both are also put on a file system that
//! keeps no more.

mod compiled;
mod ground;
mod operations;
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use atropos::step::Barrier;
use ground::Place;
use operations::{
    ADOPTION, BACKUP, EXPIRY, FIRST_START, NEW_DIRECTORY, OPERATIONS, Operation, QUARANTINE,
    RELEASE, afterwards, amid_each,
};
use world::World;

use crate::support::random::Random;
use crate::support::written::assert_written;

/// What must not be found afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Start,
    Database,
    Undone,
    Upload,
    Unnamed,
    Moved,
    Unmoved,
    Period,
    Backup,
    Doctor,
}

impl Loss {
    fn words(self) -> &'static str {
        match self {
            Self::Start => "no server starts",
            Self::Database => "the database is damaged",
            Self::Undone => "a delete that was answered is undone",
            Self::Upload => "an upload that was answered is lost",
            Self::Unnamed => "bytes that nothing names",
            Self::Moved => "a file that was moved is lost",
            Self::Unmoved => "a file that was moved is where it was",
            Self::Period => "a file in quarantine is erased too soon",
            Self::Backup => "a backup that was finished cannot be restored",
            Self::Doctor => "the doctor finds something",
        }
    }
}

/// When the power is lost.
#[derive(Clone, Copy)]
enum Cut {
    /// While clients upload and delete, again and again.
    Amid,
    /// Once this was answered.
    After(Operation),
}

/// What is known of an fsync.
struct Known {
    barrier: Barrier,
    protects: &'static str,
    /// Each of these shows it.
    cuts: &'static [Cut],
    /// What is found without it: nothing, where ext4 keeps more than fsync(2) promises.
    on_ext4: &'static [Loss],
    on_forgetful: &'static [Loss],
}

const BARRIERS: [Known; 15] = [
    Known {
        barrier: Barrier::File,
        protects: "the bytes of an uploaded file (`stores/src/local.rs`, `put`)",
        cuts: &[Cut::Amid],
        on_ext4: &[Loss::Upload],
        on_forgetful: &[Loss::Upload],
    },
    Known {
        barrier: Barrier::Entry,
        protects: "the entry of an uploaded file in its directory (`stores/src/local.rs`, `put`)",
        cuts: &[Cut::Amid],
        on_ext4: &[],
        on_forgetful: &[Loss::Upload],
    },
    Known {
        barrier: Barrier::Directory,
        protects: "the entry of a directory in `blobs/` (`stores/src/local.rs`, `make_directory`)",
        cuts: &[Cut::Amid, Cut::After(QUARANTINE), Cut::After(RELEASE)],
        on_ext4: &[],
        on_forgetful: &[Loss::Upload, Loss::Moved],
    },
    Known {
        barrier: Barrier::Folder,
        protects: "the entry of a data directory or of a backup (`stores/src/local/place.rs`, `make_folder`)",
        cuts: &[Cut::After(NEW_DIRECTORY), Cut::After(BACKUP)],
        on_ext4: &[],
        on_forgetful: &[Loss::Upload, Loss::Backup],
    },
    Known {
        barrier: Barrier::Blobs,
        protects: "the entry of `blobs/` (`stores/src/local/place.rs`, `make`)",
        cuts: &[Cut::After(FIRST_START)],
        on_ext4: &[],
        on_forgetful: &[],
    },
    Known {
        barrier: Barrier::Marker,
        protects: "the bytes of a volume's marker (`stores/src/local/marker.rs`, `write`)",
        cuts: &[Cut::After(FIRST_START)],
        on_ext4: &[Loss::Start],
        on_forgetful: &[Loss::Start],
    },
    Known {
        barrier: Barrier::MarkerEntry,
        protects: "the entry of a volume's marker (`stores/src/local/marker.rs`, `write`)",
        cuts: &[Cut::After(ADOPTION)],
        on_ext4: &[Loss::Start],
        on_forgetful: &[Loss::Start],
    },
    Known {
        barrier: Barrier::Run,
        protects: "the bytes of the file that names the marks of a run (`stores/src/sqlite/run.rs`, `write`)",
        cuts: &[Cut::Amid],
        on_ext4: &[],
        on_forgetful: &[Loss::Start],
    },
    Known {
        barrier: Barrier::RunEntry,
        protects: "the entry of that file (`stores/src/sqlite/run.rs`, `write`)",
        cuts: &[Cut::Amid],
        on_ext4: &[],
        on_forgetful: &[Loss::Start],
    },
    Known {
        barrier: Barrier::Arrival,
        protects: "when a file came to the quarantine (`stores/src/local/quarantine.rs`, `came`)",
        cuts: &[Cut::After(QUARANTINE)],
        on_ext4: &[],
        on_forgetful: &[Loss::Period],
    },
    Known {
        barrier: Barrier::MovedTo,
        protects: "the new entry of a moved file (`stores/src/local/quarantine.rs`)",
        cuts: &[Cut::After(QUARANTINE), Cut::After(RELEASE)],
        on_ext4: &[],
        on_forgetful: &[Loss::Moved],
    },
    Known {
        barrier: Barrier::MovedFrom,
        protects: "the absence of its old entry (`stores/src/local/quarantine.rs`)",
        cuts: &[Cut::After(QUARANTINE), Cut::After(RELEASE)],
        on_ext4: &[],
        on_forgetful: &[Loss::Unmoved],
    },
    Known {
        barrier: Barrier::Removals,
        protects: "the absence of a removed file (`stores/src/local.rs`, `sync_removals`, and \
                   `stores/src/local/quarantine.rs`, `expire`)",
        cuts: &[Cut::Amid, Cut::After(EXPIRY)],
        on_ext4: &[Loss::Unnamed],
        on_forgetful: &[Loss::Unnamed],
    },
    Known {
        barrier: Barrier::Commit,
        protects: "a committed transaction, in the log of the database (SQLite, `synchronous`)",
        cuts: &[Cut::Amid],
        on_ext4: &[Loss::Undone, Loss::Upload],
        on_forgetful: &[Loss::Undone, Loss::Upload],
    },
    Known {
        barrier: Barrier::Checkpoint,
        protects: "the database, before its log is emptied (SQLite, `wal_checkpoint`)",
        cuts: &[Cut::Amid],
        on_ext4: &[Loss::Start, Loss::Database, Loss::Undone, Loss::Upload],
        on_forgetful: &[Loss::Start, Loss::Database, Loss::Undone, Loss::Upload],
    },
];

/// Loses the power so often, and says what is lost.
fn whatever_was_answered_holds(place: Place) {
    let mut random = Random::from_environment("power");
    let rounds = std::env::var("ATROPOS_ROUNDS");
    let rounds: usize = rounds.map_or(10, |rounds| rounds.parse().expect("a number"));
    let Some(mut world) = World::new(place, "") else {
        return;
    };
    for round in 0..rounds {
        let (next, losses) = world.round(&mut random);
        assert_eq!(losses, BTreeSet::new(), "round {round} on {place:?}");
        world = next.expect("a server");
        let (live, gone) = (world.live.len(), world.gone.len());
        eprintln!("round {round} on {place:?}: {live} objects live, {gone} gone");
    }
}

#[test]
fn whatever_was_answered_holds_when_the_power_is_lost() {
    whatever_was_answered_holds(Place::Ext4);
}

#[test]
fn whatever_was_answered_holds_where_nothing_lasts_that_was_not_synced() {
    whatever_was_answered_holds(Place::Forgetful);
}

/// Loses the power with something left out, until something is found that is to be, or so often in vain.
fn amid(barrier: Barrier, place: Place, expected: &[Loss]) -> Option<BTreeSet<Loss>> {
    // What is looked for in vain is looked for less often. What is to be found is found in a few rounds,
    // but on a busy machine the cut may come late, when more is durable.
    let rounds = if expected.is_empty() { 4 } else { 100 };
    let mut random = Random::from_environment(barrier.name());
    let points = left_out(barrier);
    let mut found = BTreeSet::new();
    let mut world = Some(World::new(place, &points)?);
    for _ in 0..rounds {
        world = match world {
            Some(world) => {
                let (next, losses) = world.round(&mut random);
                found.extend(&losses);
                // What is lost is lost: it would be found again and again.
                next.filter(|_| losses.is_empty())
            }
            None => World::new(place, &points),
        };
        if expected.iter().any(|loss| found.contains(loss)) {
            break;
        }
    }
    Some(found)
}

/// What leaves out an fsync.
fn left_out(barrier: Barrier) -> String {
    format!("{barrier}=return", barrier = barrier.name())
}

/// What is found without an fsync, in words. Where nothing is kept but what fsync(2) promises, each cut
/// must find something.
fn noticed(known: &Known, place: Place) -> Option<String> {
    let name = known.barrier.name();
    let expected = match place {
        Place::Ext4 => known.on_ext4,
        Place::Forgetful => known.on_forgetful,
    };
    let is_any = |found: &BTreeSet<Loss>| expected.iter().any(|loss| found.contains(loss));
    let mut all = BTreeSet::new();
    for cut in known.cuts {
        let begun = std::time::Instant::now();
        let found = match cut {
            Cut::Amid => amid(known.barrier, place, expected)?,
            Cut::After(operation) => afterwards(*operation, place, &left_out(known.barrier))?,
        };
        eprintln!("{name} on {place:?}: {found:?} {:?}", begun.elapsed());
        let each = matches!(place, Place::Forgetful) && !expected.is_empty();
        assert!(
            !each || is_any(&found),
            "nobody notices on {place:?} that {name} is left out"
        );
        all.extend(found);
    }
    if expected.is_empty() {
        assert_eq!(all, BTreeSet::new(), "{name} is noticed on {place:?}");
        return Some("nothing".to_owned());
    }
    assert!(
        is_any(&all),
        "nobody notices on {place:?} that {name} is left out"
    );
    let words: Vec<_> = expected.iter().map(|loss| loss.words()).collect();
    Some(words.join(", or "))
}

#[test]
fn whatever_was_done_holds_when_the_power_is_lost_after_the_answer() {
    for place in [Place::Forgetful, Place::Ext4] {
        for operation in OPERATIONS {
            let Some(losses) = afterwards(operation, place, "") else {
                break;
            };
            assert_eq!(losses, BTreeSet::new(), "{} on {place:?}", operation.name);
        }
    }
}

#[test]
fn whatever_is_being_done_loses_nothing_wherever_the_power_is_lost_amid_it() {
    for operation in OPERATIONS {
        for (fsyncs, losses) in amid_each(operation).into_iter().enumerate() {
            let name = operation.name;
            assert_eq!(losses, BTreeSet::new(), "{name}, after {fsyncs} fsyncs");
        }
    }
}

#[test]
fn each_fsync_that_is_left_out_shows_when_the_power_is_lost() {
    let covered: Vec<_> = BARRIERS.iter().map(|known| known.barrier).collect();
    assert_eq!(covered, Barrier::ALL, "a row for each fsync");
    let mut table = String::from(HEAD);
    let column = |place| {
        let noticed = BARRIERS.iter().map(move |known| noticed(known, place));
        noticed.collect::<Option<Vec<_>>>()
    };
    // Most of the time is waited.
    let (ext4, forgetful) = std::thread::scope(|scope| {
        let ext4 = scope.spawn(|| column(Place::Ext4));
        let forgetful = column(Place::Forgetful);
        (ext4.join().expect("it ended"), forgetful)
    });
    let Some((ext4, forgetful)) = ext4.zip(forgetful) else {
        return;
    };
    for ((known, ext4), forgetful) in BARRIERS.iter().zip(ext4).zip(forgetful) {
        let (name, protects) = (known.barrier.name(), known.protects);
        writeln!(table, "| `{name}` | {protects} | {ext4} | {forgetful} |").expect("text");
    }
    table += KEPT;
    assert_written("tests/power.md", &table);
}

const HEAD: &str = "# What a loss of power takes when an fsync is left out

Written by the test in `power.rs`; `ATROPOS_BLESS=1` writes it anew.

Each fsync is left out on ext4, and on a file system that keeps no more than fsync(2) promises
(`support/forgetful.rs`): the content of a file once the file is synced, the entries of a directory once that
directory is, and nothing else. ext4 keeps more. It makes the entry of a new file durable, and those of new
directories above it, when the file itself is synced; other file systems need not do so.

| fsync | what it makes durable | found without it on ext4 | found without it where nothing else is kept |
|---|---|---|---|
";

/// Why one is kept whose absence nothing shows.
const KEPT: &str = "
Nothing shows the absence of `sync.blobs`, as SQLite syncs the directory of its log, which `blobs/` is in, when
a connection first syncs the log. It promises that to nobody, so this fsync is kept. It is made when `blobs/`
is new, and costs a flush.
";
