//! What one tenant or caller who takes all that it can get costs another tenant, measured.
//!
//! `cargo test --release -p atropos-server --test atropos who_pays -- --ignored --nocapture`; with `ATROPOS_EXE` of
//! another build of the program, and with `ATROPOS_ROW` of one row.
//!
//! Each row takes turns between three periods: calm; an attack; and as much as the attack cost, done by
//! threads of this process instead (computing, or writing and syncing). A machine of two cores has less
//! for everybody in either, so what counts is the ratio of the last two.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atropos_test_guests as guests;
use parking_lot::Mutex;
use reqwest::blocking::Client;
use reqwest::blocking::multipart::{Form, Part};
use rusqlite::{Connection, params};
use serde_json::json;

use crate::support::photos::picture;
use crate::support::raw::{Raw, Request};
use crate::support::site::{Site, secret};
use crate::support::{self, DOCUMENT_USER, Server, TENANT, verb};

const ROUNDS: usize = 3;
const PERIOD: Duration = Duration::from_secs(4);
/// How often the other tenant asks.
const PACE: Duration = Duration::from_millis(10);

const PHOTO: &[u8] = include_bytes!("fuzz/seeds/picture/rgb.png");
/// It denies, so that the first policy of the chain is asked again and again.
const RETENTION: &str = r#"retention={"minimum-age-days":{"photo":30,"document":30}}"#;
/// How many documents the user has whose list is long.
const LONG_LIST: usize = 100_000;
const LONG_LIST_USER: u64 = 7777;
const ATTACKING_CLIENT: &str = "attacker";
/// How many requests one thread has under way where there are many: so many threads would be in one
/// another's way, and not the server.
const AT_ONCE: usize = 16;

/// One row of the table.
struct Row {
    part: &'static str,
    by: &'static str,
    /// How many threads attack.
    callers: usize,
    /// What each does again and again.
    attack: fn(&Street, usize),
    control: Control,
    config: &'static str,
    policy: Option<&'static [u8]>,
}

/// What is done instead of the attack.
#[derive(Clone, Copy)]
enum Control {
    /// As much computing.
    Compute,
    /// Computing, and writing 32 KiB with a sync after each write, one after the other.
    Sync,
    /// Computing, and writing 8 MiB with a sync after each write, one after the other.
    Write,
    /// Computing, and writing as many bytes as the server did, to files of which so many are kept, as
    /// the server keeps those of uploads under way.
    AsMuch(usize),
}

impl Control {
    /// How much is written at once, if anything.
    fn bytes(self) -> Option<usize> {
        match self {
            Self::Compute => None,
            Self::Sync => Some(32 << 10),
            Self::Write => Some(8 << 20),
            Self::AsMuch(_) => Some(1 << 20),
        }
    }
}

