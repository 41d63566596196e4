//! The crash campaign: a mixed load, the power goes, and what is left is held against a model of what
//! the clients were told. One data directory lives through all rounds.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atropos::domain::catalogue::Change;
use atropos::domain::{ChainEntry, NewComponent, NewRevision};
use atropos::guest::{ALLOW_ALL, BUILT_IN_POLICIES};
use atropos::ports::{Database, StoreError};
use atropos::target::{Digest, Kind, Target, TenantId, now_ms};
use atropos_service::auth::Issued;
use atropos_stores::sqlite::Sqlite;
use model::{Model, Span, Told};
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::support::asking::{Answer, ask};
use crate::support::random::Random;
use crate::support::site::{Site, blob_files, database, keys, wait_until};
use crate::support::{DOCUMENT_USER, PHOTO_USER, SITE_KEY, Server, TENANT};

const CLIENTS: u64 = 8;

/// Objects beyond this number are deleted rather than joined by others.
const OBJECTS: usize = 40;

/// How many of those that are gone are asked for in the next round.
const REMEMBERED: usize = 10;

const KINDS: [Kind; 2] = [Kind::Photo, Kind::Document];

/// Only a dead server leaves a request without an answer.
const CONFIG: &str = "[plugin]\ndeadline-ms = 60000\n[policy]\ndeadline-ms = 60000\n\
    [http]\nrequest-timeout-ms = 60000\n[log]\nfilter = \"warn\"\n";

/// An upload that was not answered.
struct Lost {
    kind: Kind,
    content: Vec<u8>,
    span: Span,
}

/// What is known of the objects, and what was uploaded as each.
#[derive(Default)]
struct World {
    model: Model,
    contents: BTreeMap<String, (Kind, Vec<u8>)>,
    lost: Vec<Lost>,
    /// Ids that lists showed before anybody was told them.
    strangers: BTreeSet<String>,
    /// What was answered, for the summary.
    tally: BTreeMap<&'static str, u64>,
    divergences: Vec<String>,
}

impl World {
    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    fn diverge(&mut self, what: String) {
        self.divergences.push(what);
    }

    /// Any object; now and then one that is gone.
    fn pick(&self, random: &mut Random) -> Option<(String, Kind)> {
        let mut picked = None;
        for _ in 0..4 {
            let index = random.below(self.contents.len().max(1) as u64);
            let (id, (kind, _)) = self.contents.iter().nth(index as usize)?;
            picked = Some((id.clone(), *kind));
            if !self.model.things[id].acknowledged() {
                break;
            }
        }
        picked
    }

    fn uploaded(&mut self, kind: Kind, content: Vec<u8>, answer: Answer, span: Span) {
        match answer {
            Some((200, body)) => {
                let id = named(kind, &body);
                self.model.add(&id, span);
                self.contents.insert(id, (kind, content));
                self.count("uploaded");
            }
            None => {
                self.lost.push(Lost {
                    kind,
                    content,
                    span,
                });
                self.count("upload cut off");
            }
            Some(other) => self.diverge(format!("an upload was told {other:?}")),
        }
    }

    fn deleted(&mut self, id: &str, answer: &Answer, span: Span) {
        match told(answer) {
            Some(told) => {
                self.model.thing(id).delete(span, told);
                self.count(match told {
                    Told::Erased => "erased",
                    Told::NotFound => "not found",
                    Told::Denied => "denied",
                    Told::Kept => "held or retained",
                    Told::Changed => "changed",
                    Told::Nothing => "delete cut off",
                });
            }
            None => self.diverge(format!("the delete of {id} was told {answer:?}")),
        }
    }
}

/// What a delete was told; nothing if no answer of a healthy server is like that.
fn told(answer: &Answer) -> Option<Told> {
    let Some((status, body)) = answer else {
        return Some(Told::Nothing);
    };
    match status {
        200 => Some(Told::Erased),
        403 if body.contains("Denied by policy") => Some(Told::Denied),
        404 => Some(Told::NotFound),
        409 => Some(Told::Changed),
        423 => Some(Told::Kept),
        _ => None,
    }
}

