//! `POST /api/file/upload/admin-for-client/store`.

use std::sync::Arc;

use atropos::target::{Kind, Permission, TenantId};
use atropos_service::service::Service;
use atropos_service::upload::{NewUpload, UploadError, Uploader};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::request::{Bearer, INVALID_ACCOUNT, NO_ACCESS, bearer, caller, owner};
use crate::http::failure::Failure;
use crate::http::form::{Form, FormError, Shape};
use crate::http::problem::ProblemError;

/// How much of a file is taken before it is known which tenant it is for.
const FILE_FIRST_BYTES: u64 = 4 << 20;

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
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<String>, ProblemError> {
    let Bearer { token, client } = bearer(&service, &headers).await?;
    let shape = Shape {
        file: "file",
        fields: ["tenantSubDomain", "userAccountId"],
        file_bytes: service.config.upload.max_document_bytes,
        file_first_bytes: FILE_FIRST_BYTES,
    };
    let mut form = Form::open(&headers, body, shape, [None, None]).map_err(malformed)?;
    let file = form.file().await.map_err(malformed)?;
    let file_first = file.is_some() && form.is_file_first();
    let mut known = None;
    if !file_first {
        // Refused before its bytes are taken.
        known = Some(addressee(&service, &token, form.values.clone()).await?);
    }
    let mut file = file.ok_or(FILE_MISSING)?;
    let uploads = &service.uploads;
    let descriptor = service
        .descriptors
        .take_for_file()
        .await
        .map_err(Failure::from)?;
    let client = Uploader::Client(client);
    let received = uploads.receive(Kind::Document, client, &mut *file.content, file.at_most);
    let received = received.await;
    drop(descriptor);
    let received = received.map_err(|error| match error {
        UploadError::TooLarge { limit } if file_first && limit == FILE_FIRST_BYTES => FILE_FIRST,
        other => Failure::from(other),
    })?;
    drop(file.content);
    let addressee = match known {
        Some(known) => Ok(known),
        None => match form.finish().await {
            Ok(fields) => addressee(&service, &token, fields).await,
            Err(error) => Err(malformed(error)),
        },
    };
    let (tenant, owner) = match addressee {
        Ok(addressee) => addressee,
        Err(failure) => {
            uploads.discard(received).await;
            return Err(failure.into());
        }
    };
    let new = NewUpload {
        tenant,
        owner,
        id: None,
        name: file.name,
        labels: Vec::new(),
        retain_until_ms: None,
    };
    let stored = uploads.finish(new, received).await.map_err(Failure::from)?;
    Ok(Json(stored.object.target.id))
}

/// The tenant and the user that the fields name, if the token may upload there.
async fn addressee(
    service: &Service,
    token: &str,
    fields: [Option<String>; 2],
) -> Result<(TenantId, String), Failure> {
    let [tenant, account] = fields.map(Option::unwrap_or_default);
    let caller = caller(service, token, &tenant, Permission::DocumentsWrite).await?;
    Ok((caller.tenant.id, owner(&account)?))
}

fn malformed(error: FormError) -> Failure {
    match error {
        FormError::Field(0) => NO_ACCESS,
        FormError::Field(_) => INVALID_ACCOUNT,
        FormError::Malformed => FORM_MALFORMED,
    }
}
