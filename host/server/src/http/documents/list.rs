//! `GET /api/library/documents/list/get/…`.

use std::sync::Arc;

use atropos::domain::Stored;
use atropos::target::Kind;
use atropos_service::service::Service;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::request::{Place, listing, reading};
use crate::http::page;
use crate::http::problem::ProblemError;

/// A document as its owner sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    file_guid: String,
    file_name: String,
    file_extension: String,
    file_byte_size: u64,
    file_created_date: String,
    labels: Vec<String>,
}

impl From<Stored> for File {
    fn from(stored: Stored) -> Self {
        let extension = stored.name.rsplit_once('.').map(|(_, extension)| extension);
        Self {
            file_extension: extension.unwrap_or_default().to_lowercase(),
            file_guid: stored.object.target.id,
            file_name: stored.name,
            file_byte_size: stored.object.size_bytes,
            file_created_date: page::time(stored.object.created_at_ms),
            labels: stored.object.labels,
        }
    }
}

/// Lists the documents of a user.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    place: Result<Path<Place>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ProblemError> {
    let reading = reading(&service, &headers, place).await?;
    let (caller, owner) = (&reading.caller, &reading.owner);
    let query = listing(uri.query(), owner)?;
    let page = query.page.clone();
    let render = move |documents: Vec<Stored>| {
        let next = query.next("", &documents);
        let files: Vec<File> = documents.into_iter().map(File::from).collect();
        (next, Json(files)).into_response()
    };
    let lists = &service.lists;
    let listed = lists.objects(caller, Kind::Document, owner, page, render);
    Ok(listed.await?)
}
