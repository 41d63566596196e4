//! `POST /api/file/upload/admin-for-client/store`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::{INVALID_ACCOUNT, NO_ACCESS, bearer, caller, owner};
use crate::http::failure::Failure;
use crate::http::form::{self, FormError, Shape};
use crate::http::problem::ProblemError;
use crate::service::Service;
use crate::target::Permission;
use crate::upload::NewUpload;

/// How much of a file is held in memory until it is known whose it is.
const HELD_BYTES: u64 = 4 << 20;

const FORM_MALFORMED: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "form-malformed",
    "The body must be a whole multipart/form-data.",
);
const FILE_FIRST: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "file-before-fields",
    "A file of more than 4 MiB must come after tenantSubDomain and userAccountId.",
);
const FILE_MISSING: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "file-missing",
    "The form has no part `file` with a file name.",
);

/// Takes a document and answers its GUID.
pub(super) async fn upload(
    State(service): State<Service>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<String>, ProblemError> {
    let token = bearer(&service, &headers).await?;
    let shape = Shape {
        file: "file",
        fields: ["tenantSubDomain", "userAccountId"],
        held_bytes: HELD_BYTES,
        file_bytes: service.config.upload.max_document_bytes,
    };
    let form = form::read(&headers, body, &shape, [None, None]).await;
    let form = form.map_err(|error| match error {
        FormError::Field(0) => NO_ACCESS,
        FormError::Field(_) => INVALID_ACCOUNT,
        FormError::Malformed => FORM_MALFORMED,
        FormError::FileFirst => FILE_FIRST,
    })?;
    let [tenant, account] = form.values.map(Option::unwrap_or_default);
    let caller = caller(&service, &token, &tenant, Permission::DocumentsWrite).await?;
    let owner = owner(&account)?;
    let mut file = form.file.ok_or(FILE_MISSING)?;
    let new = NewUpload {
        tenant: caller.tenant.id,
        owner,
        id: None,
        name: file.name,
        labels: Vec::new(),
        retain_until_ms: None,
    };
    let stored = service.uploads.document(new, &mut *file.content).await?;
    Ok(Json(stored.object.target.id))
}