const ROWS: [Row; 15] = [
    Row {
        part: "serving threads",
        by: "8 callers who list 100,000 documents, the last page of one",
        callers: 8,
        attack: |street, _| street.list(),
        control: Control::Compute,
        config: "",
        policy: None,
    },
    Row {
        part: "serving threads, places in the sandbox",
        by: "3 tenants with 60 callers each, whose policies are slow",
        callers: 180,
        attack: |street, caller| street.attack(caller % 3),
        control: Control::Compute,
        // None is held off, however long it waits for a core.
        config: "[policy]\ndeadline-ms = 60000\n",
        policy: Some(guests::BUSY),
    },
    Row {
        part: "places (connections)",
        by: "200 connections for 200 places, whose bodies never come",
        callers: 200,
        attack: |street, _| street.never_send(),
        control: Control::Compute,
        config: "[http]\nmax-connections = 200\n",
        policy: None,
    },
    Row {
        part: "plugin",
        by: "16 callers of a tenant whose policy fails at each call",
        callers: 16,
        attack: |street, _| street.attack(0),
        control: Control::Compute,
        config: "",
        policy: Some(guests::TRAP),
    },
    Row {
        part: "plugin",
        by: "16 callers with credentials that nobody has",
        callers: 16,
        attack: |street, caller| street.guess(caller),
        control: Control::Compute,
        config: "",
        policy: None,
    },
    Row {
        part: "committer",
        by: "16 callers of a tenant who upload and delete documents",
        callers: 16,
        attack: |street, _| street.upload_and_delete(),
        control: Control::Sync,
        config: "",
        policy: None,
    },
    Row {
        part: "writer",
        by: "64 callers of a tenant whose deletes are refused and recorded",
        callers: 64 / AT_ONCE,
        attack: |street, caller| street.attack_at_once(caller, 0),
        control: Control::Sync,
        config: "",
        policy: Some(guests::DENY_ALL),
    },
    Row {
        part: "writer",
        by: "64 callers each of 3 tenants whose policies are held off",
        callers: 3 * 64 / AT_ONCE,
        attack: |street, caller| street.attack_at_once(caller, caller % 3),
        control: Control::Sync,
        config: "",
        policy: Some(guests::TRAP),
    },
    Row {
        part: "memory (uploads)",
        by: "32 uploads at once of 1 MiB, which break off",
        callers: 32 / AT_ONCE,
        attack: |street, _| {
            for begun in street.begin_uploads() {
                begun.hang_up().answer();
            }
        },
        control: Control::AsMuch(32),
        config: "",
        policy: None,
    },
    Row {
        part: "places (uploads)",
        by: "uploads of 1 MiB as fast as 2 callers can send, which break off",
        callers: 2,
        attack: |street, _| drop(street.begin_uploads()),
        control: Control::AsMuch(1024),
        config: "",
        policy: None,
    },
    Row {
        part: "decoder",
        by: "8 callers who upload photos of 16 megapixels",
        callers: 8,
        attack: |street, _| street.upload_photo(&street.large_photo),
        control: Control::Compute,
        config: "",
        policy: None,
    },
    Row {
        part: "queues (shadows)",
        by: "16 callers of a tenant whose shadow computes without end",
        callers: 16,
        attack: |street, _| street.attack(0),
        control: Control::Sync,
        config: "",
        policy: Some(guests::DENY_ALL),
    },
    Row {
        part: "disk",
        by: "4 callers who upload documents of 8 MiB",
        callers: 4,
        attack: |street, _| street.upload_document(),
        control: Control::Write,
        config: "",
        policy: None,
    },
    Row {
        part: "caches, tables (tokens)",
        by: "16 callers of a client who ask for tokens",
        callers: 16,
        attack: |street, _| street.issue_token(),
        control: Control::Sync,
        config: "",
        policy: None,
    },
    Row {
        part: "tables (idempotency keys)",
        by: "16 callers of a tenant with a new key each time",
        callers: 16,
        attack: |street, _| street.attack_with_new_key(),
        control: Control::Sync,
        config: "",
        policy: Some(guests::DENY_ALL),
    },
];

/// A server with the tenants that attack, and one beside them.
struct Street {
    server: Server,
    attackers: Vec<(String, String)>,
    other: (String, String),
    /// The other tenant is on another machine: it shares no thread with those that attack.
    others_http: Client,
    /// What a client proves itself by.
    client_secret: String,
    large_photo: Vec<u8>,
    large_document: Vec<u8>,
    /// Those of each thread that has several.
    connections: Vec<Mutex<Vec<Raw>>>,
    site: Site,
}

