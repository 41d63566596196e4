//! What the author or operator of a component can do about an error.

use super::GuestError;
use crate::error::FaultKind;

impl GuestError {
    /// The next thing to do, if there is one that mends it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::ForeignImport { import, .. } if import.starts_with("wasi:") => Some(
                "a component reaches nothing outside its world: build it for \
                 wasm32-unknown-unknown, or with --stub-wasi",
            ),
            Self::ForeignImport { .. } => {
                Some("a component reaches nothing outside its world: build it against `wit/`")
            }
            Self::NotExecutable(_) => Some(
                "take away what forbids it: MemoryDenyWriteExecute= of systemd, PR_SET_MDWE, or \
                 a rule of SELinux (execmem)",
            ),
            Self::AddressSpace { .. } => Some(
                "raise the limit of address space (`ulimit -v`, LimitAS= of systemd), or lower \
                 `erase.max-in-flight`, of which each takes 32 GiB",
            ),
            Self::NoRoom(_) => Some(
                "raise the limit of address space (`ulimit -v`, LimitAS= of systemd) to 16 GiB \
                 or more",
            ),
            Self::Compiler(_) => Some(
                "the folder `components` of the data directory, or TMPDIR, must be writable and have \
                 room, and the program must be allowed to start itself as a process",
            ),
            Self::TooLarge { .. } => Some("make it smaller, or raise `components.max-bytes`"),
            Self::Busy { .. } => Some("try again when some are done"),
            Self::CompileDeadline { .. } => Some(
                "make it smaller, or raise `components.deadline-ms`; what takes longest are large \
                 functions",
            ),
            Self::CompileCrash { .. } => {
                Some("make it smaller, or raise `components.compiler-memory-bytes`")
            }
            Self::Misfit { .. } => Some(
                "if it is memory that it wants, raise `ceiling.memory-bytes` or, for a plugin, \
                 `plugin.memory-bytes`; all else is fixed",
            ),
            Self::Memory { remedy, .. } => Some(remedy),
            Self::NoWorld { .. } | Self::MissingExport { .. } | Self::Types(_) => Some(
                "build it against `wit/` of this version, for the world `policy-plugin` or \
                 `deletion-plugin`",
            ),
            Self::Call { kind, .. } => match kind {
                FaultKind::Memory => Some("give it more memory, such as --memory 64MiB"),
                FaultKind::Fuel => Some("give it more fuel, such as --fuel 100000000"),
                FaultKind::Deadline => Some("give it more time, such as --deadline 2s"),
                FaultKind::Trap => Some(
                    "it stopped by itself; what asks for a clock, for chance or for a file traps",
                ),
                _ => None,
            },
            _ => None,
        }
    }
}
