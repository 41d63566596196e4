//! Bytes as files beneath one directory.
//!
//! A blob is `blobs/<2 digits>/<30 digits>` of its key: 256 directories keep each of them small. Beside
//! them lie the marker of the volume and the quarantine, `blobs/quarantine/<32 digits>`.
//!
//! **Invariant:** every path is resolved beneath one open directory handle, so that no link planted
//! inside leads outside.
//! **Invariant:** no absent file counts as gone, and none is written, unless the directory has just proved
//! to be the volume that the rows belong to.
//! **Invariant:** a file is written only once, by the `put` that created it.

mod copy;
mod durable;
mod inventory;
pub mod marker;
pub mod place;
mod quarantine;
mod reader;
mod root;
mod walk;
mod writes;

use std::collections::HashSet;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use atropos::domain::Removal;
use atropos::domain::volume::VolumeId;
use atropos::ports::KnownVolume;
use atropos::ports::{BlobReader, Blobs, Content, Result, StoreError, Upkeep};
use atropos::step::{self, Barrier, Step};
use atropos::target::BlobKey;
use cap_std::fs::Dir;
pub use copy::Checksum;
pub(super) use copy::Copies;
use durable::Removals;
use parking_lot::Mutex;
use reader::Reader;
use root::Root;
use rustix::fs::{Access, AtFlags, accessat};
use tokio::io::{AsyncRead, AsyncReadExt as _, Take};
use tokio::task::spawn_blocking;
use walk::{at, store_error};
use writes::Writes;

use super::private;

/// Why a blob is not stored.
const OTHER_LENGTH: &str = "the content has another length than was said";

/// How many removals one thread does in a row; a longer list is spread over several.
const REMOVALS: usize = 64;

/// The embedded [`atropos::ports::Bytes`]. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    root: Root,
    /// The directories whose own entries are durable.
    lasting: Mutex<HashSet<String>>,
    removals: Removals,
    writes: Writes,
}

impl Local {
    /// Opens `blobs/` in the data directory, which must prove to be the volume that the rows belong to;
    /// makes it if no row names a blob.
    ///
    /// # Errors
    /// [`StoreError::WrongVolume`]; unwritable, or not a directory.
    pub fn open(data_dir: &Path, rows: &dyn KnownVolume) -> Result<Self> {
        let id = place::bind(data_dir, rows)?;
        Ok(Self::unproved(data_dir, Some(id)))
    }

    /// The bytes of the volume with this id, wherever it may be now: whatever needs it is refused until it
    /// is in its place. Without an id, no place is the right one.
    pub fn unproved(data_dir: &Path, id: Option<VolumeId>) -> Self {
        Self {
            shared: Arc::new(Shared {
                root: Root::new(data_dir, id),
                lasting: Mutex::default(),
                removals: Removals::default(),
                writes: Writes::new(),
            }),
        }
    }

