//! What is on a file system that forgets: as it is, and as a loss of power leaves it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::{SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, INodeNo};

#[derive(Clone)]
enum Content {
    File(Vec<u8>, SystemTime),
    Directory(BTreeMap<OsString, u64>),
}

/// A file or a directory: as it is, and as a loss of power leaves it.
struct Node {
    now: Content,
    kept: Content,
}

/// All that is on it, and what of it is durable.
pub(crate) struct Tree {
    nodes: BTreeMap<u64, Node>,
    /// No number is used twice.
    last: u64,
    watched: Option<Vec<Tree>>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            last: 0,
            watched: None,
        };
        // The root, which is number 1.
        tree.add(FileType::Directory);
        tree
    }

    /// A new node, of which nothing is durable.
    fn add(&mut self, kind: FileType) -> u64 {
        let new = |at| match kind {
            FileType::Directory => Content::Directory(BTreeMap::new()),
            _ => Content::File(Vec::new(), at),
        };
        let node = Node {
            now: new(SystemTime::now()),
            kept: new(UNIX_EPOCH),
        };
        self.last += 1;
        self.nodes.insert(self.last, node);
        self.last
    }

    /// What a loss of power leaves.
    pub(super) fn left(&self) -> Self {
        let mut left = Self {
            nodes: BTreeMap::new(),
            last: self.last,
            watched: None,
        };
        let mut reached = vec![INodeNo::ROOT.0];
        while let Some(number) = reached.pop() {
            let kept = &self.nodes[&number].kept;
            if let Content::Directory(entries) = kept {
                reached.extend(entries.values());
            }
            let (now, kept) = (kept.clone(), kept.clone());
            left.nodes.insert(number, Node { now, kept });
        }
        left
    }

    /// From now on, remembers what would be left after each sync.
    pub(super) fn watch(&mut self) {
        self.watched = Some(vec![self.left()]);
    }

    /// What would have been left after each sync since then, the first one before any.
    pub(super) fn stages(&mut self) -> Vec<Self> {
        self.watched.take().unwrap_or_default()
    }

    /// Makes all of it durable.
    pub(super) fn keep_all(&mut self) {
        for node in self.nodes.values_mut() {
            node.kept = node.now.clone();
        }
    }

    fn node(&mut self, number: INodeNo) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&number.0).ok_or(Errno::ENOENT)
    }

    pub(super) fn entries(
        &mut self,
        number: INodeNo,
    ) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        match &mut self.node(number)?.now {
            Content::Directory(entries) => Ok(entries),
            Content::File(..) => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn file(
        &mut self,
        number: INodeNo,
    ) -> Result<(&mut Vec<u8>, &mut SystemTime), Errno> {
        match &mut self.node(number)?.now {
            Content::File(bytes, modified) => Ok((bytes, modified)),
            Content::Directory(_) => Err(Errno::EISDIR),
        }
    }

    pub(super) fn attributes(&mut self, number: INodeNo) -> Result<FileAttr, Errno> {
        let (kind, perm, size, time) = match &self.node(number)?.now {
            Content::File(bytes, time) => (FileType::RegularFile, 0o644, bytes.len() as u64, *time),
            Content::Directory(_) => (FileType::Directory, 0o755, 0, UNIX_EPOCH),
        };
        Ok(FileAttr {
            ino: number,
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    pub(super) fn look_up(&mut self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let found = self.entries(parent)?.get(name).copied();
        self.attributes(INodeNo(found.ok_or(Errno::ENOENT)?))
    }

    pub(super) fn make(
        &mut self,
        at: INodeNo,
        name: &OsStr,
        kind: FileType,
    ) -> Result<FileAttr, Errno> {
        if self.entries(at)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let number = self.add(kind);
        self.entries(at)?.insert(name.to_owned(), number);
        self.attributes(INodeNo(number))
    }

    pub(super) fn remove(&mut self, parent: INodeNo, name: &OsStr) -> Result<u64, Errno> {
        let number = self.look_up(parent, name)?.ino;
        if let Ok(entries) = self.entries(number)
            && !entries.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        self.entries(parent)?.remove(name).ok_or(Errno::ENOENT)
    }

    pub(super) fn rename(
        &mut self,
        (from, name): (INodeNo, &OsStr),
        (to, new): (INodeNo, &OsStr),
    ) -> Result<(), Errno> {
        let moved = self.look_up(from, name)?.ino.0;
        self.entries(to)?.insert(new.to_owned(), moved);
        if (from, name) != (to, new) {
            self.entries(from)?.remove(name);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, number: INodeNo, at: u64, data: &[u8]) -> Result<u32, Errno> {
        let (bytes, modified) = self.file(number)?;
        *modified = SystemTime::now();
        let (start, end) = (at as usize, at as usize + data.len());
        bytes.resize(bytes.len().max(end), 0);
        bytes[start..end].copy_from_slice(data);
        Ok(data.len() as u32)
    }

    pub(super) fn keep(&mut self, number: INodeNo) -> Result<(), Errno> {
        let node = self.node(number)?;
        node.kept = node.now.clone();
        let left = self.watched.is_some().then(|| self.left());
        if let (Some(stages), Some(left)) = (&mut self.watched, left) {
            stages.push(left);
        }
        Ok(())
    }
}
