//! Many who hold on, and some who take their time: the server's memory is bounded, and nobody who
//! asks for something waits for them.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;
use rlimit::Resource;
use tokio::net::TcpSocket;

use crate::memory::kib;
use crate::support::raw::Raw;
use crate::support::site::{Site, blob_files, wait_until};
use crate::support::{
    DOCUMENT_USER, SITE_KEY, Server, TENANT, WEBSITE, at_once, eventually, patiently,
};

const MANY: usize = 10_000;
/// Of the server's memory, for a connection on which nothing is asked.
const ALLOWED_KIB_EACH: u64 = 32;
/// How many connections a server has in the tests of full ones.
const FEW: usize = 32;
/// Less than those who hold on would hold on for, and generous: the machine may be busy.
const PROMPT: Duration = Duration::from_secs(25);

/// Whether this process, and a server that it starts, may open so many files. If not, it is said
/// loudly, and is an error where `ATROPOS_REQUIRE` names `descriptors`.
fn may_open(files: u64) -> bool {
    let limit = rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    if limit < files {
        let required = std::env::var("ATROPOS_REQUIRE").unwrap_or_default();
        let required = required.split([',', ' ']).any(|name| name == "descriptors");
        assert!(
            !required,
            "{files} open files are required, and {limit} allowed"
        );
        eprintln!("SKIPPED: {files} files cannot be open at once, only {limit}");
    }
    limit >= files
}

/// Starts a server as a shell would, with a soft limit that is too low.
fn serve_within(soft: u64, site: &Site, config: &str) -> Server {
    let (_, hard) = Resource::NOFILE.get().expect("a limit");
    Resource::NOFILE.set(soft.min(hard), hard).expect("a limit");
    let server = site.serve_with(config);
    Resource::NOFILE.set(hard, hard).expect("a limit");
    server
}

/// Connects so many times; every other one says the beginning of a request.
fn hold_on(server: &Server, count: usize) -> Vec<TcpStream> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().build().expect("a runtime");
    let address = server.base.trim_start_matches("http://");
    let address = address.parse().expect("an address");
    let connect = async |nth: usize| {
        let socket = TcpSocket::new_v4().expect("a socket");
        // One address has fewer free ports than there may be connections.
        let from = [127, 0, 0, 2 + (nth % 4) as u8];
        socket.bind((from, 0).into()).expect("a port");
        let stream = socket.connect(address).await.expect("a connection");
        stream.into_std().expect("a stream")
    };
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let next = streams.len()..count.min(streams.len() + 200);
        streams.extend(runtime.block_on(join_all(next.map(connect))));
        // Whoever is answered was accepted after all these: no more of them wait at a time than the
        // system lets wait.
        server.assert_alive();
    }
    for stream in streams.iter_mut().step_by(2) {
        // Whoever was let go already cannot be written to.
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:");
    }
    streams
}

impl Server {
    fn figure(&self, series: &str) -> f64 {
        let text = self.get("/metrics").text().expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |figure| figure.trim().parse().expect("a number"))
    }

    fn connections(&self) -> usize {
        self.figure("atropos_http_connections ") as usize
    }

    fn memory_kib(&self, field: &str) -> u64 {
        kib(self.pid(), field).expect("a figure")
    }

    /// Asks for health, on a connection of its own.
    fn assert_alive(&self) {
        let mut connection = self.dial();
        connection.send(self.raw_get("/healthz"));
        let (status, said) = connection.answer();
        assert_eq!(status, Some(200), "{said}");
    }

    /// Uploads, deletes and asks for health, each on a connection of its own.
    fn assert_prompt(&self, when: &str) {
        let guid = self.upload_document("doomed.txt", b"doomed");
        let health = self.raw_get("/healthz");
        let delete = self.raw_delete(&guid);
        let delete = delete.head.into_bytes().into_iter().chain(delete.body);
        for (what, request) in [
            ("health", health.into_bytes()),
            ("delete", delete.collect()),
        ] {
            let started = Instant::now();
            let mut connection = self.dial();
            connection.send(request);
            let (_, said) = connection.answer();
            let took = started.elapsed();
            eprintln!("{when}: {what} in {took:?}");
            assert!(said.contains(" 200 OK"), "{when}: {what}: {said}");
            assert!(took < PROMPT, "{when}: {what} took {took:?}");
        }
    }

    fn raw_get(&self, path: &str) -> String {
        let token = &self.token;
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
    }
}

