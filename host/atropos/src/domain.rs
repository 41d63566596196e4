//! The nouns of the storage, and the rules about them.
//!
//! What stands against an erasure, what of a refusal is final and what repeats ([`decide`]), what counts
//! against a budget, what a change of a chain is held to, and how a shadow is counted: all of it is decided
//! here, on values, whatever storage they were read from.
//!
//! **Invariant:** nothing here reads a clock, waits, or knows of any storage.

pub mod budget;
pub mod catalogue;
pub mod chains;
pub mod decide;
pub mod decision;
pub mod entry;
pub mod keyset;
pub mod ledger;
pub mod limits;
pub mod objects;
pub mod page;
pub mod policies;
pub mod quarantine;
pub mod removals;
pub mod repeat;
pub mod report;
pub mod shadow;
mod shared_text;
pub mod tenants;
pub mod volume;
pub mod wanted;

pub use catalogue::{Activity, NewObject, Rendition, Stored};
pub use chains::Chain;
pub use entry::ChainEntry;
pub use keyset::{ObjectPage, Position, Start};
pub use limits::PolicyLimits;
pub use objects::{Conflict, Doomed, Erasure};
pub use page::Page;
pub use policies::{NewComponent, NewRevision};
pub use removals::{Claim, Owner, Removal, Shred};
pub use repeat::{First, Once, Retention};
pub use report::Report;
pub use shadow::Shadow;
pub use tenants::{ClientInfo, KeyInfo, NewTenant};
pub use volume::VolumeError;
pub use wanted::{Order, Stretch, Wanted};
