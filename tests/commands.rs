//! The command line: exit codes, JSON, secrets, and verbs beside a running server.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::site::{CLIENT, Site, database, secret, wait_until};
use crate::support::{self, PHOTO, PHOTO_USER, SITE_KEY, Server, TENANT, WEBSITE, run, verb};

fn exit(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The code in the JSON object with which a verb that failed ends.
fn code(data_dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = run(data_dir, &[args, &["--json"]].concat());
    assert!(output.stdout.is_empty(), "a failure is no answer");
    let error: Value = support::failure(&output);
    let code = error["error"]["code"].as_str().expect("a code");
    (exit(&output), code.to_owned())
}

#[test]
fn the_exit_code_tells_done_from_refused_from_mistyped_from_unavailable() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let done = run(&data_dir, &["tenant", "list"]);
    assert_eq!((exit(&done), said(&done)), (Some(0), String::new()));
    let taken = ["tenant", "create", TENANT, "--website-id", "7"];
    assert_eq!(code(&data_dir, &taken), (Some(1), "taken".to_owned()));
    let nobody = ["key", "list", "--tenant", "nobody"];
    assert_eq!(code(&data_dir, &nobody), (Some(1), "not-found".to_owned()));
    for mistyped in [&["nonsense"][..], &["tenant", "create"], &[]] {
        assert_eq!(exit(&run(&data_dir, mistyped)), Some(2), "{mistyped:?}");
    }
    let user = [
        "object", "list", "document", "--tenant", TENANT, "--user", "x",
    ];
    assert_eq!(code(&data_dir, &user), (Some(2), "usage".to_owned()));
    let no_file = [
        "object",
        "put",
        "document",
        "no-such-file",
        "--tenant",
        TENANT,
        "--user",
        "6",
    ];
    assert_eq!(code(&data_dir, &no_file), (Some(3), "io".to_owned()));
    // What should be a directory is a file.
    let file = site.folder().join("a-file");
    std::fs::write(&file, "").expect("a file");
    let unusable = code(&file, &["tenant", "list"]);
    assert_eq!(unusable, (Some(3), "unavailable".to_owned()));
}

#[test]
fn every_list_is_json_when_asked_for() {
    let server = Server::demo();
    let data_dir = server.data_dir();
    assert_eq!(server.delete_photo(PHOTO).0, 200);
    let limit = ["budget", "set", "tenant", "day=9", "--tenant", TENANT];
    verb(data_dir, &limit);
    let lists: [&[&str]; 9] = [
        &["tenant", "list"],
        &["key", "list", "--tenant", TENANT],
        &["client", "list"],
        &["object", "list", "photo", "--tenant", TENANT],
        &[
            "object", "list", "document", "--tenant", TENANT, "--user", "6",
        ],
        &["activity", "--tenant", TENANT, "--user", PHOTO_USER],
        &["policy", "list"],
        &["budget", "show", "--tenant", TENANT],
        &["decision", "list", "--tenant", TENANT],
    ];
    for list in lists {
        let answer = verb(data_dir, list);
        let rows = answer
            .as_array()
            .unwrap_or_else(|| panic!("{list:?}: {answer}"));
        assert!(
            !rows.is_empty() && rows.iter().all(Value::is_object),
            "{list:?}"
        );
        let table = run(data_dir, list);
        let lines = String::from_utf8(table.stdout)
            .expect("text")
            .lines()
            .count();
        assert_eq!(lines, rows.len() + 1, "{list:?}: a header and the rows");
    }
    assert!(!verb(data_dir, &["policy", "show", "--tenant", TENANT]).is_null());
    let empty = [
        "object", "list", "photo", "--tenant", TENANT, "--user", "nobody",
    ];
    assert_eq!(verb(data_dir, &empty), serde_json::json!([]));
}

#[test]
fn a_secret_is_shown_once_and_kept_nowhere() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let issued = [
        verb(
            &data_dir,
            &["key", "issue", "--tenant", TENANT, "--label", "web"],
        ),
        verb(&data_dir, &["client", "create", "other"]),
        verb(&data_dir, &["token", "issue", "other"]),
    ];
    let keys = verb(&data_dir, &["key", "list", "--tenant", TENANT]);
    let clients = verb(&data_dir, &["client", "list"]);
    let listed = format!("{keys}{clients}");
    assert!(
        listed.contains("web") && listed.contains("other"),
        "{listed}"
    );
    for issued in &issued {
        let secret = secret(issued);
        assert!(secret.len() >= 32, "{} bytes are guessed", secret.len());
        assert!(!listed.contains(&secret), "a secret is listed");
        let file = support::holds(&data_dir, secret.as_bytes());
        assert_eq!(file, None, "a secret is on the disk");
    }
    // For a script: nothing but the secret.
    let output = run(&data_dir, &["key", "issue", "--tenant", TENANT]);
    let stdout = String::from_utf8(output.stdout.clone()).expect("text");
    assert_eq!(stdout.lines().count(), 1);
    assert!(!said(&output).contains(stdout.trim()));
}