#[test]
fn ten_thousand_who_hold_on_cost_little_and_keep_nobody_waiting() {
    if !may_open(MANY as u64 + 2048) {
        return;
    }
    let site = Site::new();
    // Long enough to connect them all on a busy machine.
    let server = serve_within(1024, &site, "[http]\nheader-timeout-ms = 120000\n");
    server.assert_prompt("alone");
    let alone = server.memory_kib("VmRSS:");
    let started = Instant::now();
    let held = hold_on(&server, MANY);
    eventually("all are connected", || {
        (server.connections() > MANY).then_some(())
    });
    let each = server.memory_kib("VmRSS:").saturating_sub(alone) as f64 / MANY as f64;
    eprintln!(
        "{MANY} connections in {:?}: {each:.1} KiB each, {alone} KiB before",
        started.elapsed()
    );
    assert!(each < ALLOWED_KIB_EACH as f64, "{each} KiB each");
    server.assert_prompt("among ten thousand");
    drop(held);
    server.assert_prompt("afterwards");
}

#[test]
fn those_who_ask_nothing_are_let_go_after_the_deadline_for_headers() {
    let site = Site::new();
    let server = site.serve_with("[http]\nheader-timeout-ms = 500\n");
    let held = hold_on(&server, 200);
    wait_until("they are let go", || server.connections() < 10);
    drop(held);
}

#[test]
fn when_all_connections_are_taken_whoever_asks_nothing_makes_room() {
    let site = Site::new();
    let config = format!("[http]\nmax-connections = {FEW}\nrequest-timeout-ms = 10000\n");
    let hangs = [("FAILPOINTS", "request.admit=1*return(hang)".to_owned())];
    let server = site.serve_in(&config, &hangs);
    // A request that is worked on stays, and one whose body does not come leaves.
    let guid = server.upload_document("kept.txt", b"kept");
    let delete = server.raw_delete(&guid);
    let mut deleting = server.dial();
    deleting.begin(&delete);
    deleting.send(&delete.body);
    let (upload, _) = server.raw_upload("never.txt", 4);
    let mut uploading = server.dial();
    uploading.begin(&upload);
    uploading.send(&upload.body);
    let held = hold_on(&server, 400);
    let started = Instant::now();
    server.assert_prompt("among those who take all places");
    assert!(
        started.elapsed() < 2 * PROMPT,
        "all that took {:?}",
        started.elapsed()
    );
    assert!(server.connections() <= FEW, "{}", server.connections());
    let made = server.figure("atropos_http_let_go_total{why=\"room\"} ");
    assert!(made >= 300.0, "{made} made room");
    assert_eq!(uploading.answer().0, None);
    let (status, said) = deleting.answer();
    assert_eq!(status, Some(503), "{said}");
    assert!(said.contains("request-timeout"), "{said}");
    assert_eq!(server.document(&guid), Some(b"kept".to_vec()));
    drop(held);
}

