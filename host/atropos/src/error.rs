//! The closed list of outcomes: why a delete did not happen, each with a stable code.
//!
//! What reaches a caller is the code and the sentence here; what the operator needs beside it is
//! logged where it happened.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::step;
use crate::target::{Digest, Scope, Window};

/// Why a delete did not happen. Nothing was erased, except for [`Refused::Pending`] and
/// [`Refused::WrongVolume`]; after [`Refused::Unavailable`] and [`Refused::WrongDatabase`] nobody knows,
/// and a repetition is told.
///
/// What [is final](Refused::is_final) can be kept for repeats; nothing else can be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// The plugin refused, in its own words.
    #[error("{message}")]
    Plugin {
        /// Why, for the choice of a status.
        reason: Reason,
        /// The plugin's stable code: 1 to 64 printable ASCII characters.
        code: String,
        /// The plugin's sentence, escaped, at most 512 bytes.
        message: String,
    },
    /// Another request erased the object between decision and commit.
    #[error("the object is gone already")]
    Gone,
    /// A legal hold arrived between decision and commit.
    #[error("a legal hold is on the object")]
    Held,
    /// A retention date, in milliseconds since the epoch, arrived between decision and commit.
    #[error("the object must be kept until a later date")]
    RetainedUntil(u64),
    /// The tenant, or the caller, has had all the deletes that it may have for now.
    #[serde(skip)]
    #[error("the {scope}'s deletes of this {window} are used up; try again later")]
    OverBudget {
        /// Whose budget.
        scope: Scope,
        /// Which of its windows.
        window: Window,
        /// When that ends, in milliseconds since the epoch.
        until_ms: u64,
    },
    /// The object kept changing between decision and commit.
    #[serde(skip)]
    #[error("the object is being changed; try again")]
    Changed,
    /// The idempotency key was given to another request.
    #[serde(skip)]
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The idempotency key is a new one, and outcomes of as many keys of the caller are kept as may be.
    #[serde(skip)]
    #[error(
        "as many idempotency keys are remembered for this caller as may be; \
         try again later, or without a key"
    )]
    TooManyKeys {
        /// When the oldest is forgotten, in milliseconds since the epoch.
        until_ms: u64,
    },
    /// A component failed or exceeded a limit; nobody could decide.
    #[serde(skip)]
    #[error("{0}")]
    Fault(Fault),
    /// As many requests are under way as the host admits.
    #[serde(skip)]
    #[error("too many requests are under way; try again")]
    Overloaded,
    /// The host is stopping and takes on nothing new.
    #[serde(skip)]
    #[error("the service is stopping; try again")]
    Stopping,
    /// The entry is gone and the object invisible; its bytes are doomed, but not deleted yet.
    #[serde(skip)]
    #[error("erasure is under way; its bytes are not deleted yet")]
    Pending,
    /// The same, for as long as the volume of the bytes is not in its place.
    #[serde(skip)]
    #[error("erasure is under way; the volume of its bytes is missing, or another is in its place")]
    WrongVolume,
    /// The files of the database were removed or replaced.
    #[serde(skip)]
    #[error("the database was removed or replaced")]
    WrongDatabase,
    /// The storage cannot be read or written now.
    #[serde(skip)]
    #[error("the storage is not available; try again")]
    Unavailable,
}

impl Refused {
    /// The stable code of this outcome, as sent to callers and counted in metrics.
    pub fn code(&self) -> &str {
        match self {
            Self::Plugin { code, .. } => code,
            Self::Gone => "gone",
            Self::Held => "held",
            Self::RetainedUntil(_) => "retained",
            Self::OverBudget { .. } => "over-budget",
            Self::Changed => "changed",
            Self::KeyReused => "idempotency-key-reused",
            Self::TooManyKeys { .. } => "too-many-idempotency-keys",
            Self::Fault(fault) => fault.code(),
            Self::Overloaded => "overloaded",
            Self::Stopping => "stopping",
            Self::Pending => "erasure-pending",
            Self::WrongVolume => "wrong-volume",
            Self::WrongDatabase => "wrong-database",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the caller is not to know of the object.
    pub(crate) fn hides_the_object(&self) -> bool {
        matches!(
            self,
            Self::Plugin {
                reason: Reason::NotFound,
                ..
            }
        )
    }

    /// Whether it is an answer about the object, which a repeat of the request gets again. All else is
    /// about the caller or the moment, and a repeat may fare better.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Plugin { reason, .. } => {
                matches!(reason, Reason::NotFound | Reason::Denied | Reason::Held)
            }
            Self::Gone | Self::Held | Self::RetainedUntil(_) => true,
            Self::OverBudget { .. }
            | Self::Changed
            | Self::KeyReused
            | Self::TooManyKeys { .. }
            | Self::Fault(_)
            | Self::Overloaded
            | Self::Stopping
            | Self::Pending
            | Self::WrongVolume
            | Self::WrongDatabase
            | Self::Unavailable => false,
        }
    }
}

impl From<step::Failed> for Refused {
    fn from(_: step::Failed) -> Self {
        Self::Unavailable
    }
}

/// The plugin's reason for a refusal, as in the contract's `reason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Something in the request is absent, empty or malformed.
    InvalidRequest,
    /// The credential is absent or not valid.
    Unauthenticated,
    /// The credential gives no access to this.
    Forbidden,
    /// There is no such object for this caller.
    NotFound,
    /// A policy forbids it.
    Denied,
    /// A legal hold or retention date forbids it.
    Held,
    /// Too many requests; milliseconds to wait.
    Throttled(u64),
    /// The host could not decide or erase now; milliseconds to wait, where the host knows.
    Unavailable(Option<u64>),
    /// A reason this version does not know, escaped, at most 64 bytes.
    Other(String),
}

