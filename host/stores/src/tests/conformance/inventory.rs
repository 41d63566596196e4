//! What bytes there are, as a whole.

use atropos::store::ledger::Entry;
use futures_util::StreamExt as _;

use crate::tests::*;

pub(super) async fn every_blob_is_listed_once(backend: &Backend) {
    let mut expected = Vec::new();
    for _ in 0..50 {
        let key = BlobKey::random();
        backend.blobs.put(key, &mut &b"bytes"[..]).await.unwrap();
        expected.push(key);
    }
    let mut listed = Vec::new();
    let mut batches = backend.inventory.list();
    while let Some(batch) = batches.next().await {
        for entry in batch.unwrap() {
            match entry {
                Entry::Blob(key) => listed.push(key),
                Entry::Foreign(path) => panic!("{path} is no blob"),
            }
        }
    }
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

pub(super) async fn sizes_are_told_in_order_and_of_the_absent_none(backend: &Backend) {
    let keys: Vec<_> = (0..3).map(|_| BlobKey::random()).collect();
    backend.blobs.put(keys[0], &mut &b"one"[..]).await.unwrap();
    backend
        .blobs
        .put(keys[2], &mut &b"three"[..])
        .await
        .unwrap();
    let sizes = backend.inventory.sizes(&keys).await;
    let sizes: Vec<_> = sizes.into_iter().map(Result::unwrap).collect();
    assert_eq!(sizes, [Some(3), None, Some(5)]);
    let room = backend.inventory.room().await.unwrap();
    assert!(0 < room.free_bytes && room.free_bytes <= room.total_bytes);
}