impl Street {
    fn new(row: &Row) -> Self {
        let site = Site::new();
        let data_dir = site.data_dir();
        let run = |args: &[&str]| verb(&data_dir, args);
        let file = |name: &str, bytes: &[u8]| {
            let path = site.folder().join(name);
            std::fs::write(&path, bytes).expect("a file");
            path.to_str().expect("a path in UTF-8").to_owned()
        };
        let photo = file("a.png", PHOTO);
        let policy = row.policy.map(|policy| file("policy.wasm", policy));
        let tenant = |name: &str, website: u64| {
            let website = website.to_string();
            run(&["tenant", "create", name, "--website-id", &website]);
            let named = ["--tenant", name, "--user", "u", "--id", "p"];
            run(&[&["object", "put", "photo", &photo], &named[..]].concat());
            (website, secret(&run(&["key", "issue", "--tenant", name])))
        };
        let attackers = (0..3).map(|number| {
            let name = format!("attacker{number}");
            let made = tenant(&name, 7000 + number);
            if let Some(policy) = &policy {
                let chain = ["--policy", policy, "--policy", RETENTION];
                run(&[&["policy", "assign", "--tenant", &name], &chain[..]].concat());
            }
            made
        });
        let attackers = attackers.collect();
        let other = tenant("other", 8000);
        run(&[
            "policy", "assign", "--tenant", "other", "--policy", RETENTION,
        ]);
        if row.part == "serving threads" {
            long_list(&data_dir);
        }
        let client_secret = secret(&run(&["client", "create", ATTACKING_CLIENT]));
        if row.part.contains("shadows") {
            let spin = file("spin.wasm", guests::SPIN);
            let shadow = ["policy", "assign", "--tenant", "attacker0", "--shadow"];
            run(&[&shadow[..], &["--policy", &spin, "--deadline", "2s"]].concat());
        }
        let server = site.serve_as_set(row.config);
        Self {
            server,
            attackers,
            other,
            others_http: support::client(),
            client_secret,
            large_photo: picture(4000, 4000),
            large_document: vec![7; 8 << 20],
            connections: (0..row.callers).map(|_| Mutex::default()).collect(),
            site,
        }
    }

    fn ask(&self, http: &Client, (website, key): (&str, &str)) -> Option<u16> {
        let path = "/api/4/UploadImage/DeleteUserPhoto?userId=u&photoId=p";
        let request = http.get(self.server.url(path));
        let request = request.header("websiteId", website);
        let response = request.header("webApiClientKey", key).send().ok()?;
        let status = response.status().as_u16();
        response.bytes().ok()?;
        Some(status)
    }

    fn attack(&self, attacker: usize) {
        let (website, key) = &self.attackers[attacker];
        self.ask(&self.server.http, (website, key));
    }

    /// The same, many at once.
    fn attack_at_once(&self, caller: usize, attacker: usize) {
        let (website, key) = &self.attackers[attacker];
        let request = format!(
            "GET /api/4/UploadImage/DeleteUserPhoto?userId=u&photoId=p HTTP/1.1\r\nHost: x\r\n\
             websiteId: {website}\r\nwebApiClientKey: {key}\r\n\r\n"
        );
        let mut connections = self.connections[caller].lock();
        while connections.len() < AT_ONCE {
            connections.push(self.server.dial());
        }
        for connection in connections.iter_mut() {
            connection.send(&request);
        }
        for connection in connections.iter_mut() {
            connection.next_answer();
        }
    }

    /// With a credential that nobody has.
    fn guess(&self, caller: usize) {
        self.ask(&self.server.http, ("1", &format!("guess-{caller}")));
    }

    fn list(&self) {
        let path = format!("/api/library/documents/list/get/{TENANT}/{LONG_LIST_USER}");
        let path = format!("{path}?pageSize=1&pageIndex={LONG_LIST}");
        let request = self.server.http.get(self.server.url(&path));
        drop(request.bearer_auth(&self.server.token).send());
    }

    fn upload_and_delete(&self) {
        let guid = self.server.upload_document("a.txt", b"some bytes");
        let body = json!({
            "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
        });
        let request = self
            .server
            .http
            .post(self.server.url("/api/library/documents/delete"));
        drop(request.bearer_auth(&self.server.token).json(&body).send());
    }

    /// Sends a part of each of several uploads.
    fn begin_uploads(&self) -> Vec<Raw> {
        let (request, _) = self.server.raw_upload("a.bin", 8 << 20);
        let head = request.head.replace("Expect: 100-continue\r\n", "");
        let part = vec![7; 64 << 10];
        let mut connections: Vec<Raw> = (0..AT_ONCE).map(|_| self.server.dial()).collect();
        let begin = [head.as_bytes(), &request.body];
        for bytes in begin.into_iter().chain([&*part; 16]) {
            for connection in &mut connections {
                // One that was refused is closed.
                let _ = connection.try_send(bytes);
            }
        }
        connections
    }

