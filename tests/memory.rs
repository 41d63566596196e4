//! Large files pass through; they are held neither by the server nor by the command line. Nor are those
//! of uploads that do not end, nor what a picture carries beside its pixels.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use atropos_service::upload::{HELD_BYTES, picture};
use image::ImageEncoder as _;

use crate::support::machine::missing;
use crate::support::raw::Raw;
use crate::support::site::{Site, blob_files, wait_until};
use crate::support::{self, DOCUMENT_USER, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE};

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

const MIB: u64 = 1 << 20;
/// How many uploads are under way at once.
const UNFINISHED: u64 = 24;
/// What a server's memory may grow by whatever it does: threads, caches, what the allocator keeps.
const BESIDE_KIB: u64 = 32 << 10;

/// A part of a form up to its content.
fn part(name: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"")
}

fn field(name: &str, value: &str) -> String {
    format!("{}\r\n\r\n{value}\r\n", part(name))
}

fn file(name: &str) -> String {
    format!("{}; filename=\"a.png\"\r\n\r\n", part(name))
}

/// Begins an upload, sends so many bytes of its file, and says no more.
fn unfinished(server: &Server, path: &str, before: &str, sent: u64) -> Raw {
    let token = &server.token;
    let length = before.len() as u64 + sent + 1000;
    let mut connection = server.dial();
    connection.send(format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         websiteId: {WEBSITE}\r\nwebApiClientKey: {SITE_KEY}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{before}"
    ));
    let buffer = vec![b'x'; 64 << 10];
    for _ in 0..sent / buffer.len() as u64 {
        connection.send(&buffer);
    }
    connection
}

/// Begins the upload of a photo, sends so many bytes of its file, and says no more.
pub(crate) fn unfinished_photo(server: &Server, sent: u64) -> Raw {
    let before = field("userId", PHOTO_USER) + &file("postedFile");
    unfinished(server, "/api/4/UploadImage/UploadImage", &before, sent)
}

/// Measures peaks anew from here on, and tells the memory that there is.
fn idle(server: &Server) -> u64 {
    let reset = format!("/proc/{}/clear_refs", server.pid());
    std::fs::write(reset, "5").expect("one's own process");
    kib(server.pid(), "VmRSS:").expect("a figure")
}

#[test]
fn uploads_that_do_not_end_are_on_the_disk_whichever_part_comes_first() {
    let (photo, document) = (
        "/api/4/UploadImage/UploadImage",
        "/api/file/upload/admin-for-client/store",
    );
    let user = field("userId", PHOTO_USER);
    let account = field("tenantSubDomain", TENANT) + &field("userAccountId", "6");
    let cases = [
        ("user, photo", photo, user + &file("postedFile"), 16 * MIB),
        ("photo, user", photo, file("postedFile"), 16 * MIB),
        (
            "account, document",
            document,
            account + &file("file"),
            16 * MIB,
        ),
        ("document, account", document, file("file"), 4 * MIB),
    ];
    let server = Server::demo();
    if !has_space(server.data_dir(), UNFINISHED * 32 * MIB) {
        return;
    }
    let stored = blob_files(server.data_dir()).len();
    for (what, path, before, sent) in cases {
        let idle = idle(&server);
        let written = || -> u64 {
            let files = support::files(&server.data_dir().join("blobs"));
            let size = |file: PathBuf| Some(file.metadata().ok()?.len());
            files.into_iter().filter_map(size).sum()
        };
        let before_all = written();
        let begin = |_| unfinished(&server, path, &before, sent);
        let uploads: Vec<_> = (0..UNFINISHED).map(begin).collect();
        wait_until("all but what may be held is on the disk", || {
            written() - before_all >= UNFINISHED * (sent - HELD_BYTES)
        });
        let peak = kib(server.pid(), "VmHWM:").expect("a figure");
        eprintln!("{what}: {peak} KiB at most, {idle} KiB when idle");
        let allowed = idle + BESIDE_KIB + UNFINISHED * (HELD_BYTES >> 10);
        assert!(peak < allowed, "{what}: {peak} KiB, of {allowed}");
        drop(uploads);
        wait_until("what broke off is gone", || {
            blob_files(server.data_dir()).len() == stored
        });
    }
}

#[test]
fn what_a_picture_carries_beside_its_pixels_takes_no_memory() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    let profile = vec![0; 200 << 20];
    encoder.set_icc_profile(profile).expect("a profile");
    let (pixels, grey) = ([7; 64], image::ExtendedColorType::L8);
    let written = encoder.write_image(&pixels, 8, 8, grey);
    written.expect("a picture");
    assert!((bytes.len() as u64) < MIB, "it is small");

    let server = Server::demo();
    let idle = idle(&server);
    server.upload_photo("a.png", bytes);
    let peak = kib(server.pid(), "VmHWM:").expect("a figure");
    eprintln!("{peak} KiB at most, {idle} KiB when idle");
    let allowed = idle + BESIDE_KIB + ((3 * MIB + picture::BYTES_BESIDE) >> 10);
    assert!(peak < allowed, "{peak} KiB, of {allowed}");
}
