//! A stderr that takes nothing: its disk is full, its reader is gone, or does not read. Lines of the log
//! are lost and counted, and nothing else is.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::machine::Volume;
use crate::support::site::{Site, wait_until};
use crate::support::{Server, Starting, at_once, eventually, patiently, run, verb};

/// How many lines the server says are lost, by its figures.
fn lost(server: &Server) -> u64 {
    let text = server.get("/metrics").text().expect("text");
    let series = "atropos_log_lines_lost_total ";
    let figure = text.lines().find_map(|line| line.strip_prefix(series));
    figure.map_or(0, |figure| figure.parse().expect("a number"))
}

/// A server of this site that logs all that there is to such a stderr.
fn serve(site: &Site, stderr: Stdio) -> Result<Server, String> {
    let args = ["--log", "trace"];
    let started = Starting::logging_to(stderr, &site.data_dir(), &args, &[]).ready();
    started.map(|mut server| {
        server.token.clone_from(&site.token);
        server
    })
}

/// What is written there does not fit.
fn on_a_full_disk() -> Stdio {
    let full = File::options().write(true).open("/dev/full");
    full.expect("a device").into()
}

/// A stream that nobody reads, and that takes nothing any more. Dropped, it has no reader.
struct Unread {
    _reader: UnixStream,
    writer: UnixStream,
}

impl Unread {
    fn new() -> Self {
        let (reader, mut writer) = UnixStream::pair().expect("sockets");
        writer.set_nonblocking(true).expect("a socket");
        while writer.write(&[b'x'; 4096]).is_ok() {}
        writer.set_nonblocking(false).expect("a socket");
        Self {
            _reader: reader,
            writer,
        }
    }

    /// The end that a program is given.
    fn end(&self) -> Stdio {
        OwnedFd::from(self.writer.try_clone().expect("a socket")).into()
    }
}

#[test]
fn a_stderr_that_takes_nothing_costs_lines_of_the_log_and_nothing_else() {
    let gone = || (Unread::new().end(), None);
    let unread = || {
        let unread = Unread::new();
        (unread.end(), Some(unread))
    };
    let full = || (on_a_full_disk(), None);
    let table: [(&str, &dyn Fn() -> (Stdio, Option<Unread>)); 3] = [
        ("its disk is full", &full),
        ("its reader is gone", &gone),
        ("its reader does not read", &unread),
    ];
    for (what, stderr) in table {
        let site = Site::new();
        let (stderr, _reader) = stderr();
        let server = serve(&site, stderr).unwrap_or_else(|why| panic!("{what}: {why}"));
        let guid = server.upload_document("a name", b"bytes");
        assert_eq!(server.document(&guid), Some(b"bytes".to_vec()), "{what}");
        eventually(what, || {
            let asked = at_once(4, &[(); 200], |()| server.get("/healthz").status());
            assert!(asked.iter().all(|status| *status == 200), "{what}");
            (lost(&server) > 0).then_some(())
        });
        assert_eq!(server.delete_document(&guid).0, 200, "{what}");
        assert_eq!(server.delete_document(&guid).0, 404, "{what}");
        assert_eq!(server.deletions().get(&guid), Some(&1), "{what}");
        assert_eq!(server.get("/readyz").status(), 200, "{what}");
        let status = verb(&site.data_dir(), &["status"]);
        assert!(
            status["server"]["logLinesLost"].as_u64() > Some(0),
            "{what}: {status}"
        );
        let text = run(&site.data_dir(), &["status"]).stdout;
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("log lines lost"), "{what}: {text}");
        assert_eq!(server.stop(), Some(0), "{what}");
    }
}

#[test]
fn a_verb_whose_stderr_takes_nothing_does_its_work() {
    let site = Site::new();
    let output = crate::support::atropos(&site.data_dir())
        .args(["tenant", "create", "other", "--website-id", "7"])
        .args(["--log", "trace"])
        .stderr(on_a_full_disk())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0));
    let tenants = verb(&site.data_dir(), &["tenant", "list"]);
    assert_eq!(tenants.as_array().map(Vec::len), Some(2), "{tenants}");
}

#[test]
fn when_a_full_disk_of_data_and_log_has_room_again_deletes_go_on_and_so_does_the_log() {
    let mut site = Site::unmade();
    let (data_dir, logs) = (site.data_dir(), site.folder().join("logs"));
    let (Some(data), Some(logs_volume)) = (Volume::mount(&data_dir, 12), Volume::mount(&logs, 1))
    else {
        return;
    };
    site.make();
    let file = site.folder().join("atropos.toml");
    std::fs::write(&file, patiently("[log]\nformat = \"json\"\n")).expect("a configuration");
    let log = File::create(logs.join("log")).expect("a file");
    let args = ["--config", file.to_str().expect("a path in UTF-8")];
    let started = Starting::logging_to(Stdio::from(log), &data_dir, &args, &[]).ready();
    let mut server = started.expect("a server");
    server.token.clone_from(&site.token);
    let guids: Vec<_> = (0..4)
        .map(|n| server.upload_document("d", &[n; 1000]))
        .collect();
    let ballast = [data.fill(), logs_volume.fill()];
    eventually("lines are lost", || {
        assert_eq!(server.delete_document(&guids[0]).0, 503);
        (lost(&server) > 0).then_some(())
    });
    for _ in 0..20 {
        assert_eq!(server.delete_document(&guids[0]).0, 503);
    }
    assert_eq!(server.get("/healthz").status(), 200);
    assert_eq!(server.get("/readyz").status(), 503, "no delete is served");
    assert_eq!(server.documents().len(), guids.len(), "reads go on");
    assert_eq!(server.document(&guids[1]), Some(vec![1; 1000]));

    for ballast in &ballast {
        std::fs::remove_file(ballast).expect("it was there");
    }
    wait_until("it is ready", || server.get("/readyz").status() == 200);
    for guid in &guids {
        assert_eq!(server.delete_document(guid).0, 200);
        assert_eq!(server.deletions().get(guid), Some(&1));
    }
    let status = verb(&data_dir, &["status"]);
    let parts = status["server"]["parts"].as_array().expect("an array");
    assert!(parts.iter().all(|part| part["panics"] == 0), "{status}");
    assert_eq!(server.stop(), Some(0));
    let log = std::fs::read_to_string(logs.join("log")).expect("text");
    let lines: Vec<_> = log.lines().map(serde_json::from_str::<Value>).collect();
    let told = |line: &Result<Value, _>| {
        line.as_ref()
            .is_ok_and(|line| line["fields"]["message"] == "lines of this log were lost")
    };
    let told = lines
        .iter()
        .position(told)
        .expect("it tells that some were lost");
    assert!(lines[told..].iter().all(Result::is_ok), "{log}");
    let torn = lines.iter().filter(|line| line.is_err()).count();
    assert!(
        torn <= 2,
        "one torn line, which ends before the next one: {log}"
    );
}

#[test]
fn a_stdout_that_takes_nothing_keeps_no_server_from_serving() {
    let (full, unread) = (on_a_full_disk(), Unread::new());
    let table = [("full", full), ("unread", unread.end())];
    for (what, stdout) in table {
        let site = Site::new();
        let mut child = crate::support::atropos(&site.data_dir())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(stdout)
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        wait_until(what, || {
            let status = verb(&site.data_dir(), &["status"]);
            status["server"]["address"].is_string()
        });
        let told = Command::new("kill").arg(child.id().to_string()).status();
        assert!(told.expect("kill runs").success());
        assert_eq!(child.wait().expect("it ended").code(), Some(0), "{what}");
    }
}
