//! Requests that are too large, and ids and links that lead elsewhere: none does any harm.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::site::{Site, blob_files, keys, wait_until};
use crate::support::{self, DOCUMENT_USER, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE};

#[test]
fn what_is_too_large_is_refused_and_harms_nobody() {
    let site = Site::new();
    let server = site.serve_with("[upload]\nmax-document-bytes = 100000\n");
    let guid = server.upload_document("kept.txt", b"kept");
    // One header of many times the limit.
    let mut connection = server.dial();
    let header = "x".repeat(1 << 20);
    // The server may have had enough before all of it is sent.
    let _ = connection.try_send(format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {header}\r\n\r\n"
    ));
    let (status, said) = connection.answer();
    assert!(matches!(status, Some(431) | None), "{said}");
    // A body that says it is a gibibyte, in the place of one of some bytes.
    let mut request = server.raw_delete(&guid);
    let length = format!("Content-Length: {}\r\n", request.body.len());
    request.head = request
        .head
        .replace(&length, "Content-Length: 1073741824\r\n");
    let mut connection = server.dial();
    connection.begin(&request);
    let _ = connection.try_send(vec![b' '; 64 << 10]);
    let (status, said) = connection.answer();
    assert_eq!(status, Some(413), "{said}");
    // One that is too large and all there.
    let padded = format!("{{\"padding\":\"{}\"}}", "x".repeat(17 << 10));
    let request = server
        .http
        .post(server.url("/api/library/documents/delete"));
    let request = request.header("content-type", "application/json");
    let response = request.bearer_auth(&server.token).body(padded).send();
    assert_eq!(response.expect("an answer").status(), 413);
    // A document of more bytes than it may have.
    let (request, end) = server.raw_upload("large.bin", 200_000);
    let mut connection = server.dial();
    connection.begin(&request);
    connection.send(&request.body);
    let _ = connection.try_send(vec![b'x'; 200_000]);
    let _ = connection.try_send(end);
    let (status, said) = connection.answer();
    assert_eq!(status, Some(413), "{said}");
    wait_until("nothing of it is left", || {
        blob_files(&site.data_dir()) == keys(&site.data_dir(), "blobs")
    });

    assert_eq!(server.documents(), std::slice::from_ref(&guid));
    assert_eq!(server.document(&guid), Some(b"kept".to_vec()));
    assert_eq!(server.get("/readyz").status(), 200);
}

#[test]
fn headers_beyond_the_limit_are_answered_with_431() {
    let site = Site::new();
    let server = site.serve();
    let mut connection = server.dial();
    connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n");
    // As many as fit into the buffer, and more than are counted.
    for index in 0..200 {
        connection.send(format!("X-{index}: 1\r\n"));
    }
    let _ = connection.try_send("\r\n");
    let (status, said) = connection.answer();
    assert_eq!(status, Some(431), "{said}");
    assert_eq!(server.get("/healthz").status(), 200);
}

#[test]
fn an_id_is_never_a_path() {
    let server = Server::demo();
    let data_dir = server.data_dir().to_owned();
    let before: Vec<PathBuf> = sorted(blob_files(&data_dir).into_iter().map(PathBuf::from));
    let ids = [
        "..%2Fatropos.db",
        "..%2F..%2Fatropos.db",
        "%2e%2e%2f%2e%2e%2fserver.lock",
        "..",
        ".",
        "%00",
        "%2Fetc%2Fpasswd",
        "..%5C..%5Catropos.db",
        "*",
        "%",
        "'%20OR%20'1'='1",
    ];
    for id in ids {
        for (user, photo) in [(PHOTO_USER, id), (id, support::PHOTO)] {
            let path = format!("/api/4/UploadImage/DeleteUserPhoto?userId={user}&photoId={photo}");
            let request = server
                .http
                .get(server.url(&path))
                .header("websiteId", WEBSITE);
            let response = request.header("webApiClientKey", SITE_KEY).send();
            let (status, body) = support::answer(response.expect("an answer"));
            assert!(matches!(status, 400 | 404), "{path}: {status} {body}");
        }
        // The client itself takes dots out of a path, so this is sent by hand.
        for path in [
            format!("/media/{id}/x.png"),
            format!("/media/x/{id}"),
            format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{id}"),
        ] {
            let mut connection = server.dial();
            connection.send(format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
                server.token
            ));
            let (status, said) = connection.answer();
            assert!(matches!(status, Some(400 | 404)), "{path}: {said}");
        }
    }
    for guid in [
        "../../atropos.db",
        "/etc/passwd",
        "\0",
        "{}",
        "",
        "fcc588f3",
    ] {
        let (status, body) = server.delete_document(guid);
        assert!(matches!(status, 400 | 404), "{guid:?}: {status} {body}");
    }
    let after: Vec<PathBuf> = sorted(blob_files(&data_dir).into_iter().map(PathBuf::from));
    assert_eq!(before, after);
    assert!(data_dir.join("atropos.db").exists() && data_dir.join("server.lock").exists());
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort();
    items
}

#[test]
fn a_link_planted_among_the_blobs_leads_nowhere() {
    for relative in [false, true] {
        let site = Site::new();
        let server = site.serve();
        let guid = server.upload_document("kept.txt", b"the document's own bytes");
        let blobs = site.data_dir().join("blobs");
        let key = keys(&site.data_dir(), "blobs").pop_first().expect("a key");
        let (shard, name) = key.split_at(2);
        let aside = site.folder().join("aside");
        fs::rename(blobs.join(shard), &aside).expect("put aside");
        let outside = site.folder().join("outside");
        fs::create_dir(&outside).expect("a folder");
        fs::write(outside.join(name), b"nobody's business").expect("a file");
        let target = if relative {
            PathBuf::from("../../outside")
        } else {
            outside.clone()
        };
        symlink(target, blobs.join(shard)).expect("a link");

        let path = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
        let request = server
            .http
            .get(server.url(&path))
            .bearer_auth(&server.token);
        let (status, text) = {
            let response = request.send().expect("an answer");
            (response.status().as_u16(), response.text().expect("text"))
        };
        assert_ne!(status, 200, "{text}");
        assert!(!text.contains("business"), "{text}");
        // The bytes are not deleted, and nobody says that they are.
        let (status, body) = server.delete_document(&guid);
        assert_eq!(status, 503, "{body}");
        assert!(server.documents().is_empty(), "it is out of sight at once");
        assert_eq!(
            fs::read(outside.join(name)).expect("still there"),
            b"nobody's business"
        );

        // Once its bytes are where they belong, the delete completes by itself.
        fs::remove_file(blobs.join(shard)).expect("the link");
        fs::rename(&aside, blobs.join(shard)).expect("put back");
        wait_until("the delete completes", || {
            blob_files(&site.data_dir()).is_empty() && keys(&site.data_dir(), "shreds").is_empty()
        });
        assert_eq!(server.deletions().get(&guid), Some(&1));
        assert!(outside.join(name).exists());
    }
}
