//! Reads that are under way while their object is erased: they end, and what is missing shows.

use std::time::{Duration, Instant};

use atropos::target::Kind;
use image::RgbImage;

use crate::support::asking::ask;
use crate::support::random::Random;
use crate::support::raw::Raw;
use crate::support::{
    DOCUMENT_USER, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE, atropos, eventually,
};

/// What is read: more than every buffer between the two ends holds.
#[derive(Clone, Copy, Debug)]
enum What {
    Document,
    Original,
    Standard,
}

/// How the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// It takes what there is, a bit at a time.
    Steady,
    /// It reads nothing any more.
    Stalled,
}

/// Who erases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eraser {
    /// The server that sends the bytes.
    Server,
    /// The command line beside it.
    Verb,
    /// The server, and the file stays for now.
    Pending,
}

const CASES: [(What, Reader, Eraser); 8] = [
    (What::Document, Reader::Steady, Eraser::Server),
    (What::Document, Reader::Stalled, Eraser::Server),
    (What::Document, Reader::Steady, Eraser::Verb),
    (What::Document, Reader::Stalled, Eraser::Verb),
    (What::Document, Reader::Steady, Eraser::Pending),
    (What::Document, Reader::Stalled, Eraser::Pending),
    (What::Original, Reader::Stalled, Eraser::Server),
    (What::Standard, Reader::Steady, Eraser::Server),
];

const DOCUMENT_BYTES: usize = 8 << 20;

/// How much a steady reader takes at once, how long it rests then, and how many times it does so.
const BIT: usize = 16 << 10;
const REST: Duration = Duration::from_millis(10);
const BITS: usize = 60;

/// A picture that cannot be compressed.
fn noise(random: &mut Random) -> Vec<u8> {
    let pixel = |_, _| image::Rgb([(); 3].map(|()| random.below(256) as u8));
    let picture = RgbImage::from_fn(1400, 1200, pixel);
    let mut png = std::io::Cursor::new(Vec::new());
    let written = picture.write_to(&mut png, image::ImageFormat::Png);
    written.expect("a picture");
    png.into_inner()
}

impl What {
    fn kind(self) -> Kind {
        match self {
            Self::Document => Kind::Document,
            Self::Original | Self::Standard => Kind::Photo,
        }
    }

    /// Uploads one; its id, and the path of its bytes.
    fn upload(self, server: &Server, random: &mut Random) -> (String, String) {
        if let Self::Document = self {
            let guid = server.upload_document("long.bin", &vec![b'x'; DOCUMENT_BYTES]);
            let path = "/api/library/documents/file/get";
            return (
                guid.clone(),
                format!("{path}/{TENANT}/{DOCUMENT_USER}/{guid}"),
            );
        }
        let photo = server.upload_photo("noise.png", noise(random));
        let text = |name: &str| photo[name].as_str().expect("text").to_owned();
        let url = match self {
            Self::Standard => text("StandardURL"),
            _ => text("OriginalURL"),
        };
        let path = url.strip_prefix(&server.base).unwrap_or(&url).to_owned();
        (text("Id"), path)
    }
}

impl Eraser {
    fn erase(self, server: &Server, kind: Kind, id: &str) {
        if self == Self::Verb {
            let user = DOCUMENT_USER.to_string();
            let mut verb = atropos(server.data_dir());
            verb.env("ATROPOS_TOKEN", &server.token);
            verb.args(["delete", "document", "--tenant", TENANT]);
            let erased = verb.args(["--user", &user, "--guid", id]).output();
            let erased = erased.expect("the binary runs");
            assert!(erased.status.success(), "{erased:?}");
            return;
        }
        let (status, body) = ask(server.deletion(kind, id)).expect("an answer");
        match self {
            Self::Pending => assert!(body.contains("erasure-pending"), "{status} {body}"),
            _ => assert_eq!(status, 200, "{body}"),
        }
    }
}

/// Begins to read; the length that was told.
fn begin(server: &Server, path: &str) -> (Raw, usize) {
    let mut raw = server.dial();
    let token = &server.token;
    raw.send(format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    ));
    let length = raw.next_head();
    (raw, length)
}

