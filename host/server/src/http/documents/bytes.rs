//! `GET /api/library/documents/file/get/…`: the bytes of a document.
//!
//! **Invariant:** the row is asked before the bytes: a document whose row is gone is gone here too.

use std::sync::Arc;

use atropos::target::{Kind, Target};
use atropos_service::service::Service;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::request::{Place, reading};
use crate::http::blob::{self, Disposition};
use crate::http::failure::Failure;
use crate::http::problem::ProblemError;

const NOT_FOUND: Failure = Failure::no_such(Kind::Document);

/// Sends a document as a file to save.
pub(super) async fn bytes(
    State(service): State<Arc<Service>>,
    place: Result<Path<Place>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ProblemError> {
    let reading = reading(&service, &headers, place).await?;
    let target = Target {
        tenant: reading.caller.tenant.id,
        kind: Kind::Document,
        owner: reading.owner,
        id: reading.file_guid,
    };
    let document = service.catalogue.show(&target).await?.ok_or(NOT_FOUND)?;
    let original = document.renditions.first().ok_or(NOT_FOUND)?;
    let disposition = Disposition::Attachment(&document.name);
    let sent = blob::send(&service, original, disposition, &headers).await?;
    Ok(sent.ok_or(NOT_FOUND)?)
}
