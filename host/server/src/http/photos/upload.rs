//! `POST UploadImage`.

use std::sync::Arc;

use atropos::target::{Kind, Permission};
use atropos_service::service::Service;
use atropos_service::upload::{NewUpload, UploadError, Uploader};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::list::Asset;
use super::request::{FORBIDDEN, INVALID_FILE, INVALID_USER_ID, USER_ID, caller, owner};
use crate::http::envelope::{self, EnvelopeError};
use crate::http::failure::Failure;
use crate::http::form::{Form, FormError, Shape};
use crate::http::wire;

/// Takes a photo; `userId` comes as a field, or in the query as well.
pub(super) async fn upload(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, EnvelopeError> {
    let caller = caller(&service, &headers).await?;
    if !caller.may(Permission::PhotosWrite) {
        return Err(FORBIDDEN.into());
    }
    let file_bytes = service.config.upload.max_photo_bytes;
    let shape = Shape {
        file: "postedFile",
        fields: [USER_ID],
        file_bytes,
        // The tenant is known by the headers: a photo of any size may come before its user.
        file_first_bytes: file_bytes,
    };
    let in_query = wire::parameter(uri.query().unwrap_or_default(), USER_ID);
    let given = [in_query.map_err(|_| INVALID_USER_ID)?];
    let mut form = Form::open(&headers, body, shape, given).map_err(malformed)?;
    let file = form.file().await.map_err(malformed)?;
    if file.is_none() || !form.is_file_first() {
        // Refused before its bytes are taken.
        let [user] = form.values.clone();
        owner(user)?;
    }
    let mut file = file.ok_or(INVALID_FILE)?;
    let uploads = &service.uploads;
    let descriptor = service
        .descriptors
        .take_for_file()
        .await
        .map_err(Failure::from)?;
    let tenant = Uploader::Tenant(caller.tenant.id);
    let received = uploads.receive(Kind::Photo, tenant, &mut *file.content, file.at_most);
    let received = received.await;
    drop(descriptor);
    let received = received.map_err(refused)?;
    drop(file.content);
    let fields = form.finish().await.map_err(malformed);
    let owner = match fields.and_then(|[user]| owner(user)) {
        Ok(owner) => owner,
        Err(failure) => {
            uploads.discard(received).await;
            return Err(failure.into());
        }
    };
    let new = NewUpload {
        tenant: caller.tenant.id,
        owner,
        id: None,
        name: file.name,
        labels: Vec::new(),
        retain_until_ms: None,
    };
    let stored = uploads.finish(new, received).await.map_err(refused)?;
    Ok(envelope::success("", Some(Asset::of(&stored))))
}

fn malformed(error: FormError) -> Failure {
    match error {
        FormError::Field(_) => INVALID_USER_ID,
        FormError::Malformed => INVALID_FILE,
    }
}

fn refused(error: UploadError) -> Failure {
    match error {
        UploadError::Empty | UploadError::NotAPicture | UploadError::Read(_) => INVALID_FILE,
        other => Failure::from(other),
    }
}
