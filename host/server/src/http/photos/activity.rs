//! `GET GetUserActivity`: what happened to the photos of a user.

use std::sync::Arc;

use atropos::domain::Activity;
use atropos::target::Kind;
use atropos_service::service::Service;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use uuid::Uuid;

use super::request::{PAGE_ROWS, caller, invalid_page, lists_of, rest};
use crate::http::envelope::{self, EnvelopeError};
use crate::http::page::{self, InvalidPage};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    activity: String,
    id: String,
    date: String,
    caller: String,
    decision_id: Option<Uuid>,
    bytes_absent: u32,
}

impl From<Activity> for Event {
    fn from(event: Activity) -> Self {
        Self {
            activity: event.activity,
            id: event.object_id,
            date: page::time(event.at_ms),
            caller: event.caller,
            decision_id: event.decision_id,
            bytes_absent: event.bytes_absent,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Events {
    activity_list: Vec<Event>,
}

/// Lists what happened, latest first.
pub(super) async fn activity(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, EnvelopeError> {
    let caller = caller(&service, &headers).await?;
    let query = uri.query().unwrap_or_default();
    let owner = lists_of(query)?;
    let page = page::from_query(query, PAGE_ROWS);
    let page = page.map_err(|name| invalid_page(InvalidPage::Number(name)))?;
    let rest = rest(&owner);
    let render = move |events: Vec<Activity>| {
        let next = page::next(page, &rest, events.len());
        let activity_list = events.into_iter().map(Event::from).collect();
        (next, envelope::success("", Some(Events { activity_list }))).into_response()
    };
    let lists = &service.lists;
    let listed = lists.activity(&caller, Kind::Photo, &owner, page, render);
    Ok(listed.await?)
}
