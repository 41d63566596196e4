//! What the files under the data directory hold, and who may use them at once.

use std::path::Path;
use std::time::Duration;

use atropos::domain::catalogue::Change;

use super::commit::{committer, eventually, quick};
use super::*;

/// Whether any file below `dir` contains `needle`.
fn contains(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return contains(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

fn secret(id: &str) -> Vec<u8> {
    format!("the very private content of {id}").into_bytes()
}

#[tokio::test]
async fn nothing_of_an_erased_object_stays_in_any_file() {
    let backend = Backend::embedded().await;
    let path = backend.path();
    let mut objects = Vec::new();
    for n in 0..100 {
        let id = format!("p-{n:03}");
        objects.push(backend.upload(&id, &secret(&id)).await);
    }
    let change = Change {
        labels: Some(vec!["replaced-label".to_owned()]),
        ..Change::default()
    };
    backend
        .rows
        .change(&objects[99].target, change)
        .await
        .unwrap();
    assert!(contains(path, b"name of p-050.png"));
    assert!(contains(path, b"the very private content of p-050"));
    let committer = committer(&backend, Arc::clone(&backend.blobs), &quick());
    for object in &objects[..50] {
        committer
            .erase(backend.allowed(object), None)
            .await
            .unwrap();
    }
    committer.stop().await;
    // The writer checkpoints by itself, which nobody asks for here.
    eventually(async || !contains(path, b"name of p-049.png")).await;
    for object in &objects[..50] {
        let id = &object.target.id;
        assert!(
            !contains(path, format!("name of {id}.png").as_bytes()),
            "{id}"
        );
        assert!(!contains(path, &secret(id)), "{id}");
    }
    assert!(contains(path, b"name of p-050.png"));
    assert!(contains(path, b"the very private content of p-050"));
}

#[tokio::test]
async fn a_reader_in_the_way_only_delays_the_checkpoint() {
    let backend = Backend::embedded().await;
    let path = backend.path();
    let object = backend.upload("p-001", b"bytes").await;
    let reader = rusqlite::Connection::open(path.join("atropos.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM objects;")
        .unwrap();
    backend.erase(&[backend.erasure(&object)]).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(
        contains(path, b"name of p-001.png"),
        "the reader still needs it"
    );
    reader.execute_batch("COMMIT").unwrap();
    eventually(async || !contains(path, b"name of p-001.png")).await;
}

#[tokio::test]
async fn closing_frees_the_files() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p-001", b"bytes").await;
    let rows = Sqlite::open(backend.path()).unwrap();
    rows.erase(&[backend.erasure(&object)]).await.unwrap();
    drop(rows);
    assert!(!contains(backend.path(), b"name of p-001.png"));
}

#[tokio::test]
async fn queued_writes_are_finished_before_closing() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p-001", b"bytes").await;
    let rows = Sqlite::open(backend.path()).unwrap();
    let batch = [backend.denied(&object)];
    let hasty = tokio::time::timeout(Duration::ZERO, rows.record(&batch));
    let _ = hasty.await;
    drop(rows);
    assert_eq!(backend.recorded().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_on_one_database_see_and_do_not_block_each_other() {
    let backend = Backend::embedded().await;
    let other = Arc::new(Sqlite::open(backend.path()).unwrap());
    let object = backend.upload("p-000", b"bytes").await;
    let busy = {
        let (other, target) = (Arc::clone(&other), object.target.clone());
        tokio::spawn(async move {
            for _ in 0..50 {
                other.place_hold(&target, "a lawsuit", 1).await.unwrap();
            }
        })
    };
    for n in 1..50 {
        backend.upload(&format!("p-{n:03}"), b"bytes").await;
    }
    busy.await.unwrap();
    let seen = backend.rows.find(&object.target).await.unwrap().unwrap();
    assert_eq!((seen.held, seen.version), (true, 51));
    let listed = other.list(backend.tenant.id, Kind::Photo, None, FIRST.into());
    assert_eq!(listed.await.unwrap().len(), 50);
    // A chain that the other assigned is in force here at once.
    let new = NewRevision::new(vec![entry("allow-all"), entry("allow-all")], 5);
    let revised = other.revise(backend.tenant.id, new).await.unwrap();
    revised.unwrap();
    let chain = backend
        .rows
        .chain(backend.tenant.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((chain.revision, chain.entries.len()), (2, 2));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("atropos.db");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = std::fs::read(&path).unwrap();
    let refused = Sqlite::open(dir.path());
    assert!(matches!(
        refused,
        Err(StoreError::Newer {
            found: 99,
            known: _
        })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_said_to_be_damaged() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("atropos.db"), vec![b'x'; 8192]).unwrap();
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(StoreError::Corrupt { .. })
    ));
}

#[cfg(unix)]
#[tokio::test]
async fn a_planted_link_leads_nowhere_outside() {
    let backend = Backend::embedded().await;
    let outside = tempfile::tempdir().unwrap();
    let key = BlobKey::random();
    let text = key.to_string();
    let (shard, name) = text.split_at(2);
    let blobs = backend.path().join("blobs");
    std::os::unix::fs::symlink(outside.path(), blobs.join(shard)).unwrap();
    std::fs::write(outside.path().join(name), b"precious").unwrap();
    assert!(backend.bytes.open(key, WHOLE).await.is_err());
    assert!(backend.blobs.remove(key).await.is_err());
    assert!(
        backend
            .bytes
            .put(key, None, &mut &b"bytes"[..])
            .await
            .is_err()
    );
    assert_eq!(
        std::fs::read(outside.path().join(name)).unwrap(),
        b"precious"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_in_place_of_a_blob_goes_without_what_it_points_to() {
    let backend = Backend::embedded().await;
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    std::fs::write(&precious, b"precious").unwrap();
    let key = BlobKey::random();
    backend
        .bytes
        .put(key, None, &mut &b"bytes"[..])
        .await
        .unwrap();
    let text = key.to_string();
    let (shard, name) = text.split_at(2);
    let blob = backend.path().join("blobs").join(shard).join(name);
    std::fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink(&precious, &blob).unwrap();
    assert!(backend.bytes.open(key, WHOLE).await.is_err());
    assert_eq!(backend.blobs.remove(key).await.unwrap(), Removal::Removed);
    assert!(precious.exists());
}
