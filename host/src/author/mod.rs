//! What the author of a policy works with: cases, what became of them, and new projects.
//!
//! ```text
//! case (a file of cases) ─► trial (asked, and held against what was expected) ─► report, junit
//! ```
//!
//! Nothing here needs a data directory or a tenant: a policy is a pure function.

mod case;
mod diff;
mod junit;
mod report;
mod request;
mod trial;
mod written;

pub use self::case::{Asked, Case, CaseError, Place, Problem, Review, read};
pub use self::diff::{diff, finding};
pub use self::junit::junit;
pub use self::report::Report;
pub use self::request::{RequestError, request};
pub use self::trial::{Decided, Difference, Tried, settings_of, try_case};
