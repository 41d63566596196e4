//! Uploads and downloads.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::Service;
use crate::domain::Removal;
use crate::ports::content::WHOLE;
use crate::target::BlobKey;

fn pattern() -> Vec<u8> {
    (0..700_000_u32).map(|n| (n % 251) as u8).collect()
}

pub(in crate::conformance) async fn a_blob_is_read_as_written_until_it_is_removed(
    service: &Service,
) {
    let (key, bytes, content) = (BlobKey::random(), &service.bytes, pattern());
    assert!(bytes.open(key, WHOLE).await.unwrap().is_none());
    let size = bytes.put(key, Some(700_000), &mut content.as_slice()).await;
    assert_eq!(size.unwrap(), 700_000);
    let mut reader = bytes.open(key, WHOLE).await.unwrap().unwrap();
    assert_eq!(reader.size, 700_000);
    let mut read = Vec::new();
    reader.content.read_to_end(&mut read).await.unwrap();
    assert!(read == content);
    let again = bytes.put(key, None, &mut &b"other"[..]).await;
    assert!(again.is_err(), "a blob is written once");
    assert_eq!(bytes.remove(key).await.unwrap(), Removal::Removed);
    assert!(bytes.open(key, WHOLE).await.unwrap().is_none());
    bytes.sync_removals().await.unwrap();
}

pub(in crate::conformance) async fn a_part_of_a_blob_is_read_as_it_was_written(service: &Service) {
    let (key, bytes, content) = (BlobKey::random(), &service.bytes, pattern());
    bytes.put(key, None, &mut content.as_slice()).await.unwrap();
    let table = [
        (0..1, 0..1),
        (5..700_000, 5..700_000),
        (699_999..u64::MAX, 699_999..700_000),
        (700_000..u64::MAX, 700_000..700_000),
        (300_000..300_000, 300_000..300_000),
    ];
    for (range, expected) in table {
        let mut reader = bytes.open(key, range.clone()).await.unwrap().unwrap();
        assert_eq!(reader.size, 700_000, "{range:?}");
        let mut read = Vec::new();
        reader.content.read_to_end(&mut read).await.unwrap();
        assert!(read == content[expected], "{range:?}");
    }
}

pub(in crate::conformance) async fn content_of_another_length_than_was_said_is_refused(
    service: &Service,
) {
    for said in [4, 6] {
        let key = BlobKey::random();
        let put = service.bytes.put(key, Some(said), &mut &b"bytes"[..]).await;
        assert!(put.is_err(), "{said}");
    }
}

pub(in crate::conformance) async fn a_read_that_is_under_way_fails_once_the_blob_is_removed(
    service: &Service,
) {
    let (key, bytes) = (BlobKey::random(), &service.bytes);
    let content = vec![1; 700_000];
    bytes.put(key, None, &mut &*content).await.unwrap();
    let mut reader = bytes.open(key, WHOLE).await.unwrap().unwrap();
    let mut some = [0; 1000];
    reader.content.read_exact(&mut some).await.unwrap();
    bytes.remove(key).await.unwrap();
    // From a second later on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(reader.content.read(&mut some).await.is_err());
}
