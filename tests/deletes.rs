//! The two documented calls, as documented.

use std::process::Command;

use crate::support::{self, DOCUMENT_USER, GUID, PHOTO, Server, TENANT};

#[test]
fn the_printed_requests_delete_a_photo_and_a_document() {
    if !support::available("curl") {
        return;
    }
    let server = Server::demo();
    let (_, requests) = server.tour.split_once("# A photo").expect("two requests");
    let paste = |shell: &str| {
        let output = Command::new("sh")
            .args(["-c", shell])
            .output()
            .expect("a shell");
        String::from_utf8(output.stdout).expect("text")
    };
    let (requests, _) = requests.split_once("# The same").expect("two requests");
    let requests = format!("# A photo{requests}");
    let first = paste(&requests);
    let success = r#"{"Response":"Success","Message":"The Image has been successfully deleted.","Data":null,"ErrorCode":""}"#;
    assert!(first.starts_with(success), "{first}");
    assert!(first.contains("HTTP/1.1 200 OK"), "{first}");
    assert!(first.ends_with("\r\n\r\n"), "the body is empty: {first}");
    let again = paste(&requests);
    let gone = r#"{"Response":"Error","Message":"Invalid Photo Id","Data":null,"ErrorCode":"327"}"#;
    assert!(again.starts_with(gone), "{again}");
    assert!(again.contains(r#""code":"document-not-found""#), "{again}");
    assert_eq!(server.delete_photo(PHOTO).0, 404);
}

#[test]
fn a_deleted_document_is_gone_from_list_bytes_and_disk_and_stays_in_the_activity() {
    let server = Server::demo();
    let content = b"these exact bytes are nowhere once the document is deleted";
    let guid = server.upload_document("secret-name-of-a-file.txt", content);
    assert!(server.documents().contains(&guid));
    assert!(support::holds(server.data_dir(), content).is_some());
    let bytes = format!("/api/library/documents/file/get/{TENANT}/{DOCUMENT_USER}/{guid}");
    let read = || {
        let request = server
            .http
            .get(server.url(&bytes))
            .bearer_auth(&server.token);
        request.send().expect("an answer")
    };
    assert_eq!(read().bytes().expect("bytes").as_ref(), content);

    assert_eq!(server.delete_document(&guid), (200, String::new()));

    assert!(!server.documents().contains(&guid));
    assert_eq!(read().status(), 404);
    assert_eq!(support::holds(server.data_dir(), content), None);
    let path = format!("/api/library/documents/activity/get/{TENANT}/{DOCUMENT_USER}");
    let request = server
        .http
        .get(server.url(&path))
        .bearer_auth(&server.token);
    let activity = request.send().expect("an answer").text().expect("text");
    assert!(activity.contains("User System File Delete"), "{activity}");
    assert!(activity.contains(&guid), "{activity}");
    // The name, too, leaves the files with the next checkpoint, at the latest at a stop.
    let data_dir = server.data_dir().to_owned();
    let name = b"secret-name-of-a-file";
    let started = std::time::Instant::now();
    while support::holds(&data_dir, name).is_some() {
        assert!(
            started.elapsed() < support::PATIENCE,
            "the name is still on disk"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn the_document_call_takes_a_trailing_slash() {
    let server = Server::demo();
    let body = format!(
        r#"{{"tenantSubDomain":"myTenant","userAccountId":{DOCUMENT_USER},"fileGuid":"{GUID}"}}"#
    );
    let request = server
        .http
        .post(server.url("/api/library/documents/delete/"));
    let request = request
        .header("content-type", "application/json")
        .body(body);
    let response = request
        .bearer_auth(&server.token)
        .send()
        .expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().expect("text"), "");
}