/// The id that an upload was answered with.
fn named(kind: Kind, body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let id = match kind {
        Kind::Photo => &body["Data"]["Id"],
        Kind::Document => &body,
    };
    id.as_str().expect("an id").to_owned()
}

/// Something that was never uploaded before.
fn content(kind: Kind, random: &mut Random) -> Vec<u8> {
    match kind {
        Kind::Photo => {
            let pixel = |_, _| image::Rgb([(); 3].map(|()| random.below(256) as u8));
            let mut bytes = std::io::Cursor::new(Vec::new());
            let written =
                image::RgbImage::from_fn(8, 6, pixel).write_to(&mut bytes, image::ImageFormat::Png);
            written.expect("a picture");
            bytes.into_inner()
        }
        Kind::Document => {
            let line = format!("{:016x}\n", random.below(u64::MAX));
            line.repeat(1 + random.below(2000) as usize).into_bytes()
        }
    }
}

fn timed<T>(job: impl FnOnce() -> T) -> (T, Span) {
    let start = Instant::now();
    let outcome = job();
    let end = Instant::now();
    (outcome, Span { start, end })
}

/// One client: asks for this and that until the server is dead.
fn load(server: &Server, world: &Mutex<World>, mut random: Random) {
    let mut dead = false;
    while !dead {
        let kind = KINDS[random.below(2) as usize];
        let deed = random.below(100);
        let (picked, many) = {
            let world = world.lock();
            (world.pick(&mut random), world.contents.len() > OBJECTS)
        };
        match picked {
            Some((id, kind)) if deed < 45 => {
                let request = server.deletion(kind, &id);
                let (answer, span) = timed(|| ask(request));
                dead = answer.is_none();
                world.lock().deleted(&id, &answer, span);
            }
            Some((id, Kind::Document)) if deed < 60 => dead = !read(server, world, &id),
            _ if deed < 70 => dead = !list(server, world, kind),
            _ if many => {}
            _ => {
                let content = content(kind, &mut random);
                let request = server.upload(kind, "campaign.png", &content);
                let (answer, span) = timed(|| ask(request));
                dead = answer.is_none();
                world.lock().uploaded(kind, content, answer, span);
            }
        }
    }
}

fn read(server: &Server, world: &Mutex<World>, id: &str) -> bool {
    let path = "/api/library/documents/file/get";
    let path = format!("{path}/{TENANT}/{DOCUMENT_USER}/{id}");
    let (answer, span) = timed(|| ask(server.bytes(&path)));
    let mut world = world.lock();
    match &answer {
        Some((200, body)) => {
            if world.contents[id].1 != body.as_bytes() {
                world.diverge(format!("{id} was read with other bytes"));
            }
            world.model.thing(id).look(span, true);
            world.count("read");
        }
        Some((404, _)) => world.model.thing(id).look(span, false),
        Some(other) => world.diverge(format!("a read was told {other:?}")),
        None => {}
    }
    answer.is_some()
}

fn list(server: &Server, world: &Mutex<World>, kind: Kind) -> bool {
    let (listed, span) = timed(|| server.try_objects(kind));
    let Some(listed) = listed else {
        return false;
    };
    let mut world = world.lock();
    world.count("listed");
    let known: Vec<String> = world
        .contents
        .iter()
        .filter(|(_, (of, _))| *of == kind)
        .map(|(id, _)| id.clone())
        .collect();
    for id in &known {
        world.model.thing(id).look(span, listed.contains_key(id));
    }
    let strangers = listed.into_keys().filter(|id| !known.contains(id));
    world.strangers.extend(strangers);
    true
}

/// The operator, who works beside the server with a process of its own.
struct Desk {
    store: Arc<dyn Database>,
    runtime: tokio::runtime::Runtime,
    tenant: TenantId,
}

