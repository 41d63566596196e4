//! The tasks and threads that live as long as a server: each is made to panic, once and again and again.
//! What the next delete, `/readyz` and `atropos status` say then is a table, `parts.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use atropos::parts::Part;
use serde_json::Value;

use crate::support::site::{Site, wait_until};
use crate::support::written::assert_written;
use crate::support::{Server, Starting, at_once, eventually, verb};

/// How many servers run at once.
const AT_ONCE: usize = 3;

/// What lives by a clock has its turn soon.
const CONFIG: &str = "[erase]\nshred-lease-ms = 1000\nquarantine-ms = 1000\n\
    [plugin]\ndeadline-ms = 60000\n[policy]\ndeadline-ms = 60000\n";

/// What each part does, in a few words.
fn does(part: Part) -> &'static str {
    match part {
        Part::Commit => "commits groups of erasures",
        Part::Remove => "removes the bytes of committed groups",
        Part::Settle => "strikes off the records of removed bytes",
        Part::Record => "records decisions that erase nothing",
        Part::Shred => "removes bytes that nobody else removes",
        Part::Writer => "writes to the database (a thread)",
        Part::Ticker => "interrupts guests (a thread)",
        Part::ShadowAsk => "asks the shadow of one tenant's chain",
        Part::ShadowKeep => "writes down what shadows said",
        Part::Quarantine => "empties the quarantine",
        Part::Figures => "folds the figures that nobody scrapes",
        Part::Status => "tells `atropos status`",
        Part::Log => "writes the log (a thread)",
    }
}

/// A server of which one part panics when it is told to.
struct Ground {
    server: Server,
    site: Site,
    part: Part,
    point: PathBuf,
    guids: Vec<String>,
}

impl Ground {
    fn start(part: Part) -> Self {
        let site = Site::new();
        let data_dir = site.data_dir();
        let shadow = [
            "policy",
            "assign",
            "--shadow",
            "--policy",
            "labels={\"forbidden\":[\"x\"]}",
        ];
        verb(
            &data_dir,
            &[&shadow[..], &["--tenant", crate::support::TENANT]].concat(),
        );
        let file = site.folder().join("atropos.toml");
        fs::write(&file, CONFIG).expect("a configuration");
        let point = site.folder().join("panic");
        let points = format!("part.{}=return({})", part.name(), point.display());
        let args = ["--config", file.to_str().expect("a path in UTF-8")];
        let started = Starting::new(&data_dir, &args, &[("FAILPOINTS", &points)]).ready();
        let mut server = started.expect("a server");
        server.token.clone_from(&site.token);
        let guids = (0..4).map(|n| server.upload_document("d", &[n; 10]));
        Self {
            guids: guids.collect(),
            server,
            site,
            part,
            point,
        }
    }

    /// Gives work to the parts that have some only when somebody asks for it, and returns what a delete
    /// is answered.
    fn stir(&mut self) -> String {
        let guid = self.guids.pop().expect("a document");
        let deleted = self.delete(&guid);
        self.server.get("/readyz");
        self.status();
        deleted
    }

    fn delete(&self, guid: &str) -> String {
        let (status, body) = self.server.delete_document(guid);
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        match body["code"].as_str() {
            Some(code) => format!("{status} `{code}`"),
            None => status.to_string(),
        }
    }

    fn ready(&self) -> String {
        let (status, body) = crate::support::answer(self.server.get("/readyz"));
        match (status, body["reason"].as_str()) {
            (200, None) => "ready".to_owned(),
            (503, Some(reason)) => format!("not ready: {reason}"),
            other => panic!("{other:?}"),
        }
    }

    fn status(&self) -> Value {
        verb(&self.site.data_dir(), &["status"])["server"].clone()
    }

    /// How often the part panicked, and whether it is well.
    fn fares(&self) -> Option<(u64, bool)> {
        let status = self.status();
        let parts = status["parts"].as_array()?;
        let own = parts.iter().find(|part| part["part"] == self.part.name())?;
        Some((own["panics"].as_u64()?, own["well"].as_bool()?))
    }

