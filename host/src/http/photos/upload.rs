//! `POST UploadImage`.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::list::Asset;
use super::{FORBIDDEN, INVALID_FILE, INVALID_USER_ID, USER_ID, caller, owner};
use crate::http::envelope::{self, EnvelopeError};
use crate::http::failure::Failure;
use crate::http::form::{self, FormError, Shape};
use crate::http::wire;
use crate::service::Service;
use crate::target::Permission;
use crate::upload::{NewUpload, UploadError};

/// Takes a photo; `userId` comes as a field, or in the query as well.
pub(super) async fn upload(
    State(service): State<Service>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, EnvelopeError> {
    let caller = caller(&service, &headers).await?;
    if !caller.may(Permission::PhotosWrite) {
        return Err(FORBIDDEN.into());
    }
    let max_bytes = service.config.upload.max_photo_bytes;
    let shape = Shape {
        file: "postedFile",
        fields: [USER_ID],
        held_bytes: max_bytes,
        file_bytes: max_bytes,
    };
    let in_query = wire::parameter(uri.query().unwrap_or_default(), USER_ID);
    let given = [in_query.map_err(|_| INVALID_USER_ID)?];
    let form = form::read(&headers, body, &shape, given).await;
    let form = form.map_err(|error| match error {
        FormError::Field(_) => INVALID_USER_ID,
        FormError::Malformed | FormError::FileFirst => INVALID_FILE,
    })?;
    let [user] = form.values;
    let owner = owner(user)?;
    let mut file = form.file.ok_or(INVALID_FILE)?;
    let new = NewUpload {
        tenant: caller.tenant.id,
        owner,
        id: None,
        name: file.name,
        labels: Vec::new(),
        retain_until_ms: None,
    };
    let stored = service.uploads.photo(new, &mut *file.content).await;
    let stored = stored.map_err(|error| match error {
        UploadError::Empty | UploadError::NotAPicture | UploadError::Read(_) => INVALID_FILE,
        other => Failure::from(other),
    })?;
    Ok(envelope::success("", Some(Asset::of(&stored))))
}
