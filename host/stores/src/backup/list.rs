//! The list of the blobs of a backup: a line of JSON for each, so that neither side holds all of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Lines, Write as _};
use std::path::{Path, PathBuf};

use atropos::step::sync_copy;
use atropos::target::{BlobKey, Digest};
use serde::{Deserialize, Serialize};

use super::{BackupError, Result, failed};
use crate::local::Checksum;
use crate::private;

/// One blob.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Line {
    /// Its key, and the name of its file.
    pub(super) key: BlobKey,
    /// Its size in bytes.
    size_bytes: u64,
    /// The SHA-256 of its bytes.
    sha256: Digest,
}

impl Line {
    pub(super) fn new(key: BlobKey, checksum: Checksum) -> Self {
        Self {
            key,
            size_bytes: checksum.size_bytes,
            sha256: checksum.sha256,
        }
    }

    pub(super) fn checksum(&self) -> Checksum {
        Checksum {
            size_bytes: self.size_bytes,
            sha256: self.sha256,
        }
    }
}

/// A list that is being written.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    files: u64,
    bytes: u64,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = private::file().create_new(true).open(path);
        let file = file.map_err(failed("create", path))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            files: 0,
            bytes: 0,
        })
    }

    /// How many blobs are listed.
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    /// How many bytes those have.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn push(&mut self, line: &Line) -> Result<()> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(Into::into);
        let written = written.and_then(|()| self.file.write_all(b"\n"));
        self.files += 1;
        self.bytes += line.size_bytes;
        written.map_err(failed("write", &self.path))
    }

    /// Returns once the list is durable.
    pub(super) fn finish(mut self) -> Result<()> {
        let flushed = self.file.flush();
        let synced = flushed.and_then(|()| sync_copy(self.file.get_ref()));
        synced.map_err(failed("write", &self.path))
    }
}

/// A list that is being read, some lines at a time.
pub(super) struct Reader {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    number: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(failed("open", path))?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(file).lines(),
            number: 0,
        })
    }

    /// The next lines, at most so many; none at the end.
    pub(super) fn next(&mut self, at_most: usize) -> Result<Vec<Line>> {
        let mut some = Vec::new();
        while some.len() < at_most
            && let Some(line) = self.lines.next()
        {
            let line = line.map_err(failed("read", &self.path))?;
            self.number += 1;
            let line = serde_json::from_str(&line).map_err(|error| self.damaged(&error))?;
            some.push(line);
        }
        Ok(some)
    }

    fn damaged(&self, error: &serde_json::Error) -> BackupError {
        BackupError::Damaged {
            path: self.path.parent().unwrap_or(&self.path).to_owned(),
            what: format!("line {} of blobs.jsonl: {error}", self.number),
        }
    }
}
