//! Where rows and bytes are kept: SQLite and a directory of files, and backups of both.
//!
//! # What another backend writes
//! For rows, a file for each of the [`ports`](atropos::ports), as in [`sqlite`]; each is statements and the
//! mapping of rows to values. Where a rule decides, the file loads what the rule asks for under the locks of
//! its transaction, and writes what it answers:
//!
//! | file | loads | the rule | writes |
//! |---|---|---|---|
//! | `objects` | the object, the first request of the key, limits and latest counts | [`decide`](atropos::domain::decide::decide) | row, blobs, event, pending removals, decision, counts, outcome |
//! | `ledger` | the object | [`Conflict::between`](atropos::domain::Conflict::between) | row, blobs, event, pending removals |
//! | `outcomes` | what is kept of the key, how many of its caller, the oldest | [`Once::first`](atropos::domain::Once::first) | the outcome |
//! | `budgets` | limits, latest counts | [`Account`](atropos::domain::budget::Account), [`Spent`](atropos::domain::budget::Spent) | counts |
//! | `revisions` | the chain in force, the report that is named, whether a replay is wanted | [`NewRevision::may_follow`](atropos::domain::NewRevision::may_follow), [`ends`](atropos::domain::NewRevision::ends) | the revision |
//! | `shadows` | the counts so far | [`ShadowCounts::observe`](atropos::domain::shadow::ShadowCounts::observe) | counts, differences |
//! | `removals` | what is due and not leased | the statement's own: two comparisons of times | lease, owner |
//!
//! All others (`decisions`, `history`, `listing`, `uploads`, `changes`, `backlog`, `tenants`, `credentials`,
//! `components`, `chains`, `replays`) read and write as they are asked. For bytes, the same holds of
//! [`local`]: [`Blobs`](atropos::ports::Blobs), [`Content`](atropos::ports::Content),
//! [`Inventory`](atropos::ports::Inventory), [`Quarantine`](atropos::ports::Quarantine). Whether a backend does
//! all of it is what [`atropos::conformance`](atropos::ports) tells.
//!
//! **Invariant:** what a table or a folder looks like is known here alone.

pub mod backup;
pub mod local;
pub mod private;
pub mod sqlite;
#[cfg(test)]
mod tests;
