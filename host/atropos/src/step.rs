//! The steps of the flow, by name, so that tests can make each of them fail.
//!
//! Code passes a step just before it does something that can be cut short. In the program as shipped
//! that is one line in a log at level `trace`. Tests build it with the feature `failpoints`: the variable
//! `FAILPOINTS` of the crate `fail` then says what happens at a step. `rows.find=return` fails it,
//! `rows.find=return(hang)` never comes back, `rows.find=return(kill)` ends the process as a power
//! cut would, and `rows.find=2*off->1*return` lets two through and fails the third.
//!
//! **Invariant:** every method of [`Rows`](crate::ports::Rows), `Chains`, `Blobs` and `Authority` passes a step in the
//! backends of this crate. Held by `tests/house.rs`.
//! **Invariant:** whichever step fails, hangs or is cut short: what was acknowledged is gone, what was
//! not is intact or on its way out, and a retry is told which. Held by `tests/steps.rs`.

/// Of the crate `fail`, where tests build this; else nothing.
#[cfg(not(feature = "failpoints"))]
macro_rules! fail_point {
    ($($told:tt)*) => {};
}

mod barrier;

use std::{fmt, io};

#[cfg(feature = "failpoints")]
use fail::fail_point;

pub use barrier::{Barrier, sync_copy};

