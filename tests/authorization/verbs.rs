//! Every verb of the command line. Whoever can open the data directory is the operator, whom nobody
//! asks for a credential, except where a delete is typed as a caller would send it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use atropos::guest::ALLOW_ALL;
use atropos_server::cli::Cli;
use clap::CommandFactory as _;

use super::{Caller, WRONG, callers, table};
use crate::support::photos::picture;
use crate::support::site::Site;
use crate::support::written::assert_written;
use crate::support::{
    self, DOCUMENT_USER, PHOTO, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE, atropos,
};

const OPERATOR: &str = "\
# Verbs of the operator

Whoever can open the data directory may do all of this, and nobody else: a credential makes no
difference. The verbs of a policy's author, and `component check` and `new`, need no directory.

";

const CALLERS: &str = "
# Verbs of a caller

What is typed goes the way of a request, and so needs its credential as well as the data directory.
The callers are those of the endpoints.

";

/// Every verb that does something, such as `key issue`.
pub(crate) fn verbs() -> Vec<String> {
    fn walk(command: &clap::Command, words: &str, into: &mut Vec<String>) {
        if !command.has_subcommands() {
            into.push(words.trim_start().to_owned());
        }
        // What is hidden is what the program runs itself as.
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        for verb in verbs {
            walk(verb, &format!("{words} {}", verb.get_name()), into);
        }
    }
    let mut verbs = Vec::new();
    walk(&Cli::command(), "", &mut verbs);
    verbs
}

/// Site key and bearer token.
type Credentials<'a> = [Option<&'a str>; 2];

/// What the verbs are about.
struct Stage {
    server: Server,
    /// A picture.
    file: String,
    component: String,
    cases: String,
}

impl Stage {
    fn set() -> Self {
        let server = Server::demo();
        let write = |name: &str, bytes: &[u8]| {
            let file = server.data_dir().with_file_name(name);
            std::fs::write(&file, bytes).expect("a file");
            file.to_str().expect("a path in UTF-8").to_owned()
        };
        Self {
            file: write("put.png", &picture(4, 4)),
            component: write("allow-all.wasm", ALLOW_ALL.1),
            cases: write(
                "cases.toml",
                b"[[case]]\nname = \"any\"\nexpect = \"allow\"",
            ),
            server,
        }
    }

    /// The id of a decision on record.
    fn decision(&self) -> String {
        self.server.delete_photo(PHOTO);
        let list = ["decision", "list", "--tenant", TENANT];
        let decisions = support::verb(self.server.data_dir(), &list);
        decisions[0]["id"].as_str().expect("an id").to_owned()
    }

    /// The arguments with which a verb does something, the `nth` time.
    fn arguments(&self, verb: &str, nth: usize) -> Vec<String> {
        let dir = self.server.data_dir();
        let issued = |args: &[&str]| {
            let issued = support::verb(dir, args);
            issued["id"].as_str().expect("an id").to_owned()
        };
        let tenant = ["--tenant", TENANT];
        let fresh = format!("fresh-{nth}");
        let website = format!("70{nth}");
        let beside = format!("{}-{nth}", self.component);
        let backup = format!("{}-{verb}-{nth}", self.component);
        let id;
        let photo = [&["photo", PHOTO, "--user", PHOTO_USER][..], &tenant].concat();
        let reason = [&photo[..], &["--reason", "a case"]].concat();
        let label = [&photo[..], &["--label", "beach"]].concat();
        let put = [&["photo", &*self.file, "--user", PHOTO_USER][..], &tenant].concat();
        let rest: &[&str] = match verb {
            "serve" => &["--listen", "127.0.0.1:0"],
            "tenant list" | "client list" | "policy list" | "doctor" | "status" | "volume show"
            | "quarantine list" | "quarantine release" | "volume adopt" => &[],
            "tenant create" => &[&fresh, "--website-id", &website],
            "key issue" | "key list" | "policy show" | "policy history" | "policy rollback"
            | "budget show" => &tenant,
            "decision list" | "decision export" | "replay" => &tenant,
            "decision show" | "decision explain" => {
                id = self.decision();
                &[&id, "--tenant", TENANT]
            }
            "key revoke" => {
                id = issued(&["key", "issue", "--tenant", TENANT]);
                &[&id]
            }
            "client create" => &[&fresh],
            "client grant" => &["moderator", "--tenant", TENANT, "moderate"],
            "token issue" => &["demo"],
            "token revoke" => {
                id = issued(&["token", "issue", "demo"]);
                &[&id]
            }
            "object put" => &put,
            "object list" => &["photo", "--tenant", TENANT],
            "object show" | "hold release" => &photo,
            "object change" => &label,
            "hold place" => &reason,
            "activity" => &["--tenant", TENANT, "--user", PHOTO_USER],
            "policy assign" => &["--tenant", TENANT, "--policy", "allow-all"],
            "policy deploy" => &["allow-all", "--tenant", TENANT],
            "policy promote" | "policy withdraw" | "policy shadow" => {
                let assign = [
                    "policy",
                    "assign",
                    "--policy",
                    "labels={\"forbidden\":[\"x\"]}",
                ];
                support::verb(dir, &[&assign[..], &tenant, &["--shadow"]].concat());
                &tenant
            }
            "policy require-replay" => &["off", "--tenant", TENANT],
            "budget set" => &["tenant", "day=5000", "--tenant", TENANT],
            "policy new" => &["mine", "--language", "javascript", "--path", &beside],
            "policy test" => &[&self.component, &self.cases],
            "policy run" => &[&self.component],
            "policy bench" => &[&self.component, &self.cases, "--times", "1"],
            "component check" => &[&self.component],
            "component new" => &[&self.component, "--output", &beside],
            "component choose" => &["default"],
            "backup" => &[&backup],
            "restore" => {
                support::verb(dir, &["backup", &backup]);
                &[&backup, "--accept-erased-since", "1d"]
            }
            new => panic!("this table does not know how to run `{new}`"),
        };
        let words = verb.split(' ').chain(rest.iter().copied());
        words.map(str::to_owned).collect()
    }
}

