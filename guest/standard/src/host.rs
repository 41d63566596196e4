//! What the steps ask of the host, as a trait, so that tests can stand in for it.

use atropos_sdk::plugin::auth::{self, AuthError};
use atropos_sdk::plugin::erasure::{self, StageError};
use atropos_sdk::plugin::gate::{self, Denial};
use atropos_sdk::plugin::storage::{self, StorageError};

/// The contract's imports, one for one.
pub(crate) trait Host {
    type Caller;
    type Object;
    type Permit;

    fn authenticate_site(&self, website_id: u64, key: &str) -> Result<Self::Caller, AuthError>;
    fn authenticate_token(&self, token: &str, tenant: &str) -> Result<Self::Caller, AuthError>;
    fn find_photo(
        &self,
        caller: &Self::Caller,
        user_id: &str,
        photo_id: &str,
    ) -> Result<Self::Object, StorageError>;
    fn find_document(
        &self,
        caller: &Self::Caller,
        user_account_id: u64,
        file_guid: &str,
    ) -> Result<Self::Object, StorageError>;
    fn review(&self, caller: &Self::Caller, object: &Self::Object) -> Result<Self::Permit, Denial>;
    fn stage(&self, object: Self::Object, permit: Self::Permit) -> Result<(), StageError>;
}

/// The host that runs this component.
pub(crate) struct Imports;

impl Host for Imports {
    type Caller = auth::Caller;
    type Object = storage::Object;
    type Permit = gate::Permit;

    fn authenticate_site(&self, website_id: u64, key: &str) -> Result<auth::Caller, AuthError> {
        auth::authenticate_site(website_id, key)
    }

    fn authenticate_token(&self, token: &str, tenant: &str) -> Result<auth::Caller, AuthError> {
        auth::authenticate_token(token, tenant)
    }

    fn find_photo(
        &self,
        caller: &auth::Caller,
        user_id: &str,
        photo_id: &str,
    ) -> Result<storage::Object, StorageError> {
        storage::find_photo(caller, user_id, photo_id)
    }

    fn find_document(
        &self,
        caller: &auth::Caller,
        user_account_id: u64,
        file_guid: &str,
    ) -> Result<storage::Object, StorageError> {
        storage::find_document(caller, user_account_id, file_guid)
    }

    fn review(
        &self,
        caller: &auth::Caller,
        object: &storage::Object,
    ) -> Result<gate::Permit, Denial> {
        gate::review(caller, object)
    }

    fn stage(&self, object: storage::Object, permit: gate::Permit) -> Result<(), StageError> {
        erasure::stage(object, permit)
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fake {
    //! A host with one site, one client, one photo and one document, which writes down what it is
    //! asked.

    use std::cell::RefCell;

    use super::*;

    #[cfg(test)]
    pub(crate) const GUID: &str = "fcc588f3-0a1b-4c2d-8e3f-0123456789ab";

    #[derive(Default)]
    pub(crate) struct Fake {
        pub(crate) auth: Option<AuthError>,
        pub(crate) storage: Option<StorageError>,
        pub(crate) denial: Option<Denial>,
        pub(crate) stage: Option<StageError>,
        pub(crate) calls: RefCell<Vec<String>>,
    }

    impl Fake {
        pub(crate) fn calls(&self) -> Vec<String> {
            self.calls.borrow().clone()
        }

        fn called<E: Clone>(&self, call: String, error: Option<&E>) -> Result<(), E> {
            self.calls.borrow_mut().push(call);
            error.map_or(Ok(()), |error| Err(error.clone()))
        }
    }

    impl Host for Fake {
        type Caller = ();
        type Object = ();
        type Permit = ();

        fn authenticate_site(&self, website_id: u64, key: &str) -> Result<(), AuthError> {
            self.called(format!("site {website_id} {key}"), self.auth.as_ref())
        }

        fn authenticate_token(&self, token: &str, tenant: &str) -> Result<(), AuthError> {
            self.called(format!("token {token} {tenant}"), self.auth.as_ref())
        }

        fn find_photo(&self, (): &(), user: &str, photo: &str) -> Result<(), StorageError> {
            self.called(format!("photo {user} {photo}"), self.storage.as_ref())
        }

        fn find_document(&self, (): &(), user: u64, guid: &str) -> Result<(), StorageError> {
            self.called(format!("document {user} {guid}"), self.storage.as_ref())
        }

        fn review(&self, (): &(), (): &()) -> Result<(), Denial> {
            self.called("review".to_owned(), self.denial.as_ref())
        }

        fn stage(&self, (): (), (): ()) -> Result<(), StageError> {
            self.called("stage".to_owned(), self.stage.as_ref())
        }
    }
}
