//! What a platform brings, one small trait a need.
//!
//! | who needs it | traits |
//! |---|---|
//! | every delete ([`Rows`], beside [`Chains`] and [`Blobs`]) | [`Objects`], [`Decisions`], [`Removals`], [`Outcomes`] |
//! | chains that are tried | [`Shadows`] |
//! | uploads and downloads | [`Content`], [`PendingUploads`] |
//! | those who look at objects and change them ([`Catalogue`]) | [`Listing`], [`Changes`], [`History`], [`PendingRemovals`] |
//! | operators of tenants ([`Tenants`]) | [`TenantDirectory`], [`CredentialCheck`], [`CredentialAdmin`], [`Budgets`] |
//! | operators of policies ([`Policies`]) | [`Components`], [`Revisions`], [`Replays`], [`ShadowChains`] |
//! | the doctor and the status | [`Ledger`], [`Inventory`], [`Quarantine`] |
//! | the start of a server and its end | [`Upkeep`], [`KnownVolume`] |
//!
//! A platform that embeds the crate brings the first row. The service stands on all of them:
//! [`Database`] and [`Bytes`]. What an implementation must do beyond its statements is what
//! [`domain`](crate::domain) decides.
//!
//! **Invariant:** nothing here knows HTTP or wasmtime, and nothing of one backend shows in a trait.
//! **Invariant:** every blob that exists is named by a row or by a pending removal.
//! **Invariant:** what a call answers depends on no clock but its caller's, who says what time it is.

mod backlog;
pub mod blobs;
mod budgets;
mod chains;
mod changes;
mod components;
pub mod content;
mod credentials;
mod decisions;
pub mod error;
mod history;
mod inventory;
mod ledger;
mod listing;
mod objects;
mod outcomes;
pub mod panics;
mod quarantine;
mod removals;
mod replays;
mod revisions;
mod shadows;
mod tenants;
mod upkeep;
mod uploads;
pub mod volume;

pub use backlog::PendingRemovals;
pub use blobs::Blobs;
pub use budgets::Budgets;
pub use chains::Chains;
pub use changes::Changes;
pub use components::Components;
pub use content::{BlobReader, Content};
pub use credentials::{CredentialAdmin, CredentialCheck};
pub use decisions::Decisions;
pub use error::{EraseError, Result, Source, StoreError};
pub use history::History;
pub use inventory::Inventory;
pub use ledger::Ledger;
pub use listing::Listing;
pub use objects::Objects;
pub use outcomes::Outcomes;
pub use quarantine::Quarantine;
pub use removals::Removals;
pub use replays::Replays;
pub use revisions::Revisions;
pub use shadows::{ShadowChains, Shadows};
pub use tenants::TenantDirectory;
pub use upkeep::Upkeep;
pub use uploads::PendingUploads;
pub use volume::{Bond, KnownVolume, bond};

/// Names what is several traits at once.
macro_rules! together {
    ($($(#[$doc:meta])* $name:ident: $($port:ident)+;)*) => {
        $(
            $(#[$doc])*
            pub trait $name: $($port +)+ Send + Sync + 'static {}
            impl<T: $($port +)+ Send + Sync + 'static> $name for T {}
        )*
    };
}

together! {
    /// The rows, as every delete needs them.
    Rows: Objects Decisions Removals Outcomes;
    /// Objects with all that their owners may see, for callers and operators.
    Catalogue: PendingUploads Listing Changes History PendingRemovals;
    /// Tenants and whatever belongs to one.
    Tenants: TenantDirectory CredentialCheck CredentialAdmin Budgets;
    /// Components, and the chains that tenants make of them.
    Policies: Components Revisions Replays ShadowChains;
    /// All that the service asks of the rows.
    Database: Rows Chains Shadows Catalogue Tenants Policies Ledger KnownVolume Upkeep;
    /// All that the service asks of the bytes.
    Bytes: Blobs Content Inventory Quarantine Upkeep;
}