/// A download takes two descriptors, and an upload, too.
#[test]
fn files_of_many_readers_take_no_descriptor_from_anybody_else() {
    if !may_open(4096) {
        return;
    }
    let site = Site::new();
    let server = site.serve_after("ulimit -n 1024", &[]).expect("a server");
    // More than the kernel holds for a reader.
    let large = server.upload_document("large.bin", &vec![7; 16 << 20]);
    let small = server.upload_document("small.bin", &vec![7; 1 << 20]);
    let doomed: Vec<_> = (0..3)
        .map(|nth| server.upload_document(&format!("{nth}.txt"), b"bytes"))
        .collect();
    let path =
        |guid: &str| format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");

    let download = server.raw_get(&path(&large));
    let mut readers: Vec<_> = (0..760).map(|_| server.dial()).collect();
    for reader in &mut readers {
        // Whoever was let go for another cannot be written to.
        let _ = reader.try_send(&download);
    }
    let upload = |nth: usize| {
        let (request, _) = server.raw_upload(&format!("{nth}.bin"), 1 << 20);
        let mut upload = server.dial();
        let _ = upload.try_send(&request.head);
        let _ = upload.try_send(&request.body);
        let _ = upload.try_send([7; 4096]);
        upload
    };
    let writers: Vec<_> = (0..64).map(upload).collect();
    for guid in &doomed {
        server.assert_alive();
        let delete = server.raw_delete(guid);
        let mut deleting = server.dial();
        deleting.send([delete.head.as_bytes(), &delete.body].concat());
        let said = deleting.answer().1;
        assert!(said.contains(" 200 OK"), "{said}");
    }
    assert!(server.connections() <= 576, "{}", server.connections());
    drop((readers, writers));
    wait_until("they are gone", || server.connections() < 16);

    // Connections that do without a file leave theirs to others.
    let download = server.raw_get(&path(&small));
    let read = |_: &()| {
        let mut reader = server.dial();
        reader.send(&download);
        let length = reader.next_head();
        reader.read_exactly(length).len()
    };
    for length in at_once(300, &[(); 300], read) {
        assert_eq!(length, 1 << 20);
    }
    let log = server.log();
    assert!(!log.contains("os error 24"), "too many open files: {log}");
}

/// Requests that are begun, each sent on so many connections, up to a point from which no more comes
/// but a byte now and then.
struct Begun<'a> {
    server: &'a Server,
    request: &'a str,
    connections: Mutex<Vec<Raw>>,
}

impl Begun<'_> {
    fn hold(&self, count: usize) {
        for _ in 0..count {
            let mut connection = self.server.dial();
            // It may have been let go already.
            let _ = connection.try_send(self.request);
            self.connections.lock().push(connection);
        }
    }

    fn drip(&self) {
        for connection in self.connections.lock().iter_mut() {
            let _ = connection.try_send("x");
        }
    }
}

#[test]
fn requests_that_are_begun_and_never_ended_keep_nobody_waiting() {
    const CHUNKS: usize = 2 * FEW;
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("atropos.toml");
    // No deadline is what makes room.
    let config = format!(
        "[http]\nmax-connections = {FEW}\nrequest-timeout-ms = 600000\nheader-timeout-ms = 600000\n"
    );
    std::fs::write(&file, patiently(&config)).expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let data_dir = folder.path().join("data");
    let server = Server::start(&data_dir, &["--demo", "--config", file]);
    let post = |path: &str, headers: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n{headers}\r\n")
    };
    let form = "Content-Type: multipart/form-data; boundary=b0\r\n";
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let key = format!("websiteId: {WEBSITE}\r\nwebApiClientKey: {SITE_KEY}\r\n");
    let cases = [
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ".to_owned(),
        post(
            "/oauth/token",
            "Content-Type: application/x-www-form-urlencoded\r\n",
        ),
        post("/api/library/documents/delete", &token),
        post("/api/4/UploadImage/UploadImage", &(key + form)),
        post("/api/file/upload/admin-for-client/store", &(token + form)),
    ];
    let chunk = vec![b'x'; 256 << 10];
    let serve = |request: &str, drips: bool| {
        let begun = Begun {
            server: &server,
            request,
            connections: Mutex::default(),
        };
        let what = format!(
            "drips: {drips}: {}",
            request.lines().next().expect("a line")
        );
        let (stop, stopped) = channel::<()>();
        std::thread::scope(|scope| {
            let begun = &begun;
            // Ends with the closure, however that ends.
            let _stop = stop;
            let every = Duration::from_millis(20);
            let drip = move || {
                while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    begun.drip();
                }
            };
            if drips {
                scope.spawn(drip);
            }
            begun.hold(FEW + 8);
            let started = Instant::now();
            server.assert_prompt(&what);
            assert!(started.elapsed() < 4 * PROMPT, "{what}");
            let (request, end) = server.raw_upload("steady.bin", (CHUNKS * chunk.len()) as u64);
            let mut uploading = server.dial();
            uploading.begin(&request);
            uploading.send(&request.body);
            for _ in 0..CHUNKS {
                begun.hold(1);
                uploading.send(&chunk);
                server.assert_alive();
            }
            uploading.send(end);
            let (status, said) = uploading.answer();
            assert_eq!(status, Some(200), "{what}: {said}");
        });
    };
    for request in &cases {
        serve(request, false);
        serve(request, true);
    }
}

