//! A tenant of the test's own, made on the command line, and what is in its data directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use super::machine::after;
use super::{
    DOCUMENT_USER, PATIENCE, Server, Starting, TENANT, WEBSITE, atropos, files, patiently, verb,
};

/// The API client whose token a [`Site`] has.
pub(crate) const CLIENT: &str = "crm";

/// A data directory with one tenant and nothing else, kept while servers come and go.
pub(crate) struct Site {
    folder: TempDir,
    data_dir: PathBuf,
    pub(crate) token: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        let mut site = Self::unmade();
        site.make();
        site
    }

    /// A site whose data directory is not there yet.
    pub(crate) fn unmade() -> Self {
        Self::unmade_in("")
    }

    /// The same, whose data directory is to be in this folder of the site's own, which is not there either.
    pub(crate) fn unmade_in(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        Self {
            data_dir: folder.path().join(name).join("data"),
            folder,
            token: String::new(),
        }
    }

    /// Makes the tenant, with a client that may do everything.
    pub(crate) fn make(&mut self) {
        let data_dir = self.data_dir();
        let run = |args: &[&str]| verb(&data_dir, args);
        run(&["tenant", "create", TENANT, "--website-id", WEBSITE]);
        run(&["client", "create", CLIENT]);
        let grant = ["client", "grant", CLIENT, "--tenant", TENANT];
        run(&[&grant[..], &["documents:read", "documents:write"]].concat());
        self.token = secret(&run(&["token", "issue", CLIENT]));
    }

    /// The folder that nobody but the test writes to; the data directory is beneath it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_with("")
    }

    /// Serves with this configuration, in TOML.
    pub(crate) fn serve_with(&self, config: &str) -> Server {
        self.serve_in(config, &[])
    }

    /// The same with nothing raised for busy machines: for who measures.
    pub(crate) fn serve_as_set(&self, config: &str) -> Server {
        self.serve_file(config, &[])
    }

    /// The same, with more in the server's environment.
    pub(crate) fn serve_in(&self, config: &str, more: &[(&str, String)]) -> Server {
        self.serve_file(&patiently(config), more)
    }

    fn serve_file(&self, config: &str, more: &[(&str, String)]) -> Server {
        let file = self.folder.path().join("atropos.toml");
        std::fs::write(&file, config).expect("a configuration");
        let file = file.to_str().expect("a path in UTF-8");
        let args = ["--config", file];
        let mut server = Server::start_in(&self.data_dir(), &args, more);
        server.token.clone_from(&self.token);
        server
    }
}

impl Site {
    /// Serves after these words of a shell, such as `ulimit -n 1024`; what it logged, if it does not.
    pub(crate) fn serve_after(&self, words: &str, args: &[&str]) -> Result<Server, String> {
        let command = after(words, &Starting::command(&self.data_dir(), args));
        let mut server = Starting::run(command, &self.data_dir(), false).ready()?;
        server.token.clone_from(&self.token);
        Ok(server)
    }

    /// Runs a verb after these words of a shell.
    pub(crate) fn run_after(&self, words: &str, args: &[&str]) -> Output {
        let mut verb = atropos(&self.data_dir());
        verb.args(args).arg("--json");
        after(words, &verb).output().expect("a shell runs")
    }
}

/// The secret in the answer of the verb that issued it.
pub(crate) fn secret(answer: &Value) -> String {
    answer["secret"].as_str().expect("a secret").to_owned()
}

impl Server {
    /// The bytes of a document, if there is one.
    pub(crate) fn document(&self, guid: &str) -> Option<Vec<u8>> {
        let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
        let request = self.http.get(self.url(&path)).bearer_auth(&self.token);
        let response = request.send().expect("an answer");
        match response.status().as_u16() {
            200 => Some(response.bytes().expect("bytes").to_vec()),
            404 => None,
            other => panic!("{other} for {guid}"),
        }
    }

    /// How often each document shows as deleted in its user's activity.
    pub(crate) fn deletions(&self) -> BTreeMap<String, u32> {
        let mut deletions = BTreeMap::new();
        for page in 1.. {
            let path = format!("/api/library/documents/activity/get/{TENANT}/{DOCUMENT_USER}");
            let path = format!("{path}?pageIndex={page}&pageSize=1000");
            let request = self.http.get(self.url(&path)).bearer_auth(&self.token);
            let events: Value = request.send().expect("an answer").json().expect("JSON");
            let events = events.as_array().expect("an array");
            for event in events {
                if event["activity"] == "User System File Delete" {
                    let guid = event["fileGuid"].as_str().expect("a GUID");
                    *deletions.entry(guid.to_owned()).or_default() += 1;
                }
            }
            if events.len() < 1000 {
                break;
            }
        }
        deletions
    }

    /// Sends a signal, such as `TERM`, and does not wait.
    pub(crate) fn signal(&self, name: &str) {
        let told = std::process::Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        assert!(told.expect("kill runs").success());
    }
}

/// The database beside a server.
pub(crate) fn database(data_dir: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(data_dir.join("atropos.db"), flags);
    let database = database.expect("a database");
    database.busy_timeout(PATIENCE).expect("a time-out");
    database
}

/// The blob keys that a table names: `blobs` or `shreds`.
pub(crate) fn keys(data_dir: &Path, table: &str) -> BTreeSet<String> {
    let database = database(data_dir);
    let query = format!("SELECT key FROM {table}");
    let mut query = database.prepare(&query).expect("a table");
    let keys = query.query_map([], |row| row.get(0)).expect("rows");
    keys.collect::<Result<_, _>>().expect("keys")
}

/// The file in which a volume of bytes bears its id.
pub(crate) const MARKER: &str = "volume-id";

/// Where files are in quarantine, each under its key.
pub(crate) fn quarantine(data_dir: &Path) -> PathBuf {
    data_dir.join("blobs").join("quarantine")
}

/// The blob keys that have a file in its place.
pub(crate) fn blob_files(data_dir: &Path) -> BTreeSet<String> {
    let root = data_dir.join("blobs");
    let key = |path: PathBuf| {
        let path = path.strip_prefix(&root).expect("beneath").to_owned();
        path.to_str().expect("a key").replace('/', "")
    };
    let files = files(&root).into_iter();
    let blobs =
        files.filter(|path| !path.ends_with(MARKER) && !path.starts_with(quarantine(data_dir)));
    blobs.map(key).collect()
}

/// The file of an object's first blob.
pub(crate) fn blob_of(data_dir: &Path, id: &str) -> PathBuf {
    let key = "
        SELECT key FROM blobs JOIN objects ON objects.id = object
        WHERE public_id = ? ORDER BY ordinal LIMIT 1";
    let key = database(data_dir).query_row(key, [id], |row| row.get::<_, String>(0));
    blob_path(data_dir, &key.expect("a blob"))
}

/// Where the file of a key is.
pub(crate) fn blob_path(data_dir: &Path, key: &str) -> PathBuf {
    let (shard, name) = key.split_at(2);
    data_dir.join("blobs").join(shard).join(name)
}

/// Waits, as long as a busy machine may need, until something holds.
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