/// A verb with credentials in the environment.
fn command(dir: &Path, args: &[String], credentials: Credentials) -> Command {
    let mut command = atropos(dir);
    command.args(args).arg("--json");
    for (name, value) in ["ATROPOS_KEY", "ATROPOS_TOKEN"]
        .into_iter()
        .zip(credentials)
    {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

fn run(dir: &Path, args: &[String], credentials: Credentials) -> String {
    cell(
        &command(dir, args, credentials)
            .output()
            .expect("the binary runs"),
    )
}

/// How a verb ended: `done`, or the code of its failure.
fn cell(output: &Output) -> String {
    if output.status.success() {
        return "done".to_owned();
    }
    let failure = support::failure(output);
    let code = failure["error"]["code"].as_str().expect("a code");
    let exit = output.status.code().expect("an exit code");
    format!("{exit} {code}")
}

/// Runs a server until it is up; one that is told to stop then is done.
fn serve(dir: &Path, args: &[String], credentials: Credentials) -> String {
    let mut command = command(dir, args, credentials);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    assert!(line.starts_with("listening on"), "{line}");
    let pid = child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.expect("kill runs").success());
    assert!(child.wait().expect("it ended").success());
    "done".to_owned()
}

#[test]
fn each_verb_serves_whom_the_reviewed_table_says() {
    let stage = Stage::set();
    let callers = callers(&stage.server);
    let dir = stage.server.data_dir();
    let no_dir = dir.with_file_name("no-directory");
    std::fs::write(&no_dir, "").expect("a file");
    let writer = callers.iter().find(|caller| caller.name == "write");
    let token = writer.and_then(|caller| caller.token.as_deref());

    let head = [
        "verb",
        "on the data directory",
        "with a wrong credential",
        "with a good one, without the directory",
    ];
    let mut operator = vec![head.map(str::to_owned).to_vec()];
    let head = callers.iter().map(|caller| caller.name.to_owned());
    let mut typed = vec![["verb".to_owned()].into_iter().chain(head).collect()];
    for verb in verbs() {
        if verb.starts_with("delete ") {
            let cells = callers.iter().map(|caller| delete(&stage, &verb, caller));
            typed.push([verb.clone()].into_iter().chain(cells).collect());
            continue;
        }
        let good = [Some(SITE_KEY), token];
        let (none, wrong) = ([None, None], [Some(WRONG), Some(WRONG)]);
        let arguments = |nth| stage.arguments(&verb, nth);
        let (none, wrong) = match &*verb {
            "serve" => {
                let site = Site::new();
                let up = |credentials| serve(&site.data_dir(), &arguments(0), credentials);
                (up(none), up(wrong))
            }
            "restore" => {
                let new = |nth| dir.with_file_name(format!("restored-{nth}"));
                (
                    run(&new(0), &arguments(0), none),
                    run(&new(1), &arguments(1), wrong),
                )
            }
            _ => (
                run(dir, &arguments(0), none),
                run(dir, &arguments(1), wrong),
            ),
        };
        let cells = [none, wrong, run(&no_dir, &arguments(2), good)];
        operator.push([verb.clone()].into_iter().chain(cells).collect());
    }
    let (operator, typed) = (table(&operator), table(&typed));
    let text = format!("{OPERATOR}{operator}{CALLERS}{typed}");
    assert_written("tests/authorization/verbs.md", &text);
}

/// Types the delete of something that is there.
fn delete(stage: &Stage, verb: &str, caller: &Caller) -> String {
    let server = &stage.server;
    let account = DOCUMENT_USER.to_string();
    let (id, named) = match verb {
        "delete photo" => {
            let photo = server.upload_photo("doomed.png", picture(4, 4));
            let id = photo["Id"].as_str().expect("an id").to_owned();
            (id, ["--website", WEBSITE, "--user", PHOTO_USER, "--photo"])
        }
        "delete document" => {
            let guid = server.upload_document("doomed.txt", b"doomed");
            (guid, ["--tenant", TENANT, "--user", &account, "--guid"])
        }
        new => panic!("this table does not know how to run `{new}`"),
    };
    let words = verb.split(' ').chain(named).chain([&*id]);
    let args: Vec<String> = words.map(str::to_owned).collect();
    let (key, token) = (caller.key.as_deref(), caller.token.as_deref());
    let cell = run(server.data_dir(), &args, [key, token]);
    let listed = server.photos().iter().any(|photo| photo["Id"] == *id);
    let there = listed || server.documents().contains(&id);
    assert_eq!(there, cell != "done", "{verb}, {}: {cell}", caller.name);
    cell
}
