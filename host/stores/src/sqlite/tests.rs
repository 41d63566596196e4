//! Rows that are damaged, closures that panic, and transactions that are gone: each fails what it
//! belongs to, and nothing else.

use std::sync::mpsc;
use std::thread;

use atropos::domain::ledger::Soundness;
use atropos::domain::{Doomed, Erasure, Removal};
use atropos::ports::{Decisions as _, EraseError, Objects as _, PendingUploads as _, StoreError};
use atropos::target::{BlobKey, Kind, Object};
use rusqlite::Connection;
use tokio::join;

use super::error::Sql;
use super::files::Files;
use super::open::BUSY_TIMEOUT;
use super::*;
use crate::tests::{Backend, FIRST};

/// Changes rows behind the back of the storage.
pub(crate) fn damage(backend: &Backend, sql: &str) {
    let other = Connection::open(backend.path().join(FILE)).unwrap();
    other.busy_timeout(BUSY_TIMEOUT).unwrap();
    let unchecked = format!("PRAGMA foreign_keys = OFF; {sql}");
    other.execute_batch(&unchecked).unwrap();
}

fn count(backend: &Backend, of: &str) -> i64 {
    let other = Connection::open(backend.path().join(FILE)).unwrap();
    let sql = format!("SELECT count(*) FROM {of}");
    other.query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn numbered(n: u32) -> BlobKey {
    format!("{n:032x}").parse().unwrap()
}

/// A second handle on the rows, whose writer belongs to the test.
fn second(backend: &Backend) -> Sqlite {
    Sqlite::open(backend.path()).unwrap()
}

async fn uploads(backend: &Backend, how_many: usize) -> Vec<Object> {
    let mut objects = Vec::new();
    for n in 0..how_many {
        objects.push(backend.upload(&format!("p{n}"), b"bytes").await);
    }
    objects
}

/// In a word: erased, failed by the storage, or left for a reason.
fn words(outcomes: &[Result<Doomed, EraseError>]) -> Vec<&'static str> {
    let word = |outcome: &Result<Doomed, EraseError>| match outcome {
        Ok(_) => "erased",
        Err(EraseError::Store(_)) => "failed",
        Err(EraseError::Conflict(_)) => "left",
    };
    outcomes.iter().map(word).collect()
}

/// What makes the erasure of the object `p2` fail after its row is deleted.
const DAMAGES: [&str; 2] = [
    "UPDATE blobs SET key = 'no key' WHERE ordinal = 1 AND object =
        (SELECT id FROM objects WHERE public_id = 'p2')",
    "INSERT INTO shreds (key, not_before_ms) SELECT key, 9000000000000000 FROM blobs
        WHERE ordinal = 1 AND object = (SELECT id FROM objects WHERE public_id = 'p2')",
];

#[tokio::test]
async fn an_erasure_that_fails_leaves_nothing_of_its_own_and_all_of_the_others() {
    for damaged in DAMAGES {
        let backend = Backend::embedded().await;
        let objects = uploads(&backend, 5).await;
        damage(&backend, damaged);
        let doomed = count(&backend, "shreds");
        let group: Vec<_> = objects
            .iter()
            .map(|object| backend.erasure(object))
            .collect();
        let outcomes = backend.rows.erase(&group).await.unwrap();
        let expected = ["erased", "erased", "failed", "erased", "erased"];
        assert_eq!(words(&outcomes), expected, "{damaged}");
        let find = backend.rows.find(&objects[2].target);
        assert_eq!(find.await.unwrap().as_ref(), Some(&objects[2]));
        assert_eq!(count(&backend, "blobs"), 2, "{damaged}");
        assert_eq!(count(&backend, "shreds"), doomed + 8, "{damaged}");
        assert_eq!(backend.recorded().await.len(), 4, "{damaged}");
        let tenant = backend.tenant.id;
        let activity = backend.rows.activity(tenant, None, "user-6", FIRST);
        assert_eq!(activity.await.unwrap().len(), 4, "{damaged}");
        // Alone it fails likewise.
        let outcomes = backend.rows.erase(&group[2..3]).await.unwrap();
        assert_eq!(words(&outcomes), ["failed"], "{damaged}");
        assert_eq!(count(&backend, "blobs"), 2, "{damaged}");
    }
}