fn delete_photo(data_dir: &Path, key: &str) -> Output {
    let named = ["--website", WEBSITE, "--user", PHOTO_USER, "--photo", PHOTO];
    run(
        data_dir,
        &[&["delete", "photo", "--key", key][..], &named].concat(),
    )
}

#[test]
fn a_delete_typed_goes_the_way_of_one_over_http() {
    let server = Server::demo();
    let data_dir = server.data_dir();
    let wrong = delete_photo(data_dir, "c961461a-0000-448c-b9ea-e1162bd80b8e");
    assert_eq!(exit(&wrong), Some(1));
    assert!(said(&wrong).contains("(401)"), "{}", said(&wrong));
    let first = delete_photo(data_dir, SITE_KEY);
    assert_eq!(exit(&first), Some(0), "{}", said(&first));
    assert_eq!(first.stdout, b"erased\n");
    let again = delete_photo(data_dir, SITE_KEY);
    assert_eq!(exit(&again), Some(1));
    assert_eq!(said(&again), "error: Invalid Photo Id (327)\n");
    assert_eq!(server.delete_photo(PHOTO).0, 404, "the server knows");
    let no_key = [
        "delete",
        "photo",
        "--website",
        WEBSITE,
        "--user",
        PHOTO_USER,
        "--photo",
        PHOTO,
    ];
    assert_eq!(code(data_dir, &no_key), (Some(1), "226".to_owned()));

    let guid = server.upload_document("typed.txt", b"deleted from a terminal");
    let document = |token: &str| {
        let named = ["--tenant", "myTenant", "--user", "6", "--guid", &guid];
        run(
            data_dir,
            &[&["delete", "document", "--token", token][..], &named].concat(),
        )
    };
    assert_eq!(exit(&document("no-such-token")), Some(1));
    assert_eq!(exit(&document(&server.token)), Some(0));
    assert_eq!(server.document(&guid), None);
    assert_eq!(server.deletions().get(&guid), Some(&1));
    let again = document(&server.token);
    assert_eq!(exit(&again), Some(1));
    assert!(
        said(&again).contains("(document-not-found)"),
        "{}",
        said(&again)
    );
}

/// What a photo caller with this key gets.
fn photo_status(server: &Server, key: &str) -> u16 {
    let path = format!("/api/4/UploadImage/GetUserUploadedList?userId={PHOTO_USER}");
    let request = server
        .http
        .get(server.url(&path))
        .header("websiteId", WEBSITE);
    let response = request.header("webApiClientKey", key).send();
    response.expect("an answer").status().as_u16()
}

/// What a document caller with this token gets.
fn document_status(server: &Server, token: &str) -> u16 {
    let path = format!("/api/library/documents/list/get/{TENANT}/6");
    let request = server.http.get(server.url(&path)).bearer_auth(token);
    request.send().expect("an answer").status().as_u16()
}

#[test]
fn what_is_revoked_stops_working_on_the_running_server() {
    let site = Site::new();
    let (data_dir, server) = (site.data_dir(), site.serve());
    let key = verb(&data_dir, &["key", "issue", "--tenant", TENANT]);
    let token = verb(&data_dir, &["token", "issue", CLIENT]);
    let id = |issued: &Value| issued["id"].as_str().expect("an id").to_owned();
    assert_eq!(photo_status(&server, &secret(&key)), 200);
    assert_eq!(document_status(&server, &secret(&token)), 200);
    verb(&data_dir, &["key", "revoke", &id(&key)]);
    assert_eq!(photo_status(&server, &secret(&key)), 401);
    verb(&data_dir, &["token", "revoke", &id(&token)]);
    assert_eq!(document_status(&server, &secret(&token)), 401);
    let guid = server.upload_document("kept.txt", b"kept");
    let named = ["--tenant", TENANT, "--user", "6", "--guid", &guid];
    let with = ["delete", "document", "--token", &secret(&token)];
    assert_eq!(
        exit(&run(&data_dir, &[&with[..], &named].concat())),
        Some(1)
    );
    assert!(server.document(&guid).is_some());
    assert_eq!(
        exit(&run(&data_dir, &["key", "revoke", "no-such-id"])),
        Some(1)
    );
}

#[test]
fn what_has_expired_stops_working_by_itself() {
    let site = Site::new();
    let (data_dir, server) = (site.data_dir(), site.serve());
    let key = verb(
        &data_dir,
        &["key", "issue", "--tenant", TENANT, "--lifetime", "1s"],
    );
    let token = verb(&data_dir, &["token", "issue", CLIENT, "--lifetime", "1s"]);
    wait_until("key and token have expired", || {
        let (key, token) = (secret(&key), secret(&token));
        (
            photo_status(&server, &key),
            document_status(&server, &token),
        ) == (401, 401)
    });
}

