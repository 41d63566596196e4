//! What bytes there are, as a whole.

use futures_util::StreamExt as _;

use super::Service;
use crate::domain::ledger::Entry;
use crate::ports::Result;
use crate::target::BlobKey;

pub(in crate::conformance) async fn every_blob_is_listed_once_with_its_size_and_time(
    service: &Service,
) {
    let mut expected = Vec::new();
    for size in 1..51 {
        let (key, content) = (BlobKey::random(), vec![7; size]);
        service.bytes.put(key, None, &mut &*content).await.unwrap();
        expected.push((key, size as u64));
    }
    let mut listed = Vec::new();
    let mut batches = service.bytes.list();
    while let Some(batch) = batches.next().await {
        for entry in batch.unwrap() {
            match entry {
                Entry::Blob(blob) => {
                    assert!(blob.written_ms > 0);
                    listed.push((blob.key, blob.size_bytes));
                }
                Entry::Foreign(path) => panic!("{path} is no blob"),
            }
        }
    }
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

pub(in crate::conformance) async fn sizes_are_told_in_order_and_of_the_absent_none(
    service: &Service,
) {
    let (keys, bytes) = ([(); 3].map(|()| BlobKey::random()), &service.bytes);
    bytes.put(keys[0], None, &mut &b"one"[..]).await.unwrap();
    bytes.put(keys[2], None, &mut &b"three"[..]).await.unwrap();
    let sizes = bytes.sizes(&keys).await;
    let sizes: Vec<_> = sizes.into_iter().map(Result::unwrap).collect();
    assert_eq!(sizes, [Some(3), None, Some(5)]);
    if let Some(room) = bytes.room().await.unwrap() {
        assert!(0 < room.free_bytes && room.free_bytes <= room.total_bytes);
    }
}