    /// What the status says of the part, and which it says are missing.
    fn shown(&self) -> String {
        let status = self.status();
        if status["answers"] == false {
            return "a server that does not answer".to_owned();
        }
        let missing = status["missing"].as_array().expect("an array").iter();
        let missing: BTreeSet<_> = missing.filter_map(|one| one["part"].as_str()).collect();
        let (_, well) = self.fares().expect("its part");
        let own = match well {
            true => "goes on",
            false => "is being started again",
        };
        let name = self.part.name();
        match missing.into_iter().collect::<Vec<_>>()[..] {
            [] => format!("`{name}` panicked and {own}"),
            [one] if one == name => format!("`{name}` panicked and {own}; it is missing"),
            ref more => format!("`{name}` panicked and {own}; missing: {more:?}"),
        }
    }

    fn panicked(&self) -> bool {
        let told = format!("part=\"{}\"", self.part.name());
        self.fares().is_some_and(|(panics, _)| panics > 0) || self.server.log().contains(&told)
    }
}

/// A row: what a delete is answered while the part panics, what the other two say then; and the same after it
/// has panicked once.
fn row(part: Part) -> String {
    let name = part.name();
    let mut ground = Ground::start(part);
    fs::create_dir(&ground.point).expect("a folder");
    let deleted = ground.stir();
    wait_until("it panics", || ground.panicked());
    let (ready, shown) = (ground.ready(), ground.shown());
    assert_eq!(ground.server.get("/healthz").status(), 200, "{name}");
    assert_eq!(ready == "ready", !part.is_needed(), "{name}: {ready}");
    fs::remove_dir(&ground.point).expect("the folder");
    wait_until("it is well again", || {
        ground.ready() == "ready" && ground.fares().is_some_and(|(_, well)| well)
    });

    fs::write(&ground.point, "").expect("a file");
    ground.stir();
    eventually("it panicked once", || {
        ground.server.get("/readyz");
        ground.fares();
        (!ground.point.exists()).then_some(())
    });
    let guid = ground.guids.pop().expect("a document");
    let next = ground.delete(&guid);
    wait_until("it is well again", || {
        ground.ready() == "ready" && ground.fares().is_some_and(|(_, well)| well)
    });
    let log = ground.server.log();
    if part != Part::Log {
        assert!(
            log.contains("host/atropos/src/step.rs:"),
            "{name}: where it panicked"
        );
    }
    assert!(!log.contains("told to panic"), "{name}: what it said");
    let listed = ground.server.documents();
    assert!(!listed.contains(&guid), "{name}");
    assert_eq!(ground.server.deletions().get(&guid), Some(&1), "{name}");
    let then = ground.shown();
    assert_eq!(ground.server.stop(), Some(0), "{name}");
    format!(
        "| `{name}` | {} | {deleted} | {ready} | {shown} | {next} | ready | {then} |\n",
        does(part)
    )
}

#[test]
fn each_task_and_thread_goes_on_after_a_panic_and_what_is_missing_is_told() {
    let mut table = String::from(TITLE);
    for row in at_once(AT_ONCE, Part::ALL, |part| row(*part)) {
        table.write_str(&row).expect("text");
    }
    table += REST;
    assert_written("tests/parts.md", &table);
}

const TITLE: &str = "\
# What a panic of each task and thread means to others

Each lives as long as the server. Written by the test in `parts.rs`; `ATROPOS_BLESS=1` writes it anew.

| part | what it does | panics each time: a delete | `/readyz` | `atropos status` | panicked once: the next delete | \
`/readyz` | `atropos status` |
|---|---|---|---|---|---|---|---|
";

const REST: &str = "
The task that accepts connections ends the process when it panics, with exit status 3 and a reason. Other
tasks live as long as one request, one connection or one component that is loaded, and a panic fails that one.
";

#[test]
fn a_panic_of_what_accepts_connections_ends_the_process_with_a_reason() {
    let site = Site::new();
    let point = site.folder().join("panic");
    let points = format!("part.connections=return({})", point.display());
    let started = Starting::new(&site.data_dir(), &[], &[("FAILPOINTS", &points)]).ready();
    let mut server = started.expect("a server");
    server.token.clone_from(&site.token);
    let guid = server.upload_document("d", b"bytes");
    fs::write(&point, "").expect("a file");
    let _ = server.http.get(server.url("/healthz")).send();
    wait_until("it ended", || !Server::listens(&server.base));
    let log = eventually("its last words", || {
        let log = server.log();
        log.contains("ended by a panic").then_some(log)
    });
    assert!(
        log.contains("host/atropos/src/step.rs:"),
        "where it panicked: {log}"
    );
    assert_eq!(server.wait(), Some(3));
    let server = site.serve();
    assert_eq!(server.delete_document(&guid).0, 200);
}