    /// The bytes in a directory that belongs to no database.
    fn apart(root: Dir) -> Self {
        Self {
            shared: Arc::new(Shared {
                root: Root::fixed(root),
                lasting: Mutex::default(),
                removals: Removals::default(),
                writes: Writes::new(),
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
impl Upkeep for Local {
    /// Looks whether the volume is in its place.
    async fn prove(&self) -> Result<()> {
        self.blocking(|shared| shared.root.proved().map(drop)).await
    }

    /// Looks whether files could be removed from the volume, which must be in its place.
    async fn probe(&self) -> Result<()> {
        let needed = Access::WRITE_OK | Access::EXEC_OK;
        self.blocking(move |shared| {
            let root = shared.root.proved()?;
            Ok(accessat(&*root, ".", needed, AtFlags::empty())?)
        })
        .await
    }
}

#[async_trait]
impl Content for Local {
    async fn put(
        &self,
        key: BlobKey,
        length: Option<u64>,
        content: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<u64> {
        let file = self.blocking(move |shared| shared.create(key)).await?;
        let written = self.shared.writes.write(content, file).await;
        let (file, size) = written.map_err(store_error)?;
        if length.is_some_and(|length| length != size) {
            return Err(StoreError::Unavailable(OTHER_LENGTH.into()));
        }
        step::pass(Step::PutSync).await?;
        self.blocking(move |_| Barrier::File.sync(&file)).await?;
        step::pass(Step::PutDirectory).await?;
        self.blocking(move |shared| shared.sync_created(key))
            .await?;
        step::pass(Step::PutDone).await?;
        Ok(size)
    }

    async fn open(&self, key: BlobKey, range: Range<u64>) -> Result<Option<BlobReader>> {
        step::pass(Step::BytesOpen).await?;
        let opened = self.blocking(move |shared| shared.open(key, range)).await?;
        Ok(opened.map(|(file, size)| BlobReader {
            size,
            content: Box::new(file),
        }))
    }
}

#[async_trait]
impl Blobs for Local {
    async fn is_absent(&self, key: BlobKey) -> Result<bool> {
        step::pass(Step::BytesOpen).await?;
        self.blocking(move |shared| shared.is_absent(key)).await
    }

    async fn remove(&self, key: BlobKey) -> Result<Removal> {
        step::pass(Step::BytesRemove).await?;
        self.blocking(move |shared| shared.remove(&shared.root.dir()?, key))
            .await
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
                let work = move || shared.remove_each(&chunk);
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
        let turn = self.shared.removals.turn().await.map_err(store_error)?;
        self.blocking(move |shared| {
            step::pass_blocking(Step::BytesSync)?;
            let sync = |shard: &str| shared.sync(Barrier::Removals, shard);
            shared.removals.sync(&turn, sync)?;
            Ok(step::pass_blocking(Step::BytesSynced)?)
        })
        .await
    }
}

impl Shared {
    fn create(&self, key: BlobKey) -> io::Result<std::fs::File> {
        step::pass_blocking(Step::PutCreate)?;
        let (shard, name) = at(key);
        let root = self.root.proved()?;
        self.make_directory(&root, &shard)?;
        let new = private::new_file_in();
        let file = root.open_with(format!("{shard}/{name}"), &new)?;
        Ok(file.into_std())
    }

    fn open(&self, key: BlobKey, range: Range<u64>) -> io::Result<Option<(Take<Reader>, u64)>> {
        let Some(mut file) = self.open_file(key)? else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(range.start))?;
        let (reader, size) = Reader::new(file)?;
        let length = range.end.saturating_sub(range.start);
        Ok(Some((reader.take(length), size)))
    }

    fn open_file(&self, key: BlobKey) -> io::Result<Option<std::fs::File>> {
        let (shard, name) = at(key);
        let root = self.root.dir()?;
        match root.open(format!("{shard}/{name}")) {
            Ok(file) => Ok(Some(file.into_std())),
            Err(error) => self.absent(&root, error).map(|()| None),
        }
    }

    /// That a file is absent, if `error` says so and the place has proved to be the right one.
    fn absent(&self, root: &Arc<Dir>, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::NotFound => self.root.prove(root),
            _ => Err(error),
        }
    }

    /// Looks at the place once for all of them.
    fn remove_each(&self, keys: &[BlobKey]) -> Vec<io::Result<Removal>> {
        let root = self.root.dir();
        let remove = |key: &BlobKey| match &root {
            Ok(root) => self.remove(root, *key),
            Err(_) => self.remove(&self.root.dir()?, *key),
        };
        keys.iter().map(remove).collect()
    }

    fn remove(&self, root: &Arc<Dir>, key: BlobKey) -> io::Result<Removal> {
        step::pass_blocking(Step::BytesUnlink)?;
        let (shard, name) = at(key);
        let path = format!("{shard}/{name}");
        let removed = root.remove_file(&path);
        // Absent may mean removed by someone who crashed before it was durable.
        self.removals.touch(shard);
        step::pass_blocking(Step::BytesUnlinked)?;
        let Err(error) = removed else {
            return Ok(Removal::Removed);
        };
        self.absent(root, error)?;
        // In its place once more, where a release may have put it meanwhile.
        let removed =
            self.remove_quarantined(root, key)? || walk::there(root.remove_file(&path))?.is_some();
        Ok(match removed {
            true => Removal::Removed,
            false => Removal::Absent,
        })
    }

    fn is_absent(&self, key: BlobKey) -> io::Result<bool> {
        let (shard, name) = at(key);
        let path = format!("{shard}/{name}");
        let root = self.root.dir()?;
        let Err(error) = root.symlink_metadata(&path) else {
            return Ok(false);
        };
        self.absent(&root, error)?;
        let there = self.is_quarantined(&root, key)?
            || walk::there(root.symlink_metadata(&path))?.is_some();
        Ok(!there)
    }

    /// Makes sure of a directory that lasts. Another upload may have made it just now, or a process
    /// that crashed: that it is there does not mean that it lasts.
    fn make_directory(&self, root: &Dir, shard: &str) -> io::Result<()> {
        let is_new = private::make_folder_in(root, shard)?;
        if is_new || !self.lasting.lock().contains(shard) {
            Barrier::Directory.sync(&root.open(".")?.into_std())?;
            self.lasting.lock().insert(shard.to_owned());
        }
        Ok(())
    }

    fn sync(&self, barrier: Barrier, shard: &str) -> io::Result<()> {
        let root = self.root.dir()?;
        match root.open(shard) {
            Ok(directory) => barrier.sync(&directory.into_std()),
            Err(error) => self.absent(&root, error),
        }
    }

    /// The file that was written must be where it will be looked for: its volume may have gone meanwhile.
    fn sync_created(&self, key: BlobKey) -> io::Result<()> {
        let (shard, name) = at(key);
        let root = self.root.proved()?;
        root.symlink_metadata(format!("{shard}/{name}"))?;
        Barrier::Entry.sync(&root.open(shard)?.into_std())
    }
}
