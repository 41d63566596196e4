//! Large files pass through; they are held neither by the server nor by the command line.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::machine::missing;
use crate::support::site::{Site, blob_files};
use crate::support::{self, DOCUMENT_USER, Server, TENANT};

const GIB: u64 = 1 << 30;
const ALLOWED_KIB: u64 = 100 << 10;

/// A figure of `/proc/<pid>/status`, if the process is still there.
pub(crate) fn kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Whether this much can be written beneath `folder`. If not, it is said loudly, and is an error
/// where `ATROPOS_REQUIRE` names `disk`.
fn has_space(folder: &Path, bytes: u64) -> bool {
    let output = Command::new("df").arg("-Pk").arg(folder).output();
    let output = String::from_utf8(output.expect("df runs").stdout).expect("text");
    let free = output.lines().nth(1).and_then(|line| {
        let column = line.split_whitespace().nth(3)?;
        column.parse::<u64>().ok()
    });
    let enough = free.expect("a figure") >= bytes >> 10;
    if !enough {
        missing("disk", &format!("there is no space for {bytes} bytes"));
    }
    enough
}

/// Streams an upload of this size and returns its GUID.
fn upload(server: &Server, size: u64) -> String {
    let (request, end) = server.raw_upload("large.bin", size);
    let mut connection = server.dial();
    connection.begin(&request);
    connection.send(&request.body);
    let buffer = vec![b'x'; 1 << 20];
    for _ in 0..size >> 20 {
        connection.send(&buffer);
    }
    connection.send(end);
    let (status, text) = connection.answer();
    assert_eq!(status, Some(200), "{text}");
    text.split('"').nth(1).expect("a GUID").to_owned()
}

fn download(server: &Server, guid: &str) -> u64 {
    let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    let request = server.http.get(server.url(&path));
    let mut response = request.bearer_auth(&server.token).send().expect("bytes");
    let mut file = std::fs::File::create("/dev/null").expect("nowhere");
    response.copy_to(&mut file).expect("all bytes")
}

#[test]
fn a_document_of_a_gibibyte_takes_no_memory_to_speak_of() {
    let site = Site::new();
    if !has_space(site.folder(), 3 * GIB) {
        return;
    }
    let server = site.serve();
    let small = upload(&server, 1 << 20);
    assert_eq!(server.delete_document(&small).0, 200);
    let idle = kib(server.pid(), "VmRSS:").expect("a figure");
    // From here on the peak is measured anew.
    let reset = format!("/proc/{}/clear_refs", server.pid());
    std::fs::write(reset, "5").expect("one's own process");

    let guid = upload(&server, GIB);
    let peak = |what: &str| {
        let peak = kib(server.pid(), "VmHWM:").expect("a figure");
        eprintln!("{what}: {peak} KiB at most, {idle} KiB when idle");
        assert!(peak < idle + ALLOWED_KIB, "{what}: {peak} KiB");
    };
    peak("upload");
    assert_eq!(download(&server, &guid), GIB);
    peak("download");
    assert_eq!(server.delete_document(&guid), (200, String::new()));
    peak("delete");
    assert!(blob_files(&site.data_dir()).is_empty());
}

/// Puts a file of this size by the command line, and returns its peak memory.
fn put(site: &Site, size: u64) -> u64 {
    let path = site.folder().join("large.bin");
    let file = std::fs::File::create(&path).expect("a file");
    file.set_len(size).expect("a sparse file");
    let mut child = support::atropos(&site.data_dir())
        .args(["object", "put", "document"])
        .arg(&path)
        .args(["--tenant", TENANT, "--user", "6"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut peak = 0;
    while child.try_wait().expect("a state").is_none() {
        peak = kib(child.id(), "VmHWM:").unwrap_or_default().max(peak);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.wait().expect("a state").success());
    peak
}

#[test]
fn a_large_file_put_by_the_command_line_takes_no_memory_to_speak_of() {
    let site = Site::new();
    if !has_space(site.folder(), GIB) {
        return;
    }
    let (small, large) = (put(&site, 1 << 20), put(&site, GIB / 4));
    eprintln!("put: {large} KiB at most, {small} KiB for a small file");
    assert!(small > 0 && large < small + ALLOWED_KIB, "{large} KiB");
}
