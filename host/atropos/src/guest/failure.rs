//! Why a component cannot be used, or not now.

use std::process::ExitStatus;
use std::sync::Arc;

use super::MAX_SETTINGS_BYTES;
use crate::error::FaultKind;
use crate::ports::StoreError;
use crate::text;

/// What the runtime or the machine said, for as many as want to know.
pub(super) type Source = Arc<dyn std::error::Error + Send + Sync>;

/// Why a component or the sandbox cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GuestError {
    /// The engine cannot be set up on this machine.
    #[error("the WebAssembly engine cannot be set up")]
    Engine(#[source] Source),
    /// Compiled components cannot be run: this process may not make memory executable.
    #[error("this process may not make memory executable, and compiled components need that")]
    NotExecutable(#[source] Source),
    /// The address space for all deletes that may be in the sandbox at once cannot be had.
    #[error(
        "about {gib} GiB of address space cannot be reserved, which `erase.max-in-flight` = \
         {in_flight} asks for"
    )]
    AddressSpace {
        /// How much, most of which is never touched.
        gib: u64,
        /// The setting.
        in_flight: u32,
        /// What the system said.
        source: Source,
    },
    /// There is no address space for a plugin and a policy at once.
    #[error("there is no address space for the memories of two guests")]
    NoRoom(#[source] Source),
    /// The thread that interrupts guests cannot be started.
    #[error("the epoch ticker cannot be started")]
    Ticker(#[source] Source),
    /// The threads on which slow policies are asked cannot be started.
    #[error("the threads for slow policies cannot be started")]
    Threads(#[source] Source),
    /// More bytes than are compiled.
    #[error("the component has {size} bytes, and at most {limit} are compiled")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: u64,
    },
    /// It is not a WebAssembly component, or uses what the engine does not offer.
    #[error("this is not a WebAssembly component that can be compiled")]
    Compile(#[source] Source),
    /// So many wait to be compiled that one more would wait too long.
    #[error("{queued} components wait to be compiled already; try again")]
    Busy {
        /// How many wait.
        queued: u32,
    },
    /// It takes longer to compile than it may.
    #[error("the component could not be compiled within {deadline_ms} ms")]
    CompileDeadline {
        /// How long it had.
        deadline_ms: u64,
    },
    /// The process that compiled it did not live to the end of it.
    #[error(
        "the component ended its compiler ({status}), which may have {memory_bytes} bytes of address \
         space"
    )]
    CompileCrash {
        /// How the process ended.
        status: ExitStatus,
        /// What it had.
        memory_bytes: u64,
    },
    /// The process that compiles cannot be started or spoken to.
    #[error("the process that compiles components cannot be used")]
    Compiler(#[source] Source),
    /// It compiles, and is more than the sandbox has room for; the source names need and limit.
    #[error(
        "the component does not fit into the sandbox, where a memory may have {memory_bytes} bytes"
    )]
    Misfit {
        /// What a memory may have.
        memory_bytes: u64,
        /// What the runtime said.
        source: Source,
    },
    /// It begins with more memory than it is given.
    #[error("the component begins with {needed} bytes of memory, and {given} are given to it")]
    Memory {
        /// How much it needs.
        needed: u64,
        /// How much it may have.
        given: u64,
        /// What gives it more.
        remedy: &'static str,
    },
    /// The compilation did not end: the service is stopping.
    #[error("the compilation was interrupted")]
    Interrupted,
    /// It exports neither world's interface.
    #[error(
        "the component exports {exports}; it must export atropos:policy/policy@0.1 (a policy) or \
         atropos:deletion/deletion@0.1 (a deletion plugin)"
    )]
    NoWorld {
        /// What it does export.
        exports: String,
    },
    /// It imports something outside its world.
    #[error("the component imports {import}, which the world {world} does not offer")]
    ForeignImport {
        /// The first such import.
        import: String,
        /// The world it was held against.
        world: &'static str,
    },
    /// It lacks its world's export.
    #[error("the component does not export {export}, which the world {world} asks for")]
    MissingExport {
        /// What is missing.
        export: &'static str,
        /// The world it was held against.
        world: &'static str,
    },
    /// Its world's export lacks a function.
    #[error("the component's export {export} has no function `{function}`")]
    MissingFunction {
        /// What is missing.
        function: &'static str,
        /// Where.
        export: &'static str,
    },
    /// Names are right, types are not; the source names the function or type.
    #[error("the component's types differ from its world's")]
    Types(#[source] Source),
    /// A call that should tell about the component failed.
    #[error("the component's `{function}` failed ({kind:?})")]
    Call {
        /// Which function.
        function: &'static str,
        /// How.
        kind: FaultKind,
        /// What the runtime said.
        source: Source,
    },
    /// What a policy says of itself is not what the contract asks for.
    #[error("the component describes itself with a {field} that is not {expected}")]
    Description {
        /// Which part.
        field: &'static str,
        /// What the contract asks for.
        expected: &'static str,
    },
    /// More than a policy is given.
    #[error(
        "the settings have {size} bytes, and at most {MAX_SETTINGS_BYTES} are given to a policy"
    )]
    SettingsTooLarge {
        /// Their size.
        size: usize,
    },
}

impl GuestError {
    pub(super) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(source(error))
    }

    pub(super) fn compile(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Compile(source(error))
    }

    pub(super) fn types(error: wasmtime::Error) -> Self {
        Self::Types(source(error))
    }

    /// How it counts as a fault of the component.
    pub(super) fn fault(&self) -> FaultKind {
        match self {
            Self::TooLarge { .. } => FaultKind::TooLarge,
            Self::CompileDeadline { .. } => FaultKind::CompileDeadline,
            Self::CompileCrash { .. } => FaultKind::CompileCrash,
            // The machine's part: as soon as it can, the component is compiled.
            Self::Busy { .. } | Self::Compiler(_) | Self::Interrupted => FaultKind::Compiling,
            _ => FaultKind::Unreadable,
        }
    }

    /// Whether it is the machine's part, and no component's.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Engine(_)
                | Self::NotExecutable(_)
                | Self::AddressSpace { .. }
                | Self::NoRoom(_)
                | Self::Ticker(_)
                | Self::Threads(_)
                | Self::Busy { .. }
                | Self::Compiler(_)
                | Self::Interrupted
        )
    }

    /// An error and its causes on one line, for a log. What a component holds may be in them, such as
    /// names, and is escaped.
    pub(super) fn one_line(error: &dyn std::error::Error) -> String {
        let mut line = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        text::escape(&line).into_owned()
    }
}

/// Shares what the runtime or the machine said.
pub(super) fn source(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Source {
    Arc::from(error.into())
}

/// Why a component is not ready.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the storage does not have the component")]
    Missing,
    #[error("the storage cannot be asked for the component")]
    Store(#[source] Arc<StoreError>),
    #[error("the stored component has other bytes than its digest says")]
    Damaged,
    #[error("the component is still being loaded")]
    Compiling,
    #[error("the component is not usable")]
    Component(#[source] GuestError),
}

impl LoadError {
    /// How it counts as a fault; `None` if it is the storage's.
    pub(super) fn fault(&self) -> Option<FaultKind> {
        match self {
            Self::Missing => Some(FaultKind::Missing),
            Self::Store(_) => None,
            Self::Damaged => Some(FaultKind::Unreadable),
            Self::Compiling => Some(FaultKind::Compiling),
            Self::Component(error) => Some(error.fault()),
        }
    }
}