#[tokio::test]
async fn a_group_with_a_bad_member_harms_none_of_the_writes_that_share_its_transaction() {
    let backend = Backend::embedded().await;
    let objects = uploads(&backend, 4).await;
    damage(&backend, DAMAGES[0]);
    let (rows, group): (_, Vec<_>) = (
        second(&backend),
        objects
            .iter()
            .map(|object| backend.erasure(object))
            .collect(),
    );
    let recorded = [backend.denied(&objects[0])];
    let reserved = [numbered(1)];
    let (open, gate) = mpsc::channel();
    let wait = move |_: &Connection| Ok(gate.recv().is_ok());
    let panics = |_: &Connection| -> Sql<()> { panic!("as a test") };
    // What is queued while the first waits shares a transaction.
    let (waited, before, erased, broken, after, ()) = join!(
        rows.writer.write(wait),
        rows.reserve(&reserved, 1),
        rows.erase(&group),
        rows.writer.write(panics),
        rows.record(&recorded),
        async { open.send(()).unwrap() },
    );
    assert!(waited.unwrap());
    before.unwrap();
    let expected = ["erased", "erased", "failed", "erased"];
    assert_eq!(words(&erased.unwrap()), expected);
    assert!(matches!(broken, Err(StoreError::Unavailable(_))));
    assert!(after.unwrap()[0].is_ok());
    assert_eq!(count(&backend, "shreds"), 1 + 6);
    assert_eq!(backend.recorded().await.len(), 3 + 1);
}

#[tokio::test]
async fn a_decision_that_cannot_be_recorded_keeps_no_other_off_the_record() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let made: Vec<_> = (0..4).map(|_| backend.denied(&object)).collect();
    // Of an id that is on record already.
    let recorded = backend.rows.record(&made[1..2]).await.unwrap();
    assert!(recorded[0].is_ok());
    let recorded = backend.rows.record(&made).await.unwrap();
    let told: Vec<_> = recorded.iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, true, true]);
    assert_eq!(backend.recorded().await.len(), 4);
}

#[tokio::test]
async fn a_record_that_cannot_be_struck_off_keeps_no_other() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    backend.erase(&[backend.erasure(&object)]).await;
    let other = BlobKey::random();
    backend.rows.reserve(&[other], 1).await.unwrap();
    damage(
        &backend,
        &format!("UPDATE shreds SET event = -1 WHERE key = '{}'", keys[0]),
    );
    let removed = [keys[1], keys[0], other].map(|key| (key, Removal::Removed));
    let struck_off = backend.rows.shredded(&removed).await.unwrap();
    let told: Vec<_> = struck_off.iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, true]);
    assert_eq!(count(&backend, "shreds"), 1);
}

#[tokio::test]
async fn records_that_cannot_be_read_are_passed_over_and_take_no_place_of_others() {
    let backend = Backend::embedded().await;
    let mut keys: Vec<_> = (0..4).map(|_| BlobKey::random()).collect();
    keys.sort();
    backend.rows.reserve(&keys, 50).await.unwrap();
    let capitals = "0123456789ABCDEF0123456789ABCDEF";
    damage(
        &backend,
        &format!(
            "INSERT INTO shreds (key, not_before_ms) VALUES ('no key', 1), ('{capitals}', 2);
            INSERT INTO shreds (key, not_before_ms, attempts) VALUES
                ('{:032x}', 3, -1), ('{:032x}', 4, 1 << 40);",
            1, 2
        ),
    );
    let page = backend.due(100, 3).await;
    let found: Vec<_> = page.iter().map(|shred| shred.key).collect();
    assert_eq!(found, keys[..3]);
    assert_eq!(backend.due(100, 10).await.len(), 4);
    assert_eq!(count(&backend, "shreds WHERE leased_until_ms > 0"), 4);
    let backlog = backend.rows.backlog(100, 1000).await.unwrap();
    assert_eq!((backlog.due, backlog.most_attempts), (8, 0));
    assert_eq!(backend.rows.overdue(100, 10).await.unwrap().len(), 4);
    let soundness = backend.rows.verify().await.unwrap();
    assert_eq!(soundness.dangling, ["4 of `shreds` cannot be read"]);
}

