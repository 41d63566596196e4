//! `GET /api/library/documents/activity/get/…`: what happened to the documents of a user.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::IntoResponse;
use serde::Serialize;
use uuid::Uuid;

use super::{Place, paging, reading};
use crate::http::page;
use crate::http::problem::ProblemError;
use crate::service::Service;
use crate::target::Kind;

/// One event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    activity: String,
    file_guid: String,
    activity_date: String,
    caller: String,
    decision_id: Option<Uuid>,
    bytes_absent: u32,
}

/// Lists what happened, latest first.
pub(super) async fn activity(
    State(service): State<Service>,
    place: Result<Path<Place>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ProblemError> {
    let reading = reading(&service, &headers, place).await?;
    let page = paging(uri.query())?;
    let (tenant, owner) = (reading.caller.tenant.id, &reading.owner);
    let catalogue = &service.catalogue;
    let events = catalogue.activity(tenant, Some(Kind::Document), owner, page);
    let events = events.await?;
    let next = page::next(page, events.len());
    let events: Vec<Event> = events
        .into_iter()
        .map(|event| Event {
            activity: event.activity,
            file_guid: event.object_id,
            activity_date: page::time(event.at_ms),
            caller: event.caller,
            decision_id: event.decision_id,
            bytes_absent: event.bytes_absent,
        })
        .collect();
    Ok((next, Json(events)))
}
