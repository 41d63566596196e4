//! The default plugin: what a request must look like, in which order its steps are taken, and what a
//! refusal is called.
//!
//! Both deletes take the same steps:
//!
//! 1. the form of the request, from the outside in. Nothing is asked of the host yet, so that what a
//!    caller learns here is what it sent;
//! 2. who asks. Whoever is nobody learns nothing about objects, whether they exist or not;
//! 3. the object, for this caller: absent and somebody else's are one answer;
//! 4. the tenant's policies;
//! 5. staging. The host erases after success, and only then.

mod codes;
mod document;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod photo;
mod refusal;

use atropos_sdk::plugin::{DocumentRequest, PhotoRequest, Plugin, Refusal};

use crate::host::Imports;

/// The plugin.
#[derive(Debug)]
pub struct Standard;

impl Plugin for Standard {
    fn delete_photo(request: PhotoRequest) -> Result<(), Refusal> {
        photo::delete(&Imports, &request)
    }

    fn delete_document(request: DocumentRequest) -> Result<(), Refusal> {
        document::delete(&Imports, &request)
    }
}

atropos_sdk::plugin!(Standard);
