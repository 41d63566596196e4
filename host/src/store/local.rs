//! Bytes as files beneath one directory.
//!
//! A blob is `blobs/<2 digits>/<30 digits>` of its key: 256 directories keep each of them small.
//!
//! **Invariant:** every path is resolved beneath one open directory handle, so that no link planted
//! inside leads outside.
//! **Invariant:** a file is written only once, by the `put` that created it.

mod copy;
mod inventory;

pub use copy::Checksum;
pub(super) use copy::Copies;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::task::spawn_blocking;

use super::{BlobReader, Blobs, Removal, Result, StoreError};
use crate::step::{self, Step};
use crate::target::BlobKey;

/// How much of a blob is in memory while it is read.
const BUFFER: usize = 256 << 10;

/// How much of a blob is in memory while it is written, twice: on its way to the file, and in its turn
/// to be written. Whoever sends slowly has it for as long as the upload takes.
const WRITE_BUFFER: usize = 64 << 10;

/// How many removals one thread does in a row; a longer list is spread over several.
const REMOVALS: usize = 64;

/// The embedded backend of [`super::Blobs`] and [`super::Inventory`]. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    root: Dir,
    /// The directories in which removals are not durable yet.
    touched: Mutex<HashSet<String>>,
}

/// The directory of a blob, and its name in there.
fn place(key: BlobKey) -> (String, String) {
    let mut shard = key.to_string();
    let name = shard.split_off(2);
    (shard, name)
}

impl Local {
    /// Opens or creates `blobs/` in the data directory.
    ///
    /// # Errors
    /// Unwritable, or not a directory.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let outside = Dir::open_ambient_dir(data_dir, ambient_authority()).map_err(store_error)?;
        create_dir(&outside, "blobs").map_err(store_error)?;
        let root = outside.open_dir("blobs").map_err(store_error)?;
        Ok(Self::beneath(root))
    }

    fn beneath(root: Dir) -> Self {
        Self {
            shared: Arc::new(Shared {
                root,
                touched: Mutex::default(),
            }),
        }
    }

    /// Runs file work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        match spawn_blocking(move || work(&shared)).await {
            Ok(outcome) => outcome.map_err(store_error),
            Err(broken) => Err(StoreError::Unavailable(broken.into())),
        }
    }
}

#[async_trait]
impl Blobs for Local {
    async fn put(&self, key: BlobKey, content: &mut (dyn AsyncRead + Send + Unpin)) -> Result<u64> {
        let file = self.blocking(move |shared| shared.create(key)).await?;
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(WRITE_BUFFER);
        let size = copy(content, &mut file).await.map_err(store_error)?;
        step::pass(Step::PutSync).await?;
        file.sync_all().await.map_err(store_error)?;
        step::pass(Step::PutDirectory).await?;
        self.blocking(move |shared| shared.sync(&place(key).0))
            .await?;
        step::pass(Step::PutDone).await?;
        Ok(size)
    }

    async fn open(&self, key: BlobKey) -> Result<Option<BlobReader>> {
        step::pass(Step::BytesOpen).await?;
        let opened = self.blocking(move |shared| shared.open(key)).await?;
        Ok(opened.map(|(file, size)| {
            let mut file = tokio::fs::File::from_std(file);
            file.set_max_buf_size(BUFFER);
            BlobReader {
                size,
                content: Box::new(file),
            }
        }))
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        step::pass(Step::BytesRemove).await?;
        self.blocking(move |shared| shared.remove(key)).await
    }

    async fn remove_all(&self, keys: &[BlobKey]) -> Vec<Result<Removal>> {
        if let Err(failed) = step::pass(Step::BytesRemove).await {
            return keys.iter().map(|_| Err(failed.into())).collect();
        }
        let running: Vec<_> = keys
            .chunks(REMOVALS)
            .map(|chunk| {
                let (shared, chunk) = (Arc::clone(&self.shared), chunk.to_vec());
                let some = chunk.len();
                let work = move || chunk.into_iter().map(|key| shared.remove(key)).collect();
                (some, spawn_blocking(work))
            })
            .collect();
        let mut removed = Vec::with_capacity(keys.len());
        for (some, chunk) in running {
            let chunk: Result<Vec<io::Result<Removal>>, _> = chunk.await;
            match chunk {
                Ok(outcomes) => {
                    removed.extend(outcomes.into_iter().map(|one| one.map_err(store_error)));
                }
                Err(broken) => removed.extend(
                    (0..some).map(|_| Err(StoreError::Unavailable(broken.to_string().into()))),
                ),
            }
        }
        match step::pass(Step::BytesRemoved).await {
            Ok(()) => removed,
            Err(failed) => keys.iter().map(|_| Err(failed.into())).collect(),
        }
    }

    async fn sync_removals(&self) -> Result<()> {
        self.blocking(|shared| {
            step::pass_blocking(Step::BytesSync)?;
            let mut touched = std::mem::take(&mut *shared.touched.lock());
            let synced = touched.iter().try_for_each(|shard| shared.sync(shard));
            if synced.is_err() {
                shared.touched.lock().extend(touched.drain());
            }
            synced?;
            Ok(step::pass_blocking(Step::BytesSynced)?)
        })
        .await
    }
}

impl Shared {
    fn create(&self, key: BlobKey) -> io::Result<std::fs::File> {
        step::pass_blocking(Step::PutCreate)?;
        let (shard, name) = place(key);
        create_dir(&self.root, &shard)?;
        let mut new = OpenOptions::new();
        new.write(true).create_new(true);
        let file = self.root.open_with(format!("{shard}/{name}"), &new)?;
        Ok(file.into_std())
    }

    fn open(&self, key: BlobKey) -> io::Result<Option<(std::fs::File, u64)>> {
        let (shard, name) = place(key);
        match self.root.open(format!("{shard}/{name}")) {
            Ok(file) => {
                let file = file.into_std();
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, key: BlobKey) -> io::Result<Removal> {
        step::pass_blocking(Step::BytesUnlink)?;
        let (shard, name) = place(key);
        let removed = self.root.remove_file(format!("{shard}/{name}"));
        // Absent may mean removed by someone who crashed before it was durable.
        self.touched.lock().insert(shard);
        step::pass_blocking(Step::BytesUnlinked)?;
        match removed {
            Ok(()) => Ok(Removal::Removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removal::Absent),
            Err(error) => Err(error),
        }
    }

    fn sync(&self, shard: &str) -> io::Result<()> {
        match self.root.open(shard) {
            Ok(directory) => directory.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Creates a directory that lasts, unless it is there.
fn create_dir(parent: &Dir, name: &str) -> io::Result<()> {
    match parent.create_dir(name) {
        Ok(()) => parent.open(".")?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

async fn copy(
    content: &mut (dyn AsyncRead + Send + Unpin),
    file: &mut tokio::fs::File,
) -> io::Result<u64> {
    let mut content = BufReader::with_capacity(WRITE_BUFFER, content);
    let mut size = 0;
    loop {
        let some = content.fill_buf().await?;
        if some.is_empty() {
            break;
        }
        file.write_all(some).await?;
        let taken = some.len();
        size += taken as u64;
        step::pass(Step::PutWrite).await?;
        content.consume(taken);
    }
    file.flush().await?;
    Ok(size)
}

fn store_error(error: io::Error) -> StoreError {
    use io::ErrorKind as K;
    match error.kind() {
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge => StoreError::Full(error.into()),
        K::ReadOnlyFilesystem | K::PermissionDenied => StoreError::ReadOnly(error.into()),
        _ => StoreError::Unavailable(error.into()),
    }
}
