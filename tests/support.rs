//! The real binary, started as a user would, and the words to speak with it.

// Chance that can be repeated.
pub(crate) mod random;
// Photos as a client sees and sends them.
pub(crate) mod photos;
// Requests written by hand.
pub(crate) mod raw;
// Components made on the spot.
pub(crate) mod forge;
// A tenant of the test's own, and what is in its data directory.
pub(crate) mod site;
// The demo's two tenants, and deletes that are answered alike.
pub(crate) mod demo;
// Small volumes, files that cannot be changed, other clocks.
pub(crate) mod machine;
// A file system that keeps no more than fsync(2) promises.
pub(crate) mod forgetful;
// Requests that may get no answer.
pub(crate) mod asking;
// Files that tests write and people review.
pub(crate) mod written;
// A platform in memory, set for guests that misbehave.
pub(crate) mod stage;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const SITE_KEY: &str = "c961461a-b287-448c-b9ea-e1162bd80b8e";
pub(crate) const WEBSITE: &str = "422";
pub(crate) const TENANT: &str = "mytenant";
pub(crate) const PHOTO_USER: &str = "u-1001";
pub(crate) const DOCUMENT_USER: u64 = 6;
pub(crate) const GUID: &str = "fcc588f3-d1e8-47cd-8b08-e878daecb214";
pub(crate) const PHOTO: &str = "0b54a9d2-8c1f-4f6e-9a37-5d2c7e10b4a1";

/// How long whatever must happen may take on a busy machine. It is no subject of any test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What programs are set to, unless a test sets something else: no deadline interferes with what comes
/// out the same on every machine.
pub(crate) const PATIENT: &str = "[plugin]\ndeadline-ms = 60000\n[policy]\ndeadline-ms = 60000\n\
    [components]\ndeadline-ms = 600000\n";

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn atropos(data_dir: &Path) -> Command {
    // A measurement may name another build, such as one of release.
    let other = std::env::var_os("ATROPOS_EXE");
    let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_atropos").into());
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(data_dir);
    // What the developer has set must not decide a test, nor must how busy the machine is.
    command.env("ATROPOS_CONFIG", patient());
    for name in [
        "ATROPOS_LOG",
        "ATROPOS_KEY",
        "ATROPOS_TOKEN",
        "ATROPOS_DATA_DIR",
    ] {
        command.env_remove(name);
    }
    command
}

/// The file that says [`PATIENT`]. It is renamed into place: a second run of these tests, from the
/// same folder at the same time, must never read half of it.
fn patient() -> &'static Path {
    static FILE: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let written = folder.join(format!("patient-{}.toml", std::process::id()));
        std::fs::write(&written, PATIENT).expect("a configuration");
        let file = folder.join("patient.toml");
        std::fs::rename(&written, &file).expect("the configuration in its place");
        file
    });
    &FILE
}

/// These settings and, of what they do not set, [`PATIENT`].
pub(crate) fn patiently(settings: &str) -> String {
    let read = |text: &str| toml::from_str::<toml::Table>(text).expect("TOML");
    let mut both = read(settings);
    for (name, patient) in read(PATIENT) {
        let section = both.entry(name).or_insert(toml::Table::new().into());
        for (key, value) in patient.as_table().expect("a table") {
            let section = section.as_table_mut().expect("a table");
            section.entry(key).or_insert(value.clone());
        }
    }
    both.to_string()
}

/// Runs one verb beside the server and returns what it said, whatever its exit code.
pub(crate) fn run(data_dir: &Path, args: &[&str]) -> Output {
    atropos(data_dir)
        .args(args)
        .output()
        .expect("the binary runs")
}

/// The user whom the system has the tests run as, as the program names it.
pub(crate) fn system_user() -> String {
    let id = |what| {
        let said = Command::new("id").arg(what).output().expect("id runs");
        let text = String::from_utf8(said.stdout).expect("text");
        said.status.success().then(|| text.trim().to_owned())
    };
    // Some are known by their number alone.
    id("-un").unwrap_or_else(|| format!("uid:{}", id("-u").unwrap_or_default()))
}

