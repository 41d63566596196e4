//! `GET /media/{key}/{name}`: the bytes behind `OriginalURL` and `StandardURL`. Pages embed these
//! without headers, so the unguessable key is the credential.
//!
//! **Invariant:** the row is asked before the bytes: a photo whose row is gone is gone here too.

use std::sync::Arc;

use atropos::target::{BlobKey, Kind};
use atropos_service::service::Service;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::http::blob::{self, Disposition};
use crate::http::failure::NO_ROUTE;
use crate::http::problem::ProblemError;

/// Sends a rendition of a photo. The name in the address is for people.
pub(super) async fn bytes(
    State(service): State<Arc<Service>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ProblemError> {
    let Path((key, _)) = path.map_err(|_| NO_ROUTE)?;
    let key: BlobKey = key.parse().map_err(|_| NO_ROUTE)?;
    let photo = service.catalogue.by_blob(key).await?;
    let photo = photo.filter(|stored| stored.object.target.kind == Kind::Photo);
    let photo = photo.ok_or(NO_ROUTE)?;
    let rendition = photo.renditions.iter().find(|form| form.key == key);
    let rendition = rendition.ok_or(NO_ROUTE)?;
    let sent = blob::send(&service, rendition, Disposition::Inline, &headers).await?;
    Ok(sent.ok_or(NO_ROUTE)?)
}
