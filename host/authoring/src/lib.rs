//! What the author of a policy works with: new projects, cases, and what became of them.
//!
//! ```text
//! project ─► case (a file of cases) ─► trial (asked, and held against what was expected) ─► report, junit
//!                                  └─► bench (asked many times, and held against what it cost)
//! ```
//!
//! Nothing here needs a data directory or a tenant: a policy is a pure function.

mod bench;
mod case;
mod diff;
mod junit;
mod module;
mod project;
mod report;
mod request;
mod trial;
mod written;

pub use self::bench::{Bench, BenchError, Cost, Regression};
pub use self::case::{Asked, Case, CaseError, Place, Problem, Review, read};
pub use self::diff::{diff, finding};
pub use self::junit::junit;
pub use self::module::{ModuleError, component_of};
pub use self::project::{Language, Name, ProjectError, create};
pub use self::report::Report;
pub use self::request::{RequestError, request};
pub use self::trial::{Decided, Difference, Tried, settings_of, try_case};
