//! A data directory is for its owner alone: directories have the mode 0700, files and sockets 0600.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::demo::Demo;
use crate::support::photos::picture;
use crate::support::site::{Site, blob_of};
use crate::support::{DOCUMENT_USER, TENANT, run};

/// The mode of everything in a directory, and of the directory itself.
fn modes(folder: &Path) -> BTreeMap<PathBuf, (bool, u32)> {
    let mut modes = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        let found = std::fs::symlink_metadata(&next).expect("it is there");
        if found.is_dir() {
            let entries = std::fs::read_dir(&next).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        modes.insert(next, (found.is_dir(), found.permissions().mode() & 0o7777));
    }
    modes
}

fn assert_private(folder: &Path, when: &str) {
    let modes = modes(folder);
    assert!(modes.len() > 3, "{modes:?}");
    for (path, (is_dir, mode)) in modes {
        let wanted = if is_dir { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{when}: {} is {mode:o}", path.display());
    }
}

/// Opens all of a directory to others, as earlier versions left it.
fn open_up(folder: &Path) {
    for (path, (is_dir, _)) in modes(folder) {
        let mode = if is_dir { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
    }
}

#[test]
fn whatever_is_in_a_data_directory_is_for_its_owner_alone_whatever_the_umask() {
    for umask in ["umask 000", "umask 022", "umask 077"] {
        let mut site = Site::unmade();
        let create = ["tenant", "create", TENANT, "--website-id", "422"];
        assert!(site.run_after(umask, &create).status.success());
        assert_private(&site.data_dir(), umask);
        std::fs::remove_dir_all(site.data_dir()).expect("a directory");

        // A server makes the directory, too.
        drop(site.serve_after(umask, &[]).expect("a server"));
        assert_private(&site.data_dir(), umask);
        std::fs::remove_dir_all(site.data_dir()).expect("a directory");

        site.make();
        let server = site.serve_after(umask, &[]).expect("a server");
        let [kept, lost] = ["kept", "lost"].map(|name| server.upload_document(name, b"bytes"));
        let photo = site.folder().join("wide.png");
        std::fs::write(&photo, picture(1500, 900)).expect("a file");
        let photo = photo.to_str().expect("a path in UTF-8");
        let user = DOCUMENT_USER.to_string();
        let put = [
            "object", "put", "photo", photo, "--tenant", TENANT, "--user", &user,
        ];
        assert!(site.run_after(umask, &put).status.success());
        assert_eq!(server.delete_document(&kept).0, 200);
        // A file that nothing names any more is set aside.
        let blob = blob_of(&site.data_dir(), &lost);
        let stray = blob.with_file_name("0".repeat(30));
        std::fs::copy(&blob, &stray).expect("a file");
        std::fs::set_permissions(&stray, PermissionsExt::from_mode(0o600)).expect("a mode");
        let repair = site.run_after(umask, &["doctor", "--repair", "--younger-database"]);
        assert!(repair.status.success(), "{repair:?}");
        let quarantine = site.data_dir().join("blobs/quarantine");
        assert_eq!(std::fs::read_dir(quarantine).expect("one").count(), 1);
        assert!(site.data_dir().join("status.sock").exists());
        assert!(site.data_dir().join("atropos.db-wal").exists());
        assert_private(&site.data_dir(), umask);

        let backup = site.folder().join("backup");
        let backup = backup.to_str().expect("a path in UTF-8");
        assert!(site.run_after(umask, &["backup", backup]).status.success());
        assert_private(Path::new(backup), umask);
        assert_eq!(server.stop(), Some(0));
        let restore = [
            "restore",
            backup,
            "--accept-erased-since",
            "1d",
            "--set-aside",
        ];
        let restored = site.run_after(umask, &restore);
        assert!(restored.status.success(), "{restored:?}");
        assert_private(&site.data_dir(), umask);
    }
}

#[test]
fn what_an_earlier_version_left_open_is_corrected_and_told_once() {
    let told = "were open to other users of this machine";
    let demo = Demo::start();
    let data_dir = demo.server.data_dir().to_owned();
    open_up(&data_dir);
    let first = run(&data_dir, &["tenant", "list"]);
    assert!(first.status.success(), "{first:?}");
    assert!(
        String::from_utf8_lossy(&first.stderr).contains(told),
        "{first:?}"
    );
    assert_private(&data_dir, "corrected by a verb");
    let second = run(&data_dir, &["tenant", "list"]);
    assert!(second.stderr.is_empty(), "{second:?}");

    let site = Site::new();
    let server = site.serve();
    server.upload_document("a.txt", b"bytes");
    server.kill();
    open_up(&site.data_dir());
    let server = site.serve();
    assert!(server.whole_log().contains(told), "{}", server.whole_log());
    assert_private(&site.data_dir(), "corrected by the server");
    drop(server);
    assert!(!site.serve().whole_log().contains(told));
}