#[test]
fn a_download_that_is_read_steadily_is_not_let_go_for_those_who_ask_nothing() {
    const SIZE: usize = 50 << 20;
    let site = Site::new();
    let server = site.serve_with(&format!("[http]\nmax-connections = {FEW}\n"));
    let guid = server.upload_document("large.bin", &vec![b'x'; SIZE]);
    let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    let mut reading = server.dial();
    reading.send(server.raw_get(&path));
    let mut read = 0;
    let mut read_to = |end: usize| {
        while read < end {
            match reading.read_some(1 << 20) {
                Some(more) => read += more,
                None => break,
            }
        }
        read
    };
    let mut held = Vec::new();
    for nth in 1..=2 * FEW {
        held.push(server.dial());
        let end = nth * (512 << 10);
        assert!(read_to(end) >= end, "let go in round {nth}");
        server.assert_alive();
    }
    assert!(read_to(usize::MAX) > SIZE);
    let room = server.figure("atropos_http_let_go_total{why=\"room\"} ");
    assert!(room >= 16.0, "{room} made room");
}

#[test]
fn readers_who_take_their_time_hold_no_memory_and_are_let_go() {
    const SIZE: usize = 50 << 20;
    const READERS: usize = 20;
    let site = Site::new();
    let server = site.serve_with("[http]\nresponse-timeout-ms = 4000\n");
    let guid = server.upload_document("large.bin", &vec![b'x'; SIZE]);
    let alone = server.memory_kib("VmRSS:");
    let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    let mut readers: Vec<Raw> = (0..READERS).map(|_| server.dial()).collect();
    for reader in &mut readers {
        reader.send(server.raw_get(&path));
        assert!(reader.read_some(100).is_some());
    }
    let grown = server.memory_kib("VmRSS:").saturating_sub(alone);
    eprintln!("{READERS} readers of {SIZE} bytes: {grown} KiB");
    assert!(grown < 2048 * READERS as u64, "{grown} KiB");
    server.assert_prompt("among slow readers");
    wait_until("they are let go", || {
        let slow = "atropos_http_let_go_total{why=\"slow\"} ";
        server.figure(slow) >= READERS as f64
    });
    for mut reader in readers {
        let mut read = 0;
        while let Some(more) = reader.read_some(1 << 20) {
            read += more;
        }
        assert!(read < SIZE, "somebody was sent everything");
    }
    assert_eq!(server.document(&guid).map(|bytes| bytes.len()), Some(SIZE));
}

