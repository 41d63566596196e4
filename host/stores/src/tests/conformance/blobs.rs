//! Bytes.

use tokio::io::AsyncReadExt as _;

use crate::tests::*;

pub(super) async fn a_blob_is_read_as_written_until_it_is_removed(backend: &Backend) {
    let key = BlobKey::random();
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let size = backend
        .blobs
        .put(key, &mut content.as_slice())
        .await
        .unwrap();
    assert_eq!(size, 700_000);
    let mut reader = backend.blobs.open(key).await.unwrap().unwrap();
    assert_eq!(reader.size, 700_000);
    let mut read = Vec::new();
    reader.content.read_to_end(&mut read).await.unwrap();
    assert!(read == content);
    assert!(backend.blobs.put(key, &mut &b"other"[..]).await.is_err());
    assert!(!backend.blobs.is_absent(key).await.unwrap());
    assert_eq!(backend.blobs.remove(key).await.unwrap(), Removal::Removed);
    assert!(backend.blobs.open(key).await.unwrap().is_none());
    assert!(backend.blobs.is_absent(key).await.unwrap());
    backend.blobs.sync_removals().await.unwrap();
}

pub(super) async fn an_absent_blob_is_said_to_be_absent(backend: &Backend) {
    let key = BlobKey::random();
    assert!(backend.blobs.open(key).await.unwrap().is_none());
    assert_eq!(backend.blobs.remove(key).await.unwrap(), Removal::Absent);
    backend.blobs.sync_removals().await.unwrap();
}

pub(super) async fn several_removals_are_answered_in_order(backend: &Backend) {
    let keys: Vec<_> = (0..150).map(|_| BlobKey::random()).collect();
    for key in keys.iter().step_by(50) {
        backend.blobs.put(*key, &mut &b"bytes"[..]).await.unwrap();
    }
    let removed = backend.blobs.remove_all(&keys).await;
    assert_eq!(removed.len(), keys.len());
    for (place, removal) in removed.into_iter().enumerate() {
        let expected = match place % 50 {
            0 => Removal::Removed,
            _ => Removal::Absent,
        };
        assert_eq!(removal.unwrap(), expected);
    }
}

pub(super) async fn a_read_that_is_under_way_fails_once_the_blob_is_removed(backend: &Backend) {
    let key = BlobKey::random();
    let content = vec![1; 700_000];
    backend.blobs.put(key, &mut &*content).await.unwrap();
    let mut reader = backend.blobs.open(key).await.unwrap().unwrap();
    let mut some = [0; 1000];
    reader.content.read_exact(&mut some).await.unwrap();
    backend.blobs.remove(key).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(reader.content.read(&mut some).await.is_err());
}
