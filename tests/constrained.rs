//! A machine that denies: a directory for temporary files, executable memory, address space.
//! What can do without does; the rest is refused at the start, by name.

use std::num::NonZero;
use std::process::{Command, Output};

use atropos_test_guests as guests;

use crate::support::forge::with_section;
use crate::support::machine::missing;
use crate::support::site::{Site, wait_until};
use crate::support::{DOCUMENT_USER, PATIENT, Starting, TENANT, available, failure, files};

/// No temporary file can be made where the system has them.
const NO_TEMPORARY: &str = "export TMPDIR=/nonexistent";

/// In KiB: enough for the program, and far too little for any pool.
const NO_POOL: &str = "ulimit -v 33554432";
/// Enough for the program, and for no guest.
const NO_GUEST: &str = "ulimit -v 4194304";

/// Runs the program as systemd does with `MemoryDenyWriteExecute=yes`.
const NOT_EXECUTABLE: &str = "\
import ctypes, os, sys
denied = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:]) if denied else sys.exit(99)";

/// A component that nobody has compiled before, in a file beside the data directory.
fn component(site: &Site, name: &str) -> String {
    let file = site.folder().join(format!("{name}.wasm"));
    let bytes = with_section(guests::DENY_ALL, name.as_bytes());
    std::fs::write(&file, bytes).expect("a component");
    file.to_str().expect("a path in UTF-8").to_owned()
}

fn assert_done(output: &Output, what: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what:?}: {said}");
}

/// Whether all of these are said.
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?}: {said}");
    }
}

#[test]
fn without_a_directory_for_temporary_files_components_are_compiled_in_the_data_directory() {
    let site = Site::new();
    let server = site.serve_after(NO_TEMPORARY, &[]).expect("a server");
    let guid = server.upload_document("a.txt", b"bytes");
    let mine = format!("--policy={}", component(&site, "mine"));
    let assign = ["policy", "assign", "--tenant", TENANT, &mine];
    assert_done(&site.run_after(NO_TEMPORARY, &assign), &assign);
    wait_until("it denies", || server.delete_document(&guid).0 == 403);
    let back = ["policy", "rollback", "--tenant", TENANT];
    assert_done(&site.run_after(NO_TEMPORARY, &back), &back);
    wait_until("it allows", || server.delete_document(&guid).0 == 200);
    for file in files(&site.data_dir().join("components")) {
        assert!(
            file.extension().is_some_and(|end| end == "image"),
            "{file:?}"
        );
    }
}

#[test]
fn where_nothing_can_be_compiled_the_server_does_not_start_and_says_why() {
    let site = Site::new();
    let _ = std::fs::remove_dir_all(site.data_dir().join("components"));
    std::fs::write(site.data_dir().join("components"), "no folder").expect("a file");
    let refused = site.serve_after(NO_TEMPORARY, &[]).err();
    let refused = refused.expect("it would serve no delete");
    let folder = site.data_dir().join("components");
    let folder = format!("no temporary file in {}", folder.display());
    assert_says(&refused, &[&folder, "remedy: ", "must be writable"]);
    assert!(!refused.contains("is ready"), "{refused}");
    assert_done(&site.run_after(NO_TEMPORARY, &["tenant", "list"]), &[]);
}

#[test]
fn where_memory_cannot_be_made_executable_what_runs_guests_is_refused_by_name() {
    if !available("python3") {
        return;
    }
    let site = Site::new();
    let denied = |command: &Command| {
        let mut under = Command::new("python3");
        under.args(["-c", NOT_EXECUTABLE]);
        under.arg(command.get_program()).args(command.get_args());
        under.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        under
    };
    let mut listing = crate::support::atropos(&site.data_dir());
    let listed = denied(listing.args(["tenant", "list"])).output();
    let listed = listed.expect("python runs");
    if listed.status.code() == Some(99) {
        missing("mdwe", "this kernel cannot deny executable memory");
        return;
    }
    assert_done(&listed, &["tenant", "list"]);

    let words = ["make memory executable", "MemoryDenyWriteExecute"];
    let serving = denied(&Starting::command(&site.data_dir(), &[]));
    let refused = Starting::run(serving, &site.data_dir(), false)
        .ready()
        .err();
    assert_says(&refused.expect("it would serve no delete"), &words);
    let mine = component(&site, "mine");
    let policy = format!("--policy={mine}");
    for args in [
        &["component", "check", &mine][..],
        &["policy", "assign", "--tenant", TENANT, &policy],
    ] {
        let mut verb = crate::support::atropos(&site.data_dir());
        let output = denied(verb.args(args)).output().expect("python runs");
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert_says(&String::from_utf8_lossy(&output.stderr), &words);
    }
}