#[test]
fn a_grant_that_is_withdrawn_closes_the_tenant() {
    let site = Site::new();
    let (data_dir, server) = (site.data_dir(), site.serve());
    let guid = server.upload_document("kept.txt", b"kept");
    let grant = ["client", "grant", CLIENT, "--tenant", TENANT];
    verb(&data_dir, &[&grant[..], &["documents:read"]].concat());
    assert_eq!(document_status(&server, &site.token), 200);
    assert_eq!(server.delete_document(&guid).0, 403);
    verb(&data_dir, &[&grant[..], &["--nothing"]].concat());
    assert_eq!(document_status(&server, &site.token), 403);
    assert_eq!(server.delete_document(&guid).0, 403);
    verb(
        &data_dir,
        &[&grant[..], &["documents:read", "documents:write"]].concat(),
    );
    assert_eq!(server.delete_document(&guid).0, 200);
}

#[test]
fn a_second_server_is_refused_and_told_of_the_first() {
    let site = Site::new();
    let server = site.serve();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let second = run(&site.data_dir(), &serve);
    assert_eq!(exit(&second), Some(3), "{}", said(&second));
    assert!(said(&second).contains(&format!("process {}", server.pid())));
    assert_eq!(code(&site.data_dir(), &serve).1, "server-running");
    assert_eq!(server.get("/readyz").status(), 200);
    // Whoever was killed leaves the way free.
    server.kill();
    assert_eq!(site.serve().stop(), Some(0));
}

#[test]
fn the_demo_is_for_this_machine_only() {
    let folder = tempfile::tempdir().expect("a directory");
    let data_dir = folder.path().join("data");
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let output = run(&data_dir, &["serve", "--demo", "--listen", address]);
        assert_eq!(exit(&output), Some(2), "{address}");
        assert!(said(&output).contains("127.0.0.1"), "{}", said(&output));
    }
    assert!(!data_dir.exists(), "refused before anything is made");
    // What is no demo is not filled with samples.
    let site = Site::new();
    verb(
        &site.data_dir(),
        &["tenant", "create", "real", "--website-id", "7"],
    );
    let output = run(
        &site.data_dir(),
        &["serve", "--demo", "--listen", "127.0.0.1:0"],
    );
    assert_eq!(exit(&output), Some(2));
    assert!(said(&output).contains("`real`"), "{}", said(&output));
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_by_key_and_line() {
    let site = Site::new();
    let file = site.folder().join("wrong.toml");
    let path = file.to_str().expect("a path in UTF-8");
    let table = [
        ("[http]\n\nheader-timeout = 5\n", "line 3", "header-timeout"),
        ("lissten = \"127.0.0.1:0\"\n", "line 1", "lissten"),
        ("[erase]\nmax-group = \"x\"\n", "line 2", "max-group"),
        ("[upload]\ndeadline-ms = 1\n", "upload.deadline-ms", "60000"),
    ];
    for (text, place, key) in table {
        std::fs::write(&file, text).expect("a file");
        for verb in [&["serve"][..], &["tenant", "list"]] {
            let args = [verb, &["--config", path]].concat();
            let output = run(&site.data_dir(), &args);
            assert_eq!(exit(&output), Some(2), "{text}");
            let said = said(&output);
            assert!(said.contains(place) && said.contains(key), "{said}");
        }
    }
}

#[test]
fn data_of_a_newer_version_are_refused_untouched() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let newer = database(&data_dir);
    newer
        .pragma_update(None, "user_version", 99)
        .expect("a pragma");
    drop(newer);
    let before = std::fs::read(data_dir.join("atropos.db")).expect("a file");
    for verb in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["tenant", "list"],
    ] {
        let output = run(&data_dir, verb);
        assert_eq!(exit(&output), Some(3), "{verb:?}");
        assert!(said(&output).contains("99"), "{}", said(&output));
    }
    let after = std::fs::read(data_dir.join("atropos.db")).expect("a file");
    assert!(before == after, "the file was changed");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a directory");
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).expect("a directory");
    let permit = |mode| std::fs::set_permissions(&locked, PermissionsExt::from_mode(mode));
    permit(0o500).expect("permissions");
    if std::fs::write(locked.join("probe"), "").is_ok() {
        eprintln!("SKIPPED: permissions do not bind this user");
        return;
    }
    for verb in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["tenant", "list"],
    ] {
        let output = run(&locked, verb);
        assert_eq!(exit(&output), Some(3), "{verb:?}");
        let said = said(&output);
        assert!(said.contains("locked"), "{said}");
        let why = ["denied", "unable to open database file"];
        assert!(why.iter().any(|why| said.contains(why)), "{said}");
    }
    permit(0o700).expect("permissions");
}
