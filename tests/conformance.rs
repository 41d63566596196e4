//! The conformance suite over three storages: the embedded one, the one of the embedding example, and one
//! that is wrong in ten ways, each of which the suite finds by name.

mod example;
mod wrong;

use std::sync::Arc;

use atropos::conformance::{self, Subject};
use atropos::ports::{Bytes, Database};
use atropos::target::now_ms;
use atropos_stores::local::Local;
use atropos_stores::sqlite::Sqlite;

use self::wrong::Way;

/// SQLite and local files in a directory of their own.
async fn embedded() -> Subject {
    let dir = tempfile::tempdir().expect("a directory");
    let rows = Arc::new(Sqlite::open(dir.path()).expect("the rows"));
    let bytes: Arc<dyn Bytes> = Arc::new(Local::open(dir.path(), &*rows).expect("the bytes"));
    let rows: Arc<dyn Database> = rows;
    Subject::of_service(rows, bytes, now_ms(), Box::new(dir)).await
}

#[tokio::test]
async fn the_embedded_storage_has_every_behaviour() {
    let report = conformance::run(embedded).await;
    assert!(report.holds(), "{report}");
    assert!(report.not_brought.is_empty(), "{report}");
}

#[tokio::test]
async fn the_storage_of_the_embedding_example_has_what_a_delete_needs() {
    let report = conformance::run(async || example::subject()).await;
    assert!(report.holds(), "{report}");
    // It refuses requests that have a key, and has nothing for the service.
    let other = |name: &&str| name.starts_with("outcomes::") || is_of_service(name);
    assert!(
        report.not_brought.iter().all(other),
        "{:?}",
        report.not_brought
    );
    assert!(report.held.len() >= 20, "{report}");
}

/// Whether a behaviour is one that only the service asks for.
fn is_of_service(name: &str) -> bool {
    let modules = [
        "catalogue",
        "history",
        "content",
        "inventory",
        "ledger",
        "policies",
        "tenants",
    ];
    modules
        .iter()
        .any(|module| name.starts_with(&format!("{module}::")))
}

#[tokio::test]
async fn each_way_to_be_wrong_is_found_by_name() {
    for (way, found) in Way::ALL {
        let report = conformance::run(async || wrong::subject(way)).await;
        let broken: Vec<_> = report.broken.iter().map(|(name, _)| *name).collect();
        assert!(broken.contains(&found), "{way:?}: {broken:?}");
        let sound = report.held.len();
        assert!(sound > 0, "{way:?}: the suite tells nothing apart");
    }
}