    fn upload_photo(&self, bytes: &[u8]) {
        let (website, key) = &self.attackers[0];
        let part = Part::bytes(bytes.to_vec()).file_name("a.png");
        let form = Form::new().text("userId", "u").part("postedFile", part);
        let url = self.server.url("/api/4/UploadImage/UploadImage");
        let request = self.server.http.post(url).header("websiteId", website);
        drop(
            request
                .header("webApiClientKey", key)
                .multipart(form)
                .send(),
        );
    }

    fn upload_document(&self) {
        self.server.upload_document("a.bin", &self.large_document);
    }

    fn issue_token(&self) {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", ATTACKING_CLIENT),
            ("client_secret", &self.client_secret),
        ];
        let request = self.server.http.post(self.server.url("/oauth/token"));
        drop(request.form(&form).send());
    }

    fn attack_with_new_key(&self) {
        let (website, key) = &self.attackers[0];
        let path = "/api/4/UploadImage/DeleteUserPhoto?userId=u&photoId=p";
        let request = self.server.http.get(self.server.url(path));
        let request = request.header("websiteId", website);
        let request = request.header("webApiClientKey", key);
        let new = format!("\"{}\"", uuid::Uuid::new_v4());
        drop(request.header("Idempotency-Key", new).send());
    }

    /// Sends the headers of a request and waits until the server hangs up, or for a second.
    fn never_send(&self) {
        use std::io::{Read as _, Write as _};
        let address = self.server.base.trim_start_matches("http://");
        let Ok(mut stream) = std::net::TcpStream::connect(address) else {
            return;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let Request { head, .. } = self.server.raw_delete("none");
        let _ = stream.write_all(head.replace("Expect: 100-continue\r\n", "").as_bytes());
        let _ = stream.read(&mut [0; 256]);
    }

    /// How long each delete of the other tenant took.
    fn other(&self) -> Vec<Duration> {
        let (website, key) = &self.other;
        let started = Instant::now();
        let mut took = Vec::new();
        while started.elapsed() < PERIOD {
            let begun = Instant::now();
            let status = self.ask(&self.others_http, (website, key));
            assert_eq!(status, Some(403), "its policy keeps the photo");
            took.push(begun.elapsed());
            std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        }
        took
    }

    /// What the other tenant sees while so many threads do something again and again.
    fn beside(&self, threads: usize, job: impl Fn(usize) + Sync) -> Vec<Duration> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..threads {
                let (stop, job) = (&stop, &job);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        job(number);
                    }
                });
            }
            // All are at it.
            std::thread::sleep(Duration::from_millis(500));
            let took = self.other();
            stop.store(true, Ordering::Relaxed);
            took
        })
    }

    /// How many bytes the server has written.
    fn written(&self) -> u64 {
        let figures = std::fs::read_to_string(format!("/proc/{}/io", self.server.pid()));
        let figures = figures.expect("figures");
        let written = figures
            .lines()
            .find_map(|line| line.strip_prefix("wchar: "));
        written.expect("a figure").parse().expect("a number")
    }

    /// Seconds of processor time that the server and this process have used.
    fn computed(&self) -> f64 {
        seconds(Path::new("/proc/self/stat"))
            + seconds(&PathBuf::from(format!("/proc/{}/stat", self.server.pid())))
    }
}

/// What a process has computed, in seconds.
fn seconds(stat: &Path) -> f64 {
    let stat = std::fs::read_to_string(stat).expect("figures");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<_> = fields.split_whitespace().collect();
    let ticks: u64 = [11, 12]
        .map(|field: usize| fields[field].parse::<u64>().expect("ticks"))
        .iter()
        .sum();
    ticks as f64 / 100.0
}

