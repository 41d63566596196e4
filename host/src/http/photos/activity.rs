//! `GET GetUserActivity`: what happened to the photos of a user.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use uuid::Uuid;

use super::{caller, listing};
use crate::http::envelope::{self, EnvelopeError};
use crate::http::page;
use crate::service::Service;
use crate::target::Kind;

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

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Events {
    activity_list: Vec<Event>,
}

/// Lists what happened, latest first.
pub(super) async fn activity(
    State(service): State<Service>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, EnvelopeError> {
    let caller = caller(&service, &headers).await?;
    let (owner, page) = listing(uri.query())?;
    let catalogue = &service.catalogue;
    let events = catalogue.activity(caller.tenant.id, Some(Kind::Photo), &owner, page);
    let events = events.await?;
    let activity_list = events
        .into_iter()
        .map(|event| Event {
            activity: event.activity,
            id: event.object_id,
            date: page::time(event.at_ms),
            caller: event.caller,
            decision_id: event.decision_id,
            bytes_absent: event.bytes_absent,
        })
        .collect();
    Ok(envelope::success("", Some(Events { activity_list })))
}
