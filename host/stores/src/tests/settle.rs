//! Records of removed bytes, struck off.

use atropos::commit::settle::{Settled, settle};
use atropos::domain::Removal;

use super::Backend;
use crate::sqlite::damage;

#[tokio::test]
async fn a_record_that_cannot_be_struck_off_is_let_go_and_the_others_are_settled() {
    let backend = Backend::embedded().await;
    let object = backend.upload("p1", b"bytes").await;
    let keys = backend.keys_of(&object).await;
    backend.erase(&[backend.erasure(&object)]).await;
    let bad = format!("UPDATE shreds SET event = -1 WHERE key = '{}'", keys[0]);
    damage(&backend, &bad);
    let mut waiting: Settled = keys.iter().map(|key| (*key, Removal::Removed)).collect();
    let settled = settle(&*backend.rows, &*backend.blobs, &mut waiting).await;
    settled.unwrap();
    assert!(waiting.is_empty(), "it would be tried again and again");
    let left = backend.due(u64::MAX, 10).await;
    let left: Vec<_> = left.iter().map(|shred| shred.key).collect();
    assert_eq!(left, keys[..1]);
}