/// Gives one user many documents, none of which has bytes.
fn long_list(data_dir: &Path) {
    let mut database = Connection::open(data_dir.join("atropos.db")).expect("a database");
    let transaction = database.transaction().expect("a transaction");
    let insert = "
        INSERT INTO objects (tenant, kind, owner, public_id, version, size_bytes, media_type,
            created_at_ms, labels, name)
        SELECT id, 'document', ?, ?, 1, 1, 'text/plain', ?, '[]', 'a.txt' FROM tenants
        WHERE subdomain = ?";
    for number in 0..LONG_LIST {
        let id = uuid::Uuid::new_v4().to_string();
        let values = params![LONG_LIST_USER.to_string(), id, number as i64, TENANT];
        transaction.execute(insert, values).expect("a row");
    }
    transaction.commit().expect("a commit");
}

/// Computes for a part of each 10 ms.
fn compute(part: f64) {
    let begun = Instant::now();
    let period = Duration::from_millis(10);
    while begun.elapsed() < period.mul_f64(part) {
        std::hint::spin_loop();
    }
    std::thread::sleep(period.saturating_sub(begun.elapsed()));
}

/// Writes so many bytes and syncs them.
fn write_and_sync(file: &Path, bytes: usize) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).expect("a file");
    file.write_all(&vec![1; bytes]).expect("room");
    file.sync_data().expect("a disk");
}

/// Writes so many bytes in place of the file that has this number, if there is one, and waits until the
/// pause is over since it began.
fn write_one_of(folder: &Path, number: usize, bytes: usize, pause: Duration) {
    let begun = Instant::now();
    let file = folder.join(number.to_string());
    let _ = std::fs::remove_file(&file);
    std::fs::write(file, vec![1; bytes]).expect("room");
    std::thread::sleep(pause.saturating_sub(begun.elapsed()));
}

fn p99(took: &mut [Duration]) -> f64 {
    took.sort();
    took[(took.len() - 1) * 99 / 100].as_secs_f64() * 1000.0
}

#[test]
#[ignore = "a measurement: minutes, on a quiet machine, in release"]
fn what_an_attack_costs_another_tenant_beside_as_much_work_of_another_process() {
    let wanted = std::env::var("ATROPOS_ROW").unwrap_or_default();
    println!(
        "| shared part | attacked by | p99 calm | attacked | as much work elsewhere | ratio |"
    );
    println!("|---|---|--:|--:|--:|--:|");
    for row in ROWS.iter().filter(|row| row.part.contains(&wanted)) {
        let street = Street::new(row);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let scratch = street.site.folder().join("scratch");
        std::fs::create_dir(&scratch).expect("a folder");
        let written_files = AtomicUsize::new(0);
        let (mut calm, mut attacked, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let idle = street.computed();
            calm.extend(street.beside(0, |_| {}));
            let idle = street.computed() - idle;
            let (busy, written_before) = (street.computed(), street.written());
            attacked.extend(street.beside(row.callers, |caller| (row.attack)(&street, caller)));
            let cost = (street.computed() - busy - idle).max(0.0) / PERIOD.as_secs_f64();
            let part = (cost / cores as f64).min(1.0);
            let bytes = row.control.bytes();
            let written = (street.written() - written_before) as f64;
            let pause = PERIOD.mul_f64((1 << 20) as f64 / written.max(1.0));
            let threads = cores + usize::from(bytes.is_some());
            elsewhere.extend(street.beside(threads, |thread| match bytes {
                Some(bytes) if thread == cores => match row.control {
                    Control::AsMuch(kept) => {
                        let number = written_files.fetch_add(1, Ordering::Relaxed);
                        write_one_of(&scratch, number % kept, bytes, pause);
                    }
                    _ => write_and_sync(&scratch.join("synced"), bytes),
                },
                _ => compute(part),
            }));
        }
        let [calm, attacked, elsewhere] =
            [&mut calm, &mut attacked, &mut elsewhere].map(|took| p99(took));
        println!(
            "| {} | {} | {calm:.1} ms | {attacked:.1} ms | {elsewhere:.1} ms | {:.2} |",
            row.part,
            row.by,
            attacked / elsewhere
        );
    }
}
