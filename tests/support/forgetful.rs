//! A file system in memory that keeps no more than fsync(2) promises.
//!
//! The content of a file is durable once the file is synced, and the entries of a directory once that
//! directory is: nothing else makes anything durable, and a loss of power takes all the rest. A file whose
//! entry alone is durable is empty then; one that was moved from one directory to another is in both,
//! or in none, if only one of them was synced.

mod tree;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;
use tree::Tree;

use super::machine::missing;

/// How long the kernel may believe what it was told: nothing changes but through it.
const FOR_GOOD: Duration = Duration::from_secs(24 * 60 * 60);

/// Such a file system, mounted for as long as this lives.
pub(crate) struct Forgetful {
    at: PathBuf,
    tree: Arc<Mutex<Tree>>,
    _session: BackgroundSession,
}

impl Forgetful {
    /// Mounts an empty one, if the machine lets us (`fuse`).
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a directory");
        match Self::serve(at, Tree::new()) {
            Ok(mounted) => Some(mounted),
            Err(error) => {
                missing("fuse", &format!("no file system of ours: {error}"));
                None
            }
        }
    }

    fn serve(at: &Path, tree: Tree) -> std::io::Result<Self> {
        let tree = Arc::new(Mutex::new(tree));
        let session = fuser::spawn_mount(Served(tree.clone()), at, &Config::default())?;
        Ok(Self {
            at: at.to_owned(),
            tree,
            _session: session,
        })
    }

    /// Makes all that is on it durable.
    pub(crate) fn sync(&self) {
        self.tree.lock().keep_all();
    }

    /// Cuts the power: what is left is in its place then.
    pub(crate) fn cut(self) -> Self {
        let left = self.tree.lock().left();
        self.put(left)
    }

    /// From now on, remembers what would be left after each sync.
    pub(crate) fn watch(&self) {
        self.tree.lock().watch();
    }

    /// What would have been left after each sync since [`Self::watch`], the first one before any.
    pub(crate) fn stages(&self) -> Vec<Tree> {
        self.tree.lock().stages()
    }

    /// Takes away what is there, and puts this in its place.
    pub(crate) fn put(self, tree: Tree) -> Self {
        let at = self.at.clone();
        drop(self);
        Self::serve(&at, tree).expect("what is left can be mounted")
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        // Also while a server is still about to end.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

struct Served(Arc<Mutex<Tree>>);

/// Answers with what was found, or with why it was not.
macro_rules! answer {
    ($reply:ident, $found:expr, |$it:pat_param| $good:expr) => {
        match $found {
            Ok($it) => $good,
            Err(error) => $reply.error(error),
        }
    };
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.lock().look_up(parent, name);
        answer!(reply, found, |found| reply.entry(
            &FOR_GOOD,
            &found,
            Generation(0)
        ));
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = self.0.lock().attributes(number);
        answer!(reply, found, |found| reply.attr(&FOR_GOOD, &found));
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut tree = self.0.lock();
        if let Ok((bytes, modified)) = tree.file(number) {
            if let Some(size) = size {
                bytes.resize(size as usize, 0);
            }
            match mtime {
                Some(TimeOrNow::SpecificTime(at)) => *modified = at,
                Some(TimeOrNow::Now) => *modified = SystemTime::now(),
                None => {}
            }
        }
        let found = tree.attributes(number);
        answer!(reply, found, |found| reply.attr(&FOR_GOOD, &found));
    }

    fn mkdir(&self, _: &Request, at: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.0.lock().make(at, name, FileType::Directory);
        answer!(reply, made, |made| reply.entry(
            &FOR_GOOD,
            &made,
            Generation(0)
        ));
    }

    fn create(
        &self,
        _: &Request,
        at: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.0.lock().make(at, name, FileType::RegularFile);
        let (none, kept) = (FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
        answer!(reply, made, |made| {
            reply.created(&FOR_GOOD, &made, Generation(0), none, kept);
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.0.lock().remove(parent, name);
        answer!(reply, removed, |_| reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.0.lock().remove(parent, name);
        answer!(reply, removed, |_| reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        from: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let renamed = self.0.lock().rename((from, name), (to, new));
        answer!(reply, renamed, |()| reply.ok());
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut tree = self.0.lock();
        answer!(reply, tree.file(number), |(bytes, _)| {
            let start = bytes.len().min(at as usize);
            let end = bytes.len().min(start + size as usize);
            reply.data(&bytes[start..end]);
        });
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        at: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.0.lock().write(number, at, data);
        answer!(reply, written, |size| reply.written(size));
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let kept = self.0.lock().keep(number);
        answer!(reply, kept, |()| reply.ok());
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let kept = self.0.lock().keep(number);
        answer!(reply, kept, |()| reply.ok());
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        after: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut tree = self.0.lock();
        let entries = tree.entries(number).map(|entries| entries.clone());
        answer!(reply, entries, |entries| {
            // By number: what is removed meanwhile moves no other.
            let entries = entries.into_iter().map(|(name, number)| (number, name));
            let entries: BTreeMap<_, _> = entries.filter(|(number, _)| *number > after).collect();
            for (number, name) in entries {
                let kind = tree.attributes(INodeNo(number)).map(|found| found.kind);
                let kind = kind.unwrap_or(FileType::RegularFile);
                if reply.add(INodeNo(number), number, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = 1 << 24;
        reply.statfs(blocks, blocks, blocks, blocks, blocks, 4096, 255, 4096);
    }
}