macro_rules! steps {
    ($($(#[$about:meta])+ $step:ident = $name:literal,)+) => {
        /// A point of the flow before which everything earlier has happened, and nothing later.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Step {
            $($(#[$about])+ $step,)+
        }

        impl Step {
            /// Every step, in the order in which the flow comes to them.
            pub const ALL: &[Self] = &[$(Self::$step),+];

            /// Its stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)+
                }
            }
        }
    };
}

steps! {
    /// A delete has come in; nobody has looked at it.
    RequestAdmit = "request.admit",
    /// Which plugin serves is to be looked up.
    PluginChoose = "plugin.choose",
    /// A website's key is to be checked.
    AuthSite = "auth.site",
    /// A bearer token is to be checked.
    AuthToken = "auth.token",
    /// The object is to be looked up.
    RowsFind = "rows.find",
    /// The tenant's chain is to be read.
    ChainRead = "chain.read",
    /// The bytes of a component are to be read.
    ChainComponent = "chain.component",
    /// One policy is to be asked.
    GateAsk = "gate.ask",
    /// Decisions that erase nothing are to be recorded.
    RowsRecord = "rows.record",
    /// Whether the request is a repeat is to be looked up.
    RowsFirst = "rows.first",
    /// A refusal is to be kept for repeats.
    RowsKeep = "rows.keep",
    /// The sandbox is gone, and a decision that allows is staged.
    ErasureStaged = "erasure.staged",
    /// The erasure is to join those that wait for the disk.
    CommitQueue = "commit.queue",
    /// A group of erasures is to be handed to the storage.
    RowsErase = "rows.erase",
    /// A transaction has begun.
    WriteBegin = "write.begin",
    /// The row is to be deleted, if nothing stands against it.
    EraseRow = "erase.row",
    /// The row is deleted; that is to be counted against the budgets.
    EraseBudget = "erase.budget",
    /// It is counted; the keys of its bytes are to be taken.
    EraseBlobs = "erase.blobs",
    /// The event is to be written.
    EraseEvent = "erase.event",
    /// The shred record of one blob is to be written.
    EraseShred = "erase.shred",
    /// The decision is to be recorded.
    EraseDecision = "erase.decision",
    /// What became of a request that has a key is to be kept.
    EraseOutcome = "erase.outcome",
    /// The transaction is complete and not yet durable.
    WriteCommit = "write.commit",
    /// The transaction is durable; nobody has been told.
    WriteCommitted = "write.committed",
    /// The bytes of one or several blobs are to be removed.
    BytesRemove = "bytes.remove",
    /// One file is to be unlinked.
    BytesUnlink = "bytes.unlink",
    /// One file is unlinked, which may not be durable.
    BytesUnlinked = "bytes.unlinked",
    /// All files are unlinked; nobody has been told.
    BytesRemoved = "bytes.removed",
    /// Earlier removals are to be made durable.
    BytesSync = "bytes.sync",
    /// Earlier removals are durable; nobody has been told.
    BytesSynced = "bytes.synced",
    /// A shred record is to be struck off.
    ShredStrike = "shred.strike",
    /// What a clock that was set back keeps waiting is to be looked for.
    ShredHasten = "shred.hasten",
    /// Doomed bytes are to be looked for.
    ShredLook = "shred.look",
    /// Doomed bytes are to be taken over.
    ShredClaim = "shred.claim",
    /// A failed removal is to be noted.
    ShredPostpone = "shred.postpone",
    /// The files of the database are to be freed of what was deleted.
    WriteCheckpoint = "write.checkpoint",
    /// A list of objects that may be long is to be read, on a thread that serves nothing.
    RowsList = "rows.list",
    /// The bytes of a blob are to be opened for reading, or looked for.
    BytesOpen = "bytes.open",
    /// One key of an upload is to be doomed until its row exists.
    UploadReserve = "upload.reserve",
    /// A file is to be created.
    PutCreate = "put.create",
    /// A part of a file's bytes is written.
    PutWrite = "put.write",
    /// A file is written and to be made durable.
    PutSync = "put.sync",
    /// A file is durable; its directory is to be.
    PutDirectory = "put.directory",
    /// File and directory are durable; nobody has been told.
    PutDone = "put.done",
    /// A photo's bytes are in memory and to be decoded, on a thread that serves nothing.
    UploadDecode = "upload.decode",
    /// A key's reservation is to be taken back.
    InsertReservation = "insert.reservation",
    /// The row of an uploaded object is to be written.
    InsertRow = "insert.row",
    /// The row of one of its blobs is to be written.
    InsertBlob = "insert.blob",
    /// What a refused upload wrote is to be removed.
    UploadDiscard = "upload.discard",
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step was told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the step {0} was told to fail")]
pub struct Failed(pub Step);

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> Self {
        Self::other(failed)
    }
}

/// Passes a step, in a task. A hang keeps this task, and no thread.
///
/// # Errors
/// It was told to fail.
pub async fn pass(step: Step) -> Result<(), Failed> {
    if hangs(step)? {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Passes a step on a thread that waits for the disk. A hang keeps the thread, as a disk that does
/// not answer would.
///
/// # Errors
/// It was told to fail.
pub fn pass_blocking(step: Step) -> Result<(), Failed> {
    if hangs(step)? {
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

fn hangs(step: Step) -> Result<bool, Failed> {
    tracing::trace!(step = step.name(), "passed");
    fail_point!(step.name(), |told: Option<String>| match told.as_deref() {
        Some("kill") => std::process::abort(),
        Some("hang") => {
            tracing::warn!(%step, "told to hang");
            Ok(true)
        }
        _ => {
            tracing::warn!(%step, "told to fail");
            Err(Failed(step))
        }
    });
    Ok(false)
}

/// Where a part of the service begins a round. Tests name a path, `part.commit=return(PATH)`: if a file is
/// there, the part removes it and panics once; while a folder is there, it panics each time.
#[allow(clippy::panic, reason = "tests alone have it panic")]
pub fn pass_part(point: &'static str) {
    fail_point!(point, |told: Option<String>| {
        let path = std::path::PathBuf::from(told.unwrap_or_default());
        if path.is_dir() || std::fs::remove_file(&path).is_ok() {
            panic!("{point} was told to panic");
        }
    });
    // Without tests there is nothing to it.
    let _ = point;
}

/// Reads `FAILPOINTS`, where tests built this. Until what it returns is dropped, steps do as told.
#[cfg(feature = "failpoints")]
pub fn listen() -> impl Sized {
    fail::has_failpoints().then(fail::FailScenario::setup)
}

/// Does nothing: this was not built for tests.
#[cfg(not(feature = "failpoints"))]
pub fn listen() -> impl Sized {}
