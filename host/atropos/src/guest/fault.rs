//! Faults of guests: whose they are, and how they are counted.

use crate::error::{Fault, FaultKind, Guest, Refused};
use crate::target::Digest;

/// Nobody could judge, which is never an allowance.
pub(super) fn of_policy(kind: FaultKind, digest: Option<Digest>) -> Fault {
    Fault {
        guest: Guest::Policy,
        kind,
        digest,
    }
}

/// The plugin did not answer as it must.
pub(super) fn of_plugin(kind: FaultKind, digest: Digest) -> Refused {
    let fault = Fault {
        guest: Guest::Plugin,
        kind,
        digest: Some(digest),
    };
    count(&fault);
    Refused::Fault(fault)
}

/// Counts a fault by its code, of which there are few. Which component it was says the log, and of a
/// policy the decision: a label for each component would be a series for each that was ever uploaded.
pub(super) fn count(fault: &Fault) {
    metrics::counter!("atropos_guest_faults_total", "code" => fault.code()).increment(1);
}
