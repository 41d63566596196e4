//! The document calls. One subdomain is one tenant; a user is a positive number.

mod activity;
mod bytes;
mod delete;
mod list;
mod request;
mod upload;

use atropos::target::Permission;

use super::route::{Access, Route};

/// Where the document calls are.
pub(super) fn routes() -> [Route; 6] {
    let read = Access::Bearer(Permission::DocumentsRead);
    let write = Access::Bearer(Permission::DocumentsWrite);
    [
        Route::post("/api/library/documents/delete", write, delete::delete),
        Route::post("/api/library/documents/delete/", write, delete::delete),
        Route::get(
            "/api/library/documents/list/get/{tenantSubDomain}/{userAccountId}",
            read,
            list::list,
        ),
        Route::get(
            "/api/library/documents/activity/get/{tenantSubDomain}/{userAccountId}",
            read,
            activity::activity,
        ),
        Route::get(
            "/api/library/documents/file/get/{tenantSubDomain}/{userAccountId}/{fileGuid}",
            read,
            bytes::bytes,
        ),
        Route::post(
            "/api/file/upload/admin-for-client/store",
            write,
            upload::upload,
        )
        .uploads(),
    ]
}
