//! A site whose power is lost while its clients upload and delete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atropos::target::Kind;

use super::ground::{Ground, Place};
use super::{Loss, compiled};
use crate::support::asking::{Answer, ask};
use crate::support::random::Random;
use crate::support::site::{Site, blob_files, database, keys, wait_until};
use crate::support::{DOCUMENT_USER, Server, Starting, TENANT, at_once_while, patiently, run};

const CLIENTS: usize = 8;

/// How many objects are uploaded in one round, in which half of those that are there are deleted.
const UPLOADS: usize = 24;

/// No deadline interferes, and what takes long is no fault.
const CONFIG: &str =
    "[http]\nrequest-timeout-ms = 60000\nheader-timeout-ms = 600000\n[log]\nfilter = \"warn\"\n";

/// A site on ground that forgets, and what its clients were told.
pub(super) struct World {
    // Dropped in this order: nothing is left in the folder that is mounted or in use.
    server: Server,
    ground: Ground,
    site: Site,
    /// What tests leave out.
    points: String,
    pub(super) live: BTreeMap<String, Vec<u8>>,
    pub(super) gone: BTreeSet<String>,
    /// What was uploaded at any time, by its content.
    known: BTreeSet<Vec<u8>>,
}

impl World {
    pub(super) fn new(place: Place, points: &str) -> Option<Self> {
        let mut site = Site::unmade();
        let ground = Ground::of_data(place, &site)?;
        site.make();
        compiled::lend(&site.data_dir());
        let server = serve(&site, points).expect("a server");
        compiled::keep(&site.data_dir());
        // What was compiled is not made durable by the server, which would compile it in each round.
        ground.sync();
        Some(Self {
            site,
            ground,
            server,
            points: points.to_owned(),
            live: BTreeMap::new(),
            gone: BTreeSet::new(),
            known: BTreeSet::new(),
        })
    }

    /// Uploads and deletes until the power is lost, and says what must not be found then.
    pub(super) fn round(mut self, random: &mut Random) -> (Option<Self>, BTreeSet<Loss>) {
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
        // Amid it all, or once some of what comes after the answers is done.
        let then = Duration::from_millis(random.below(3).min(1) * random.below(900));
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
            ground,
            server,
            points,
            ..
        } = self;
        server.kill();
        let ground = ground.cut();
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
            return (None, BTreeSet::from([Loss::Start]));
        };
        let mut world = Self {
            site,
            ground,
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
        let Some(listed) = listed(&self.server) else {
            return BTreeSet::from([Loss::Database]);
        };
        let erased = "SELECT count(*) FROM shreds WHERE event IS NOT NULL";
        wait_until("what was erased is removed", || {
            let left = database(&data_dir).query_row(erased, [], |row| row.get::<_, i64>(0));
            left.expect("a number") == 0
        });
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

/// The GUIDs of the documents; nothing if the server cannot tell.
fn listed(server: &Server) -> Option<BTreeSet<String>> {
    let path = format!("/api/library/documents/list/get/{TENANT}/{DOCUMENT_USER}");
    let list = server
        .http
        .get(server.url(&path))
        .bearer_auth(&server.token);
    let (status, _) = ask(list)?;
    (status == 200).then(|| server.documents().into_iter().collect())
}

fn serve(site: &Site, points: &str) -> Result<Server, String> {
    let file = site.folder().join("atropos.toml");
    std::fs::write(&file, patiently(CONFIG)).expect("a configuration");
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