#[tokio::test]
async fn rows_that_cannot_be_read_hide_no_others_and_are_counted() {
    let backend = Backend::embedded().await;
    let objects = uploads(&backend, 4).await;
    let sound = backend.keys_of(&objects[0]).await;
    damage(
        &backend,
        "UPDATE blobs SET key = 'no key ' || ordinal
            WHERE object = (SELECT id FROM objects WHERE public_id = 'p1');
        UPDATE objects SET version = -1 WHERE public_id = 'p2';
        UPDATE blobs SET size_bytes = -1 WHERE ordinal = 0
            AND object = (SELECT id FROM objects WHERE public_id = 'p3');
        INSERT INTO tenants (subdomain, website_id, created_at_ms) VALUES ('no subdomain', 9, 1);
        INSERT INTO tenants (subdomain, website_id, created_at_ms) VALUES ('other', 10, 1);
        INSERT INTO chains (tenant, revision, at_ms, entries)
            SELECT id, 1, 1, 'no entries' FROM tenants WHERE subdomain = 'other';",
    );
    let named = backend.rows.named(None, 100).await.unwrap();
    assert_eq!(named.len(), 2 + 2 + 1);
    assert!(
        sound
            .iter()
            .all(|key| named.iter().any(|one| one.key == *key))
    );
    // A page is full however many are passed over.
    assert_eq!(backend.rows.named(None, 5).await.unwrap().len(), 5);
    let known = backend.rows.tenants().await.unwrap();
    assert_eq!(known.len(), 2, "the server starts for those it can read");
    let soundness = backend.rows.verify().await.unwrap();
    let dangling = [
        "1 of `tenants` cannot be read",
        "1 of `objects` cannot be read",
        "3 of `blobs` cannot be read",
        "the chain of `other` cannot be read",
    ];
    let dangling = dangling.map(str::to_owned).to_vec();
    let expected = Soundness {
        dangling,
        unreadable_keys: 2,
        ..Soundness::default()
    };
    assert_eq!(soundness, expected);
}

#[tokio::test]
async fn a_panic_fails_its_own_write_and_the_thread_goes_on() {
    let backend = Backend::embedded().await;
    let rows = second(&backend);
    let broken = |rows: &Connection| -> Sql<()> {
        let insert = "INSERT INTO shreds (key, not_before_ms) VALUES ('half', 1)";
        rows.execute_batch(insert)?;
        panic!("as a test")
    };
    let answer = rows.writer.write(broken).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))));
    assert_eq!(count(&backend, "shreds"), 0);
    let keys = [1, 2, 3].map(numbered);
    let each = |rows: &Connection, key: &BlobKey| -> Sql<()> {
        let insert = "INSERT INTO shreds (key, not_before_ms) VALUES (?, 1)";
        rows.prepare_cached(insert)?.execute([key.to_string()])?;
        assert_ne!(*key, numbered(2), "as a test");
        Ok(())
    };
    let outcomes = rows.writer.write_each(keys.to_vec(), each).await.unwrap();
    let told: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, true]);
    assert_eq!(count(&backend, "shreds"), 2);
}

