//! `GET /api/library/documents/activity/get/…`: what happened to the documents of a user.

use std::sync::Arc;

use atropos::domain::Activity;
use atropos::target::Kind;
use atropos_service::service::Service;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use uuid::Uuid;

use super::request::{Place, paging, reading};
use crate::http::page;
use crate::http::problem::ProblemError;

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

impl From<Activity> for Event {
    fn from(event: Activity) -> Self {
        Self {
            activity: event.activity,
            file_guid: event.object_id,
            activity_date: page::time(event.at_ms),
            caller: event.caller,
            decision_id: event.decision_id,
            bytes_absent: event.bytes_absent,
        }
    }
}

/// Lists what happened, latest first.
pub(super) async fn activity(
    State(service): State<Arc<Service>>,
    place: Result<Path<Place>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ProblemError> {
    let reading = reading(&service, &headers, place).await?;
    let page = paging(uri.query())?;
    let (caller, owner) = (&reading.caller, &reading.owner);
    let render = move |events: Vec<Activity>| {
        let next = page::next(page, "", events.len());
        let events: Vec<Event> = events.into_iter().map(Event::from).collect();
        (next, Json(events)).into_response()
    };
    let lists = &service.lists;
    let listed = lists.activity(caller, Kind::Document, owner, page, render);
    Ok(listed.await?)
}
