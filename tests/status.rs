//! The status: what an operator sees at a glance, with a server and without.

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use atropos_test_guests as guests;
use serde_json::{Value, json};

use crate::support::demo::{Demo, Object, sunset};
use crate::support::site::{Site, blob_of, wait_until};
use crate::support::{PHOTO_USER, Server, TENANT, run, verb};

/// Faults in a row that the default configuration bears.
const FAULTS: u64 = 5;

fn status(data_dir: &Path) -> Value {
    verb(data_dir, &["status"])
}

#[test]
fn a_server_shows_while_it_runs_and_not_when_it_has_ended() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let socket = data_dir.join("status.sock");
    let stopped = status(&data_dir);
    assert_eq!(stopped["server"], Value::Null);
    assert_eq!(stopped["storage"]["tenants"], 1);
    assert_eq!(stopped["storage"]["objects"], 0);
    assert!(stopped["storage"]["room"]["freeBytes"].as_u64() > Some(0));

    let server = site.serve();
    server.upload_document("secret-name.txt", b"bytes");
    let running = status(&data_dir);
    let live = &running["server"];
    assert_eq!(live["process"], server.pid());
    assert_eq!(live["address"], server.base.as_str());
    assert_eq!(live["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(live["breakersOpen"], 0);
    assert_eq!(running["storage"]["objects"], 1);
    let told = running.to_string();
    assert!(
        !told.contains("secret-name") && !told.contains(&site.token),
        "{told}"
    );
    let text = run(&data_dir, &["status"]);
    let text = String::from_utf8(text.stdout).expect("text");
    let first = format!(
        "a server is running: process {}, {}",
        server.pid(),
        server.base
    );
    assert!(text.starts_with(&first), "{text}");

    // The socket is for whoever may write the data directory, and says the same.
    let metadata = std::fs::metadata(&socket).expect("a socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let mut answer = String::new();
    let mut stream = UnixStream::connect(&socket).expect("a connection");
    stream.read_to_string(&mut answer).expect("an answer");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(&answer, live);

    // What is killed leaves a socket behind, which leads nobody astray.
    server.kill();
    assert!(socket.exists());
    assert_eq!(status(&data_dir)["server"], Value::Null);
    let server = site.serve();
    assert_eq!(status(&data_dir)["server"]["process"], server.pid());
    assert_eq!(server.stop(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_server_that_does_not_answer_is_told_from_none() {
    let site = Site::new();
    let server = site.serve();
    server.signal("STOP");
    let silent = status(&site.data_dir());
    server.signal("CONT");
    assert_eq!(
        silent["server"],
        json!({ "process": server.pid(), "answers": false })
    );
    assert_eq!(
        silent["storage"]["tenants"], 1,
        "the storage shows all the same"
    );
}

#[test]
fn a_data_directory_with_a_long_path_has_a_socket_too() {
    let folder = tempfile::tempdir().expect("a directory");
    let data_dir = folder.path().join("d".repeat(120)).join("e".repeat(120));
    let server = Server::start(&data_dir, &[]);
    assert_eq!(status(&data_dir)["server"]["process"], server.pid());
    assert_eq!(server.stop(), Some(0));
    assert_eq!(status(&data_dir)["server"], Value::Null);
}

#[test]
fn what_is_held_off_shows_until_it_is_well_or_out_of_force() {
    let demo = Demo::start();
    let data_dir = demo.server.data_dir();
    let picture = std::fs::read(blob_of(data_dir, &sunset().id)).expect("bytes");
    let picture = demo.component("picture", &picture);
    let photo = |id: &str| {
        let named = ["--tenant", TENANT, "--user", PHOTO_USER, "--id", id];
        demo.verb(&[&["object", "put", "photo", &picture], &named[..]].concat());
        Object {
            id: id.to_owned(),
            ..sunset()
        }
    };
    let (bad, good) = (photo("bad-1"), photo("good-1"));
    let moody = demo.component("moody", guests::MOODY);
    let fail = || {
        wait_until("it is held off", || {
            demo.delete(&bad);
            status(data_dir)["server"]["breakersOpen"] == 1
        });
    };
    let chain = [format!("{moody}={{}}")];
    let assigned = demo.assign(TENANT, &[&chain[0]]);
    fail();
    let live = &status(data_dir)["server"];
    let breaker = &live["breakers"][0];
    assert_eq!(breaker["guest"], "policy");
    assert_eq!(breaker["tenant"], TENANT);
    assert_eq!(breaker["code"], "policy-trap");
    assert!(breaker["faults"].as_u64() >= Some(FAULTS), "{breaker}");
    assert!(
        breaker["untilMs"].as_u64() > live["startedAtMs"].as_u64(),
        "{breaker}"
    );
    let digest = breaker["digest"].as_str().expect("a digest");
    assert!(assigned.to_string().contains(digest), "{assigned}");
    let text = String::from_utf8(run(data_dir, &["status"]).stdout).expect("text");
    assert!(
        text.contains(&format!("policy {digest} of {TENANT}: policy-trap")),
        "{text}"
    );

    // The call that is let through after the pause goes well.
    wait_until("it is well again", || demo.delete(&good).0 == 200);
    assert_eq!(status(data_dir)["server"]["breakers"], json!([]));

    // Another chain is in force.
    fail();
    demo.assign(TENANT, &["allow-all"]);
    assert_eq!(status(data_dir)["server"]["breakersOpen"], 0);
}

#[test]
fn bytes_that_resist_show_with_attempts_and_error_until_they_are_gone() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    let guid = server.upload_document("resists.txt", b"resists");
    let file = blob_of(&data_dir, &guid);
    std::fs::remove_file(&file).expect("it was there");
    std::fs::create_dir(&file).expect("a folder");
    assert_eq!(server.delete_document(&guid).0, 503);
    wait_until("the backlog shows it", || {
        status(&data_dir)["storage"]["backlog"]["mostAttempts"].as_u64() >= Some(1)
    });
    let stored = &status(&data_dir)["storage"];
    assert_eq!(stored["backlog"]["due"], 1);
    assert_eq!(stored["objects"], 0, "invisible at once");
    let overdue = &stored["overdue"][0];
    assert!(
        overdue["lastError"]
            .as_str()
            .expect("words")
            .contains("directory"),
        "{overdue}"
    );
    assert!(overdue["erasedAtMs"].as_u64() > Some(0), "{overdue}");
    let text = String::from_utf8(run(&data_dir, &["status"]).stdout).expect("text");
    assert!(text.contains("resists"), "{text}");
    std::fs::remove_dir(&file).expect("an empty folder");
    wait_until("the backlog is empty", || {
        status(&data_dir)["storage"]["backlog"]["due"] == 0
    });
    assert_eq!(status(&data_dir)["storage"]["overdue"], json!([]));
}