#[tokio::test]
async fn a_panic_at_a_step_of_an_erasure_or_of_its_transaction_is_its_own_alone() {
    let backend = Backend::embedded().await;
    let objects = uploads(&backend, 3).await;
    let rows = second(&backend);
    let group: Vec<Erasure> = objects
        .iter()
        .map(|object| backend.erasure(object))
        .collect();
    let writer = rows.writer.write(|_| Ok(thread::current().id()));
    let writer = writer.await.unwrap();
    // The steps of other tests' writers are passed as usual.
    let panics = move || assert_ne!(thread::current().id(), writer, "as a test");
    for (step, after) in [
        ("erase.shred", 3),
        ("write.commit", 3),
        ("write.committed", 2),
    ] {
        fail::cfg_callback(step, panics).unwrap();
        let outcomes = rows.erase(&group[..1]).await;
        fail::remove(step);
        let failed = match outcomes {
            Ok(outcomes) => words(&outcomes) == ["failed"],
            Err(error) => matches!(error, StoreError::Unavailable(_)),
        };
        assert!(failed, "{step}");
        assert_eq!(count(&backend, "objects"), after, "{step}");
    }
    let outcomes = rows.erase(&group).await.unwrap();
    assert_eq!(words(&outcomes), ["left", "erased", "erased"]);
    let left = backend
        .rows
        .list(backend.tenant.id, Kind::Photo, None, FIRST.into());
    assert!(left.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_transaction_that_sqlite_undid_fails_whole_and_the_next_is_sound() {
    let backend = Backend::embedded().await;
    let rows = second(&backend);
    let keys = [1, 2, 3].map(numbered);
    // As a full disk does.
    let each = |rows: &Connection, key: &BlobKey| -> Sql<()> {
        let insert = "INSERT INTO shreds (key, not_before_ms) VALUES (?, 1)";
        rows.prepare_cached(insert)?.execute([key.to_string()])?;
        if *key == numbered(3) {
            rows.execute_batch("ROLLBACK")?;
            return Err(StoreError::Full("as a test".into()).into());
        }
        Ok(())
    };
    let (open, gate) = mpsc::channel();
    let wait = move |_: &Connection| Ok(gate.recv().is_ok());
    let (_, alone, ()) = join!(
        rows.writer.write(wait),
        rows.writer.write_each(keys.to_vec(), each),
        async { open.send(()).unwrap() },
    );
    assert!(matches!(alone, Err(StoreError::Full(_))));
    let (first, last) = ([numbered(8)], [numbered(9)]);
    let (open, gate) = mpsc::channel();
    let wait = move |_: &Connection| Ok(gate.recv().is_ok());
    let (_, before, shared, after, ()) = join!(
        rows.writer.write(wait),
        rows.reserve(&first, 1),
        rows.writer.write_each(keys.to_vec(), each),
        rows.reserve(&last, 1),
        async { open.send(()).unwrap() },
    );
    assert!(before.is_err() && shared.is_err() && after.is_err());
    assert_eq!(
        count(&backend, "shreds"),
        0,
        "nothing that was told to have failed"
    );
    rows.reserve(&keys, 1).await.unwrap();
    assert_eq!(count(&backend, "shreds"), 3);
}

#[tokio::test]
async fn a_transaction_that_was_left_open_is_undone_before_the_next() {
    let backend = Backend::embedded().await;
    let path = backend.path().join(FILE);
    let connection = connect(&path).unwrap();
    let half = "BEGIN; INSERT INTO shreds (key, not_before_ms) VALUES ('half', 1)";
    connection.execute_batch(half).unwrap();
    let files = Arc::new(Files::opened(&path).unwrap());
    let writer = Writer::start(connection, files).unwrap();
    let whole = "INSERT INTO shreds (key, not_before_ms) VALUES ('whole', 1)";
    let written = writer.write(move |rows| Ok(rows.execute_batch(whole)?));
    written.await.unwrap();
    assert_eq!(count(&backend, "shreds WHERE key = 'whole'"), 1);
    assert_eq!(count(&backend, "shreds"), 1);
}