impl Reason {
    /// The reason in one stable word, as in the contract.
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Throttled(_) => "throttled",
            Self::Unavailable(_) => "unavailable",
            Self::Other(_) => "other",
        }
    }
}

/// Which guest a fault belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guest {
    /// The component that exports `deletion`.
    Plugin,
    /// A component that exports `policy`.
    Policy,
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin => "plugin",
            Self::Policy => "policy",
        })
    }
}

/// One component's failure on one call. The object is intact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Plugin or policy.
    pub guest: Guest,
    /// What went wrong.
    pub kind: FaultKind,
    /// Which component, where there is one.
    pub digest: Option<Digest>,
}

/// What can go wrong with a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// There is none: no chain, or bytes that the storage does not have.
    Missing,
    /// It cannot be loaded.
    Unreadable,
    /// It is being compiled, or waits for the compiler. Depends on the machine, so it is never a
    /// verdict.
    Compiling,
    /// It could not be compiled in time. Depends on the machine, so it is never a verdict.
    CompileDeadline,
    /// Its compiler came to an end, most likely for want of memory.
    CompileCrash,
    /// It has more bytes than are compiled.
    TooLarge,
    /// It trapped.
    Trap,
    /// It used up its fuel.
    Fuel,
    /// It did not answer in time. Depends on the machine, so it is never a verdict.
    Deadline,
    /// It asked for more memory than it may have.
    Memory,
    /// It called the host more often than it may.
    HostCalls,
    /// It passed or returned more than it may.
    Oversized,
    /// Its answer contradicts itself, what it did, or the contract.
    Contradiction,
    /// It failed again and again, and was not asked; for how much longer it is not. Depends on the
    /// clock, so it is never a verdict.
    HeldOff(Duration),
}

/// After how long a component that is being compiled may be ready.
const COMPILING: Duration = Duration::from_secs(1);

impl FaultKind {
    /// Whether it tells something of the component itself. What is left is the storage's part, the
    /// machine's, or of calls that were not made.
    pub fn is_of_the_component(self) -> bool {
        !matches!(self, Self::Missing | Self::Compiling | Self::HeldOff(_))
    }

    /// When to try again, where the host knows.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::HeldOff(left) => Some(left),
            Self::Compiling => Some(COMPILING),
            _ => None,
        }
    }

    /// The stable code of such a fault of a policy, such as `policy-fuel`.
    pub fn of_policy(self) -> &'static str {
        let fault = Fault {
            guest: Guest::Policy,
            kind: self,
            digest: None,
        };
        fault.code()
    }
}

impl Fault {
    /// The stable code, such as `policy-fuel`.
    pub fn code(&self) -> &'static str {
        use FaultKind::*;
        match (self.guest, self.kind) {
            (Guest::Plugin, Missing) => "plugin-missing",
            (Guest::Plugin, Unreadable) => "plugin-unreadable",
            (Guest::Plugin, Compiling) => "plugin-compiling",
            (Guest::Plugin, CompileDeadline) => "plugin-compile-deadline",
            (Guest::Plugin, CompileCrash) => "plugin-compile-crash",
            (Guest::Plugin, TooLarge) => "plugin-too-large",
            (Guest::Plugin, Trap) => "plugin-trap",
            (Guest::Plugin, Fuel) => "plugin-fuel",
            (Guest::Plugin, Deadline) => "plugin-deadline",
            (Guest::Plugin, Memory) => "plugin-memory",
            (Guest::Plugin, HostCalls) => "plugin-host-calls",
            (Guest::Plugin, Oversized) => "plugin-oversized",
            (Guest::Plugin, Contradiction) => "plugin-contradiction",
            (Guest::Plugin, HeldOff(_)) => "plugin-held-off",
            (Guest::Policy, Missing) => "policy-missing",
            (Guest::Policy, Unreadable) => "policy-unreadable",
            (Guest::Policy, Compiling) => "policy-compiling",
            (Guest::Policy, CompileDeadline) => "policy-compile-deadline",
            (Guest::Policy, CompileCrash) => "policy-compile-crash",
            (Guest::Policy, TooLarge) => "policy-too-large",
            (Guest::Policy, Trap) => "policy-trap",
            (Guest::Policy, Fuel) => "policy-fuel",
            (Guest::Policy, Deadline) => "policy-deadline",
            (Guest::Policy, Memory) => "policy-memory",
            (Guest::Policy, HostCalls) => "policy-host-calls",
            (Guest::Policy, Oversized) => "policy-oversized",
            (Guest::Policy, Contradiction) => "policy-contradiction",
            (Guest::Policy, HeldOff(_)) => "policy-held-off",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FaultKind::Missing => "is missing",
            FaultKind::Unreadable => "cannot be loaded",
            FaultKind::Compiling => "is being compiled; try again",
            FaultKind::CompileDeadline => "could not be compiled in time",
            FaultKind::CompileCrash => "took too much to compile",
            FaultKind::TooLarge => "is too large to compile",
            FaultKind::Trap => "trapped",
            FaultKind::Fuel => "used up its fuel",
            FaultKind::Deadline => "did not answer in time",
            FaultKind::Memory => "exceeded its memory",
            FaultKind::HostCalls => "called the host too often",
            FaultKind::Oversized => "passed or returned too much",
            FaultKind::Contradiction => "contradicted itself",
            FaultKind::HeldOff(_) => "kept failing and is held off for a while",
        };
        write!(f, "the {} {what}", self.guest)
    }
}