impl Desk {
    fn open(site: &Site) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let store = Sqlite::open(&site.data_dir()).expect("the storage");
        let store: Arc<dyn Database> = Arc::new(store);
        let subdomain = TENANT.parse().expect("a subdomain");
        let tenant = runtime.block_on(store.tenant(&subdomain));
        let tenant = tenant.expect("tenants").expect("the tenant").id;
        Self {
            store,
            runtime,
            tenant,
        }
    }

    fn add_key(&self) {
        let key = Issued::known(SITE_KEY, "campaign", None).stored;
        let added = self.runtime.block_on(self.store.add_key(self.tenant, key));
        added.expect("a key");
    }

    /// Has the tenant's policies deny everything, or allow it.
    fn deny(&self, deny: bool) {
        let windows = r#"{"windows":[{"from":"2000-01-01T00:00:00Z","until":"2100-01-01T00:00:00Z","reason":"campaign"}]}"#;
        let freeze = BUILT_IN_POLICIES
            .iter()
            .find(|(name, _)| *name == "change-freeze");
        let ((name, bytes), settings) = match deny {
            true => (*freeze.expect("a policy"), windows),
            false => (ALLOW_ALL, "{}"),
        };
        let entry = ChainEntry {
            policy: name.to_owned(),
            digest: Digest::of(bytes),
            settings: settings.into(),
        };
        let assigned = async {
            let component = NewComponent::new(name, bytes, now_ms());
            self.store.add_component(component).await?;
            let chain = NewRevision::new(vec![entry], now_ms());
            self.store.revise(self.tenant, chain).await
        };
        let revised: Result<_, StoreError> = self.runtime.block_on(assigned);
        revised.expect("a storage").expect("a chain");
    }

    /// Places a hold or a retention date, or takes all of that kind away.
    fn keep(&self, id: &str, kind: Kind, hold: bool, on: bool) -> Result<(), StoreError> {
        let target = Target {
            tenant: self.tenant,
            kind,
            owner: match kind {
                Kind::Photo => PHOTO_USER.to_owned(),
                Kind::Document => DOCUMENT_USER.to_string(),
            },
            id: id.to_owned(),
        };
        let store = &self.store;
        self.runtime.block_on(async {
            match (hold, on) {
                (true, true) => store
                    .place_hold(&target, "campaign", now_ms())
                    .await
                    .map(|_| ()),
                (true, false) => store.release_holds(&target).await.map(|_| ()),
                (false, on) => {
                    let until = on.then(|| now_ms() + 3_600_000);
                    let retain_until_ms = Some(until);
                    let change = Change {
                        retain_until_ms,
                        ..Change::default()
                    };
                    store.change(&target, change).await
                }
            }
        })
    }

    /// Turns one thing after the other on and off until the time has come.
    fn work(&self, world: &Mutex<World>, mut random: Random, until: Instant) {
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(random.below(20)));
            let denied = world.lock().model.denied.stands();
            if denied || random.below(4) == 0 {
                let deny = !denied;
                let ((), span) = timed(|| self.deny(deny));
                let mut world = world.lock();
                world.model.denied.turn(span, deny);
                world.count("policy swapped");
                continue;
            }
            let Some((id, kind)) = world.lock().pick(&mut random) else {
                continue;
            };
            let hold = random.below(2) == 0;
            let on = {
                let mut world = world.lock();
                let thing = world.model.thing(&id);
                match hold {
                    true => !thing.hold.stands(),
                    false => !thing.retained.stands(),
                }
            };
            if on && random.below(3) > 0 {
                // Most objects are to stay free.
                continue;
            }
            let (kept, span) = timed(|| self.keep(&id, kind, hold, on));
            let mut world = world.lock();
            let thing = world.model.thing(&id);
            match kept {
                Ok(()) => {
                    thing.look(span, true);
                    match hold {
                        true => thing.hold.turn(span, on),
                        false => thing.retained.turn(span, on),
                    }
                    world.count("hold or retention changed");
                }
                Err(StoreError::Missing { .. }) => thing.look(span, false),
                Err(error) => world.diverge(format!("a hold was told {error:?}")),
            }
        }
    }
}

/// What has been erased so far, by the record of it.
struct Record {
    events: i64,
}

