//! A database that was put back by hand beside the write-ahead log of a killed server.

use rusqlite::config::DbConfig;

use super::{assert_whole, refusal, upload};
use crate::support::site::{Site, database};
use crate::support::{Starting, run};

#[test]
fn a_database_beside_the_log_of_another_is_refused_and_its_own_log_is_taken() {
    let site = Site::new();
    let data_dir = site.data_dir();
    let server = site.serve();
    upload(&server, &["early"]);
    assert_eq!(server.stop(), Some(0));
    let old = site.folder().join("old.db");
    let (file, log) = (data_dir.join("atropos.db"), data_dir.join("atropos.db-wal"));
    std::fs::copy(&file, &old).expect("a copy");

    // A reader keeps the log from being truncated, until the server is killed.
    let server = site.serve();
    let reader = database(&data_dir);
    let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    reader.set_db_config(keep, true).expect("a setting");
    reader
        .execute_batch("BEGIN; SELECT * FROM objects")
        .expect("a reader");
    upload(&server, &["late", "later"]);
    server.kill();
    drop(reader);
    let own = site.folder().join("own");
    std::fs::create_dir(&own).expect("a folder");
    for name in ["atropos.db", "atropos.db-wal", "atropos.db-run"] {
        std::fs::copy(data_dir.join(name), own.join(name)).expect("a copy");
    }
    assert!(std::fs::metadata(&log).expect("a log").len() > 0);

    std::fs::copy(&old, &file).expect("a copy");
    let (exit, code, message) = refusal(&run(&data_dir, &["doctor", "--json"]));
    assert_eq!((exit, &*code), (Some(3), "unavailable"), "{message}");
    let started = Starting::new(&data_dir, &[], &[]).ready();
    let said = started.map(drop).expect_err("no server");
    for told in [
        "belongs to another database file",
        "remove `atropos.db-wal`",
    ] {
        assert!(said.contains(told), "{said}");
    }
    assert_eq!(
        std::fs::read(&file).expect("a file"),
        std::fs::read(&old).expect("a file")
    );

    // Without it, what was put back is what there is; the doctor tells of the files that came later.
    std::fs::remove_file(&log).expect("a log");
    let _ = std::fs::remove_file(data_dir.join("atropos.db-shm"));
    let server = site.serve();
    assert_eq!(server.documents().len(), 1);
    assert_eq!(server.stop(), Some(0));

    for name in ["atropos.db", "atropos.db-wal", "atropos.db-run"] {
        std::fs::copy(own.join(name), data_dir.join(name)).expect("a copy");
    }
    let server = site.serve();
    assert_eq!(server.documents().len(), 3, "its own log counts");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(assert_whole(&data_dir), 3);
}