/// Runs one verb that must succeed, with `--json`, and returns its answer.
pub(crate) fn verb(data_dir: &Path, args: &[&str]) -> Value {
    let output = run(data_dir, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// The JSON object that a failed verb says at the end; what it logs comes before.
pub(crate) fn failure(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("no JSON object, {error}: {said}"))
}

/// A running server over a data directory of its own; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
    pub(crate) token: String,
    /// The requests to try, as the demo prints them: ready to paste into a shell.
    pub(crate) tour: String,
    pub(crate) http: Client,
    data_dir: PathBuf,
    log: std::sync::Arc<parking_lot::Mutex<String>>,
    _owned: Option<TempDir>,
}

impl Server {
    /// The demo on a fresh data directory.
    pub(crate) fn demo() -> Self {
        let owned = tempfile::tempdir().expect("a directory");
        let data_dir = owned.path().join("data");
        let mut server = Self::start(&data_dir, &["--demo"]);
        server._owned = Some(owned);
        server
    }

    /// A server on this data directory, which outlives it.
    pub(crate) fn start(data_dir: &Path, args: &[&str]) -> Self {
        Self::start_in(data_dir, args, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_in(data_dir: &Path, args: &[&str], more: &[(&str, String)]) -> Self {
        let more: Vec<_> = more.iter().map(|(name, value)| (*name, &**value)).collect();
        let started = Starting::new(data_dir, args, &more).ready();
        started.unwrap_or_else(|log| panic!("no server: {log}"))
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What the server has written to stderr since the tour.
    pub(crate) fn log(&self) -> String {
        self.log.lock()[self.tour.len()..].to_owned()
    }

    /// All that the server has written to stderr.
    pub(crate) fn whole_log(&self) -> String {
        self.log.lock().clone()
    }

    /// All that the server has written to stderr, once it has been told to stop and has ended.
    pub(crate) fn last_log(mut self) -> String {
        self.signal("TERM");
        self.child.wait().expect("it ended");
        to_its_end(&self.log)
    }

    /// Whether the process is gone.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().expect("a process").is_some()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.http.get(self.url(path)).send().expect("an answer")
    }

    /// Deletes a photo of the demo's user.
    pub(crate) fn delete_photo(&self, id: &str) -> (u16, Value) {
        let path = format!("/api/4/UploadImage/DeleteUserPhoto?userId={PHOTO_USER}&photoId={id}");
        let request = self.http.get(self.url(&path));
        let request = request.header("websiteId", WEBSITE);
        let response = request.header("webApiClientKey", SITE_KEY).send();
        answer(response.expect("an answer"))
    }

    /// Deletes a document of the demo's user account.
    pub(crate) fn delete_document(&self, guid: &str) -> (u16, String) {
        let body = serde_json::json!({
            "tenantSubDomain": TENANT, "userAccountId": DOCUMENT_USER, "fileGuid": guid,
        });
        let request = self.http.post(self.url("/api/library/documents/delete"));
        let response = request.bearer_auth(&self.token).json(&body).send();
        let response = response.expect("an answer");
        (response.status().as_u16(), response.text().expect("text"))
    }

    /// Uploads a document of the demo's user account and returns its GUID.
    pub(crate) fn upload_document(&self, name: &str, bytes: &[u8]) -> String {
        use reqwest::blocking::multipart::{Form, Part};
        let file = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        let form = Form::new()
            .text("tenantSubDomain", TENANT)
            .text("userAccountId", DOCUMENT_USER.to_string())
            .part("file", file);
        let request = self
            .http
            .post(self.url("/api/file/upload/admin-for-client/store"));
        let response = request.bearer_auth(&self.token).multipart(form).send();
        let response = response.expect("an answer");
        assert_eq!(response.status(), 200);
        response.json().expect("a GUID")
    }

    /// The GUIDs of the documents of the demo's user account.
    pub(crate) fn documents(&self) -> Vec<String> {
        let path = format!("/api/library/documents/list/get/{TENANT}/{DOCUMENT_USER}");
        let request = self.http.get(self.url(&path)).bearer_auth(&self.token);
        let list: Value = request.send().expect("an answer").json().expect("JSON");
        let entries = list.as_array().expect("an array").iter();
        entries
            .map(|entry| entry["fileGuid"].as_str().expect("a GUID").to_owned())
            .collect()
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ended");
    }

    /// Waits until the process has ended by itself, and returns its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ended").code()
    }

    /// Asks the process to stop, and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill runs").success());
        self.child.wait().expect("it ended").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that may not come to listen.
pub(crate) struct Starting {
    child: Child,
    data_dir: PathBuf,
    demo: bool,
    log: std::sync::Arc<parking_lot::Mutex<String>>,
}

impl Starting {
    /// Starts it with these variables in its environment.
    pub(crate) fn new(data_dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Self::command(data_dir, args);
        command.envs(variables.iter().copied());
        Self::run(command, data_dir, args.contains(&"--demo"))
    }

    /// The same with another stderr; what goes to any but a pipe of its own is not read.
    pub(crate) fn logging_to(
        stderr: Stdio,
        data_dir: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Self::command(data_dir, args);
        command.envs(variables.iter().copied()).stderr(stderr);
        Self::spawn(command, data_dir, args.contains(&"--demo"))
    }

    /// What starts one.
    pub(crate) fn command(data_dir: &Path, args: &[&str]) -> Command {
        let mut command = atropos(data_dir);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args);
        command
    }

    /// Starts it by a command.
    pub(crate) fn run(mut command: Command, data_dir: &Path, demo: bool) -> Self {
        command.stderr(Stdio::piped());
        Self::spawn(command, data_dir, demo)
    }

    fn spawn(mut command: Command, data_dir: &Path, demo: bool) -> Self {
        command.stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        Self {
            log: child.stderr.take().map_or_else(Default::default, collect),
            child,
            data_dir: data_dir.to_owned(),
            demo,
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Ends it before it listens.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it ended");
    }

    /// Waits until it listens. If it ends instead: what it logged.
    pub(crate) fn ready(mut self) -> Result<Server, String> {
        let mut line = String::new();
        let mut stdout = BufReader::new(self.child.stdout.take().expect("a pipe"));
        let started = Instant::now();
        stdout.read_line(&mut line).expect("a line");
        let Some(base) = line.trim().strip_prefix("listening on ") else {
            let _ = self.child.wait();
            return Err(format!("{line:?}, {}", to_its_end(&self.log)));
        };
        assert!(started.elapsed() < PATIENCE, "took too long to start");
        let tour = loop {
            let tour = self.log();
            let complete = tour.contains("\n  -d '") && tour.ends_with("\n");
            if !self.demo || complete || started.elapsed() > PATIENCE {
                break tour;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let token = tour
            .split("Bearer ")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        Ok(Server {
            token: token.unwrap_or_default().to_owned(),
            tour,
            base: base.to_owned(),
            child: self.child,
            http: client(),
            data_dir: self.data_dir,
            log: self.log,
            _owned: None,
        })
    }
}

pub(crate) fn client() -> Client {
    let client = Client::builder().timeout(2 * PATIENCE).no_proxy();
    client.build().expect("a client")
}

/// Asks again and again until there is something, at most for [`PATIENCE`].
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Does something with every item, so many at a time. The outcomes are in the order of the items.
pub(crate) fn at_once<T: Sync, R: Send>(
    clients: usize,
    items: &[T],
    job: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    at_once_while(clients, items, job, || {})
}

/// The same, while `meanwhile` goes on beside it.
pub(crate) fn at_once_while<T: Sync, R: Send>(
    clients: usize,
    items: &[T],
    job: impl Fn(&T) -> R + Sync,
    meanwhile: impl FnOnce(),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = parking_lot::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let outcome = job(item);
                    done.lock().insert(index, outcome);
                }
            });
        }
        meanwhile();
    });
    done.into_inner().into_values().collect()
}

/// Status and JSON body.
pub(crate) fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().unwrap_or(Value::Null))
}

/// Whether any file beneath `folder` holds `needle`.
pub(crate) fn holds(folder: &Path, needle: &[u8]) -> Option<PathBuf> {
    files(folder).into_iter().find(|path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

/// Every file beneath `folder`.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Whether `program` is there. Missing, it is said loudly, and is an error where `ATROPOS_REQUIRE`
/// names it.
pub(crate) fn available(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        machine::missing(program, "it is not installed");
    }
    found
}

/// Reads a pipe to its end in the background, so that it never fills up.
/// What a process that has ended wrote. Whoever collects it lets go of it at its end.
fn to_its_end(log: &std::sync::Arc<parking_lot::Mutex<String>>) -> String {
    eventually("the log ends", || {
        (std::sync::Arc::strong_count(log) == 1).then_some(())
    });
    log.lock().clone()
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::sync::Arc<parking_lot::Mutex<String>> {
    let text = std::sync::Arc::new(parking_lot::Mutex::new(String::new()));
    let into = std::sync::Arc::clone(&text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            into.lock()
                .push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    });
    text
}