impl Record {
    /// The ids in the events since the last look.
    fn since(&mut self, database: &Connection) -> Vec<String> {
        let query = "SELECT id, object_id FROM events WHERE id > ? ORDER BY id";
        let mut query = database.prepare(query).expect("a table");
        let rows = query.query_map([self.events], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows: Vec<(i64, String)> = rows.expect("rows").collect::<Result<_, _>>().expect("rows");
        self.events = rows.last().map_or(self.events, |(id, _)| *id);
        rows.into_iter().map(|(_, id)| id).collect()
    }
}

/// What the restarted server has: of each object its bytes.
fn found(server: &Server, world: &mut World) -> BTreeMap<String, (Kind, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for kind in KINDS {
        for (id, urls) in server.objects(kind) {
            for (index, url) in urls.iter().enumerate() {
                let response = server.bytes(url).send().expect("an answer");
                let status = response.status().as_u16();
                let bytes = response.bytes().expect("bytes").to_vec();
                if status != 200 || bytes.is_empty() {
                    world.diverge(format!("{id} is listed, and its bytes are told {status}"));
                }
                if index == 0 {
                    found.insert(id.clone(), (kind, bytes));
                }
            }
        }
    }
    found
}

/// Holds what is left against what the clients were told.
fn verify(world: &mut World, found: &BTreeMap<String, (Kind, Vec<u8>)>) {
    for (id, (kind, bytes)) in found {
        match world.contents.get(id) {
            Some((_, content)) if content == bytes => {}
            Some(_) => world.diverge(format!("the bytes of {id} are others")),
            None => {
                let same = |lost: &Lost| lost.kind == *kind && lost.content == *bytes;
                match world.lost.iter().position(same) {
                    Some(index) => {
                        let lost = world.lost.swap_remove(index);
                        world.model.add(id, lost.span);
                        world.contents.insert(id.clone(), (*kind, lost.content));
                        world.count("upload found after all");
                    }
                    None => world.diverge(format!("nobody has uploaded {id}")),
                }
            }
        }
    }
    for stranger in std::mem::take(&mut world.strangers) {
        if !world.contents.contains_key(&stranger) {
            world.diverge(format!("{stranger} was listed, and was lost"));
        }
    }
    world.lost.clear();
    let (denied, mut wrong) = (&world.model.denied, Vec::new());
    let mut doubtful = 0;
    for (id, thing) in &world.model.things {
        let left = found.contains_key(id);
        let told = thing.divergences(denied, left);
        wrong.extend(told.into_iter().map(|what| format!("{id}: {what}")));
        doubtful += u64::from(thing.in_doubt() && !left);
    }
    *world.tally.entry("gone without an answer").or_default() += doubtful;
    world.divergences.extend(wrong);
}

/// Lets those who got no answer ask again, and holds the answers against what was found.
fn repeat(server: &Server, world: &mut World, doubtful: Vec<String>) {
    for id in doubtful {
        let (kind, _) = world.contents[&id];
        let truth = world.model.truth(&id);
        let (answer, span) = timed(|| ask(server.deletion(kind, &id)));
        if told(&answer) != Some(truth) {
            world.diverge(format!(
                "the repeated delete of {id} was told {answer:?}, not {truth:?}"
            ));
        }
        world.deleted(&id, &answer, span);
    }
}

/// Rows and bytes agree, and nothing is doomed any more.
fn check_files(site: &Site, world: &mut World) {
    let data_dir = site.data_dir();
    wait_until("no shred record is left", || {
        keys(&data_dir, "shreds").is_empty()
    });
    let (files, rows) = (blob_files(&data_dir), keys(&data_dir, "blobs"));
    for orphan in files.difference(&rows) {
        world.diverge(format!("nobody answers for the bytes {orphan}"));
    }
    for lost in rows.difference(&files) {
        world.diverge(format!("the bytes {lost} are lost"));
    }
}

/// The objects that are gone.
fn gone(world: &World) -> BTreeSet<String> {
    let gone = |(id, thing): (&String, &model::Thing)| thing.buried().then(|| id.clone());
    world.model.things.iter().filter_map(gone).collect()
}

/// Each object that went in this round has its one event, and nothing else has.
fn check_events(site: &Site, world: &mut World, record: &mut Record, before: &BTreeSet<String>) {
    let database = database(&site.data_dir());
    let mut events = record.since(&database);
    events.sort_unstable();
    let acknowledged = world
        .model
        .things
        .iter()
        .filter(|(_, thing)| thing.acknowledged());
    let ids = acknowledged.map(|(id, _)| id.clone());
    let expected: Vec<_> = ids.filter(|id| !before.contains(id)).collect();
    if events != expected {
        world.diverge(format!(
            "there are events of {events:?}, and gone are {expected:?}"
        ));
    }
    let decided = "SELECT count(*) FROM decisions WHERE erased = 1";
    let decided: i64 = database
        .query_row(decided, [], |row| row.get(0))
        .expect("a number");
    if decided != record.events {
        world.diverge(format!("{} events, and {decided} decisions", record.events));
    }
}

/// The next round begins. A few of those that are gone will be asked for again.
fn bury(world: &mut World) {
    let acknowledged: BTreeSet<String> = world
        .model
        .things
        .iter()
        .filter(|(_, thing)| thing.acknowledged())
        .map(|(id, _)| id.clone())
        .collect();
    world.model.rest(|id| !acknowledged.contains(id));
    for id in acknowledged.iter().skip(REMEMBERED) {
        world.model.things.remove(id);
        world.contents.remove(id);
    }
}

#[test]
fn what_clients_were_told_holds_however_often_the_power_goes() {
    let mut random = Random::from_environment("campaign");
    let rounds = std::env::var("ATROPOS_ROUNDS");
    let rounds: u64 = rounds.map_or(5, |rounds| rounds.parse().expect("a number"));
    let site = Site::new();
    Desk::open(&site).add_key();
    let world = Mutex::new(World::default());
    let mut record = Record { events: 0 };
    let mut server = site.serve_with(CONFIG);
    let started = Instant::now();
    for round in 0..rounds {
        let lasts = Duration::from_millis(50 + random.below(550));
        // In some rounds nobody but the server has the database open when it dies.
        let attended = random.below(3) > 0;
        let mut seeds = [(); CLIENTS as usize + 1]
            .map(|()| random.below(u64::MAX))
            .into_iter();
        let mut chance = || Random::new(seeds.next().unwrap_or_default());
        let desk = attended.then(|| Desk::open(&site));
        let until = Instant::now() + lasts;
        std::thread::scope(|scope| {
            let (server, world) = (&server, &world);
            for _ in 0..CLIENTS {
                let random = chance();
                scope.spawn(move || load(server, world, random));
            }
            if let Some(desk) = desk {
                let random = chance();
                scope.spawn(move || desk.work(world, random, until));
            }
            std::thread::sleep(lasts);
            server.signal("KILL");
        });
        server.kill();

        let passed = "UPDATE shreds SET not_before_ms = 1 WHERE event IS NULL";
        database(&site.data_dir())
            .execute(passed, [])
            .expect("an update");
        server = site.serve_with(CONFIG);
        let mut world = world.lock();
        let world = &mut *world;
        let buried = gone(world);
        let found = found(&server, world);
        verify(world, &found);
        check_files(&site, world);
        let in_doubt = |(id, thing): (&String, &model::Thing)| thing.in_doubt().then(|| id.clone());
        let doubtful: Vec<_> = world.model.things.iter().filter_map(in_doubt).collect();
        world.model.rest(|id| found.contains_key(id));
        repeat(&server, world, doubtful);
        check_events(&site, world, &mut record, &buried);
        bury(world);
        assert!(
            world.divergences.is_empty(),
            "round {round}, killed after {lasts:?}:\n{}",
            world.divergences.join("\n")
        );
    }
    assert_eq!(server.stop(), Some(0));
    let tally = &world.lock().tally;
    eprintln!(
        "{rounds} rounds in {:.0?}, no divergence: {tally:?}",
        started.elapsed()
    );
}
