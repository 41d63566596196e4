//! What an allowing decision yields.
//!
//! **Invariant:** only the gate's import makes one, and staging uses it up.

/// The right to have one object erased once: the index of the decision that allowed it.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Permit(pub(super) usize);