#[test]
fn verbs_that_run_no_guest_need_no_address_space_for_any() {
    let site = Site::unmade();
    let file = site.folder().join("a.txt");
    std::fs::write(&file, "bytes").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let backup = site.folder().join("backup");
    let backup = backup.to_str().expect("a path in UTF-8");
    let user = DOCUMENT_USER.to_string();
    let guid = crate::support::GUID;
    let verbs: &[&[&str]] = &[
        &["tenant", "create", TENANT, "--website-id", "422"],
        &["tenant", "list"],
        &["key", "issue", "--tenant", TENANT],
        &["client", "create", "crm"],
        &["token", "issue", "crm"],
        &[
            "object", "put", "document", file, "--tenant", TENANT, "--user", &user, "--id", guid,
        ],
        &["object", "list", "document", "--tenant", TENANT],
        &[
            "hold", "place", "document", guid, "--tenant", TENANT, "--user", &user, "--reason", "x",
        ],
        &["activity", "--tenant", TENANT, "--user", &user],
        &["budget", "set", "tenant", "day=5", "--tenant", TENANT],
        &["decision", "list", "--tenant", TENANT],
        &["policy", "show", "--tenant", TENANT],
        &["policy", "history", "--tenant", TENANT],
        &["policy", "require-replay", "off", "--tenant", TENANT],
        &["component", "choose", "default"],
        &["doctor", "--repair"],
        &["quarantine", "list"],
        &["volume", "show"],
        &["status"],
        &["backup", backup],
    ];
    for verb in verbs {
        assert_done(&site.run_after(NO_GUEST, verb), verb);
    }
}

#[test]
fn where_there_is_no_address_space_for_the_pool_verbs_run_guests_without_it() {
    let site = Site::new();
    // What comes with the program is compiled from here on: a delete does not wait for that.
    assert_eq!(site.serve().stop(), Some(0));
    let (mine, guid) = (component(&site, "mine"), crate::support::GUID);
    let (policy, user) = (format!("--policy={mine}"), DOCUMENT_USER.to_string());
    let file = site.folder().join("a.txt");
    std::fs::write(&file, "bytes").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let put = [
        "object", "put", "document", file, "--tenant", TENANT, "--user", &user, "--id", guid,
    ];
    let delete = [
        "delete",
        "document",
        "--tenant",
        TENANT,
        "--user",
        &user,
        "--guid",
        guid,
        "--token",
        &site.token,
    ];
    for args in [
        &["component", "check", &mine][..],
        &["policy", "list"],
        &["policy", "assign", "--tenant", TENANT, &policy],
        &["policy", "rollback", "--tenant", TENANT],
        &put,
        &delete,
        &["replay", "--tenant", TENANT],
    ] {
        assert_done(&site.run_after(NO_POOL, args), args);
    }
    // Where there is not even room for two guests, it is not the component that is blamed.
    let check = ["component", "check", &mine];
    let output = site.run_after(NO_GUEST, &check);
    assert_eq!(output.status.code(), Some(3));
    let said = failure(&output).to_string();
    assert_says(
        &said,
        &[
            "no address space for the memories of two guests",
            "`ulimit -v`",
        ],
    );
}

#[test]
fn a_server_without_address_space_for_its_pool_names_the_key_and_serves_with_a_smaller_one() {
    let site = Site::new();
    let refused = site.serve_after(NO_POOL, &[]).err().expect("too little");
    let words = [
        "`erase.max-in-flight` = 128",
        "GiB of address space",
        "remedy: ",
        "`ulimit -v`",
    ];
    assert_says(&refused, &words);

    let file = site.folder().join("few.toml");
    let config = format!("{PATIENT}[erase]\nmax-in-flight = 1\n");
    std::fs::write(&file, config).expect("a configuration");
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let enough = format!("ulimit -v {}", ((2 + cores) * 16 + 64) << 20);
    let args = ["--config", file.to_str().expect("a path in UTF-8")];
    let server = site.serve_after(&enough, &args).expect("a server");
    let guid = server.upload_document("a.txt", b"bytes");
    assert_eq!(server.delete_document(&guid).0, 200);
}