#[test]
fn writers_who_take_their_time_hold_no_memory_and_have_no_effect() {
    const WRITERS: usize = 20;
    let site = Site::new();
    let server = site.serve_with("[http]\nrequest-timeout-ms = 2000\n");
    let guid = server.upload_document("kept.txt", b"kept");
    let delete = server.raw_delete(&guid);
    let (upload, _) = server.raw_upload("slow.bin", 50 << 20);
    let alone = server.memory_kib("VmRSS:");
    let mut deleting: Vec<Raw> = (0..WRITERS).map(|_| server.dial()).collect();
    let mut uploading: Vec<Raw> = (0..WRITERS).map(|_| server.dial()).collect();
    for connection in &mut deleting {
        connection.begin(&delete);
    }
    for connection in &mut uploading {
        connection.begin(&upload);
        connection.send(&upload.body);
    }
    let started = Instant::now();
    for byte in &delete.body[..delete.body.len() - 1] {
        for connection in &mut deleting {
            // Whoever has been answered already is not read any more.
            let _ = connection.try_send([*byte]);
        }
        for connection in &mut uploading {
            connection.send("x");
        }
        if started.elapsed() > Duration::from_secs(3) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let grown = server.memory_kib("VmRSS:").saturating_sub(alone);
    eprintln!("{WRITERS} deletes and {WRITERS} uploads, byte by byte: {grown} KiB");
    assert!(grown < 2048 * WRITERS as u64, "{grown} KiB");
    server.assert_prompt("among slow writers");
    for connection in deleting {
        let (status, said) = connection.answer();
        assert_eq!(status, Some(503), "{said}");
        assert!(said.contains("request-timeout"), "{said}");
    }
    assert_eq!(server.document(&guid), Some(b"kept".to_vec()));
    drop(uploading);
    wait_until("nothing is left of the uploads", || {
        blob_files(&site.data_dir()).len() == 1
    });
}

#[test]
fn headers_of_a_mebibyte_from_many_at_once_hold_no_memory() {
    const SENDERS: usize = 50;
    let site = Site::new();
    let server = site.serve();
    server.assert_prompt("alone");
    let alone = server.memory_kib("VmRSS:");
    let reset = format!("/proc/{}/clear_refs", server.pid());
    std::fs::write(reset, "5").expect("one's own process");
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut connection = server.dial();
                // The server may have had enough before all of it is sent.
                let _ = connection.try_send(&request);
                let (status, said) = connection.answer();
                assert!(matches!(status, Some(431) | None), "{said}");
            });
        }
    });
    let grown = server.memory_kib("VmHWM:").saturating_sub(alone);
    eprintln!("{SENDERS} headers of a mebibyte: {grown} KiB at most");
    assert!(grown < 512 * SENDERS as u64, "{grown} KiB");
    server.assert_prompt("after large headers");
}

#[test]
fn requests_in_a_pipeline_are_answered_in_order_and_each_has_its_effect_once() {
    let site = Site::new();
    let server = site.serve();
    let guids: Vec<String> = (0..40)
        .map(|nth| server.upload_document(&format!("{nth}.txt"), b"bytes"))
        .collect();
    let open = |text: String| text.replace("Connection: close\r\n", "");
    let delete = |guid: &str, token: &str| {
        let request = server.raw_delete(guid);
        let head = open(request.head).replace("Expect: 100-continue\r\n", "");
        let head = head.replace(&server.token, token);
        head + &String::from_utf8(request.body).expect("text")
    };
    let (mut requests, mut expected) = (String::new(), Vec::new());
    for guid in &guids {
        requests += &delete(guid, &server.token);
        requests += &open(server.raw_get("/healthz"));
        requests += &delete(guid, &server.token);
        requests += &delete(guid, "wrong");
        requests += &open(server.raw_get("/nothing"));
        expected.extend([200, 200, 404, 401, 404]);
    }
    let mut connection = server.dial();
    connection.send(requests);
    let answers = expected.iter().map(|_| connection.next_answer());
    let answers: Vec<u16> = answers.map(|(status, _)| status).collect();
    assert_eq!(answers, expected);
    assert!(server.documents().is_empty());
    let deletions = server.deletions();
    assert_eq!(deletions.len(), guids.len());
    assert!(deletions.values().all(|times| *times == 1), "{deletions:?}");
}
