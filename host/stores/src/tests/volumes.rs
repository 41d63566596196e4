//! Bytes whose place is not the one that the rows belong to, or goes while they are written.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use super::commit::eventually;
use super::*;
use crate::local::marker::MARKER;

fn blobs(backend: &Backend) -> PathBuf {
    backend.path().join("blobs")
}

/// Copies a directory with what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, name) = entry.map(|one| (one.path(), one.file_name())).unwrap();
        match from.is_dir() {
            true => copy(&from, &to.join(name)),
            false => drop(fs::copy(from, to.join(name)).unwrap()),
        }
    }
}

fn wrong<T>(outcome: Result<T>) -> bool {
    matches!(outcome, Err(StoreError::WrongVolume(_)))
}

#[tokio::test]
async fn without_its_marker_a_place_has_no_absent_blobs_and_takes_none() {
    let backend = Backend::embedded().await;
    let (there, gone) = (BlobKey::random(), BlobKey::random());
    backend
        .bytes
        .put(there, None, &mut &b"bytes"[..])
        .await
        .unwrap();
    let marker = blobs(&backend).join(MARKER);
    let id = fs::read(&marker).unwrap();
    for foreign in [None, Some(&b"0123456789abcdef0123456789abcdef\n"[..])] {
        match foreign {
            Some(foreign) => fs::write(&marker, foreign).unwrap(),
            None => fs::remove_file(&marker).unwrap(),
        }
        assert!(wrong(backend.blobs.remove(gone).await));
        for removed in backend.blobs.remove_all(&[gone, gone]).await {
            assert!(wrong(removed));
        }
        assert!(wrong(backend.blobs.is_absent(gone).await));
        assert!(wrong(backend.bytes.open(gone, WHOLE).await));
        assert!(wrong(
            backend.bytes.put(gone, None, &mut &b"bytes"[..]).await
        ));
        let sizes = backend.bytes.sizes(&[there, gone]).await;
        assert!(matches!(*sizes, [Ok(Some(5)), Err(_)]), "{sizes:?}");
        // What is there under a key that cannot be guessed is what was written.
        assert!(!backend.blobs.is_absent(there).await.unwrap());
    }
    fs::write(&marker, id).unwrap();
    assert!(backend.blobs.is_absent(gone).await.unwrap());
    assert_eq!(backend.blobs.remove(gone).await.unwrap(), Removal::Absent);
    assert_eq!(backend.blobs.remove(there).await.unwrap(), Removal::Removed);
}

#[tokio::test]
async fn a_blob_whose_volume_goes_while_it_is_written_is_not_durable() {
    let backend = Backend::embedded().await;
    let (key, aside) = (BlobKey::random(), backend.path().join("aside"));
    let (mut sender, mut content) = tokio::io::duplex(16);
    let swap = async {
        sender.write_all(b"the first of it").await.unwrap();
        eventually(async || !backend.blobs.is_absent(key).await.unwrap()).await;
        // A copy with its marker, as of before the upload.
        fs::rename(blobs(&backend), &aside).unwrap();
        fs::create_dir(blobs(&backend)).unwrap();
        fs::copy(aside.join(MARKER), blobs(&backend).join(MARKER)).unwrap();
        sender.write_all(b"and the rest").await.unwrap();
        drop(sender);
    };
    let (put, ()) = tokio::join!(backend.bytes.put(key, None, &mut content), swap);
    assert!(put.is_err(), "{put:?}");
    assert!(backend.blobs.is_absent(key).await.unwrap());
}

#[tokio::test]
async fn many_that_look_at_a_place_first_and_at_once_find_it_the_same() {
    for _ in 0..50 {
        let backend = Backend::embedded().await;
        let looks: Vec<_> = (0..8)
            .map(|_| {
                let blobs = Arc::clone(&backend.blobs);
                tokio::spawn(async move { blobs.is_absent(BlobKey::random()).await })
            })
            .collect();
        for look in looks {
            assert!(look.await.unwrap().unwrap());
        }
    }
}

#[tokio::test]
async fn bytes_are_removed_where_the_path_leads_and_not_where_it_led() {
    let backend = Backend::embedded().await;
    let (key, aside) = (BlobKey::random(), backend.path().join("aside"));
    backend
        .bytes
        .put(key, None, &mut &b"bytes"[..])
        .await
        .unwrap();
    fs::rename(blobs(&backend), &aside).unwrap();
    assert!(wrong(backend.blobs.remove(key).await), "nothing is there");
    copy(&aside, &blobs(&backend));
    assert_eq!(backend.blobs.remove(key).await.unwrap(), Removal::Removed);
    assert!(backend.bytes.open(key, WHOLE).await.unwrap().is_none());
    backend.blobs.sync_removals().await.unwrap();
}
