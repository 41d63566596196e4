//! The steps before a host that says yes to everything, within reach of `tests/fuzz`.

use atropos_sdk::plugin::{DocumentRequest, PhotoRequest, Refusal};

use crate::host::fake::Fake;
use crate::{document, photo};

/// What came of a request, and what the host was asked, in order.
pub type Served = (Result<(), Refusal>, Vec<String>);

/// Serves a delete of a photo.
pub fn photo(request: &PhotoRequest) -> Served {
    let host = Fake::default();
    (photo::delete(&host, request), host.calls())
}

/// Serves a delete of a document.
pub fn document(request: &DocumentRequest) -> Served {
    let host = Fake::default();
    (document::delete(&host, request), host.calls())
}