#[test]
fn a_read_that_is_under_way_ends_when_its_object_is_erased() {
    let mut random = Random::from_environment("reading");
    for failing in ["", "bytes.unlink=return"] {
        let folder = tempfile::tempdir().expect("a directory");
        let variables = [("FAILPOINTS", failing.to_owned())];
        let data_dir = folder.path().join("data");
        let server = Server::start_in(&data_dir, &["--demo"], &variables);
        for (what, reader, eraser) in CASES {
            if (eraser == Eraser::Pending) != failing.is_empty() {
                check(&server, what, reader, eraser, &mut random);
            }
        }
    }
}

fn check(server: &Server, what: What, reader: Reader, eraser: Eraser, random: &mut Random) {
    let case = format!("{what:?}, {reader:?}, {eraser:?}");
    let (id, path) = what.upload(server, random);
    let (mut raw, length) = begin(server, &path);
    eraser.erase(server, what.kind(), &id);
    let erased = Instant::now();
    let (mut read, mut ended) = (0, false);
    let bits = if reader == Reader::Steady { BITS } else { 0 };
    for _ in 0..bits {
        match raw.read_some(BIT) {
            Some(bytes) => read += bytes,
            None => ended = true,
        }
        std::thread::sleep(REST);
    }
    eventually(&case, || (ended || raw.is_reset()).then_some(()));
    eprintln!("{case}: cut off within {:?}", erased.elapsed());
    while let Some(bytes) = raw.read_some(BIT) {
        read += bytes;
    }
    eprintln!("{case}: {read} of {length} bytes");
    assert!(read < length, "{case}: it was read whole");
    let (status, _) = ask(server.bytes(&path)).expect("an answer");
    assert_eq!(status, 404, "{case}");
}

#[test]
fn a_connection_whose_answers_were_read_is_kept_when_their_object_is_erased() {
    let server = Server::demo();
    let guid = server.upload_document("short.txt", b"short");
    let (mut raw, length) = begin(
        &server,
        &format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}"),
    );
    assert_eq!(raw.read_exactly(length), b"short");
    Eraser::Server.erase(&server, Kind::Document, &guid);
    // As long as it takes to look twice.
    std::thread::sleep(Duration::from_secs(1));
    raw.send(format!(
        "GET /api/4/UploadImage/GetUserUploadedList?userId={PHOTO_USER} HTTP/1.1\r\nHost: x\r\n\
         websiteId: {WEBSITE}\r\nwebApiClientKey: {SITE_KEY}\r\n\r\n"
    ));
    assert_eq!(raw.next_answer().0, 200);
}

#[test]
fn a_download_answers_a_range_with_that_part_and_tells_which() {
    let server = Server::demo();
    let guid = server.upload_document("digits.txt", b"0123456789");
    let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    // What is asked for, status, which part of how many, and the part.
    let table = [
        (None, 200, None, "0123456789"),
        (Some("bytes=2-4"), 206, Some("bytes 2-4/10"), "234"),
        (Some("bytes=-3"), 206, Some("bytes 7-9/10"), "789"),
        (Some("bytes=8-99"), 206, Some("bytes 8-9/10"), "89"),
        (Some("bytes=10-"), 416, Some("bytes */10"), ""),
        (Some("bytes=0-0,2-2"), 200, None, "0123456789"),
        (Some("nonsense"), 200, None, "0123456789"),
    ];
    for (range, status, told, part) in table {
        let mut request = server.bytes(&path);
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let answer = request.send().expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{range:?}");
        let header = answer.headers().get("Content-Range");
        let header = header.map(|told| told.to_str().expect("text").to_owned());
        assert_eq!(header.as_deref(), told, "{range:?}");
        assert_eq!(answer.text().expect("a body"), part, "{range:?}");
    }
    let photo = server.upload_photo("noise.png", noise(&mut Random::from_environment("range")));
    let url = photo["OriginalURL"].as_str().expect("a URL");
    let path = url.strip_prefix(&server.base).unwrap_or(url);
    let answer = server.bytes(path).header("Range", "bytes=1-3").send();
    assert_eq!(answer.expect("an answer").text().expect("a body"), "PNG");
}
