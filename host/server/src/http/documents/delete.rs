//! `POST /api/library/documents/delete`.

use std::sync::Arc;

use atropos::erase;
use atropos::target::Kind;
use atropos_service::service::Service;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::request::INVALID_TOKEN;
use crate::http::failure::Failure;
use crate::http::problem::ProblemError;
use crate::http::style::Style;
use crate::http::{repeat, wire};

const BODY_TOO_LARGE: Failure = Failure::family(
    StatusCode::PAYLOAD_TOO_LARGE,
    "body-too-large",
    "The body has more than 16 KiB.",
);
const BODY_BROKEN: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "body-incomplete",
    "The body broke off.",
);
const INVALID_CONTENT_TYPE: Failure = Failure::family(
    StatusCode::BAD_REQUEST,
    "content-type-not-json",
    "The Content-Type header must be application/json.",
);

/// Deletes a document; the body of success is empty.
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ProblemError> {
    let request = request(&headers, body)?;
    let (request, key) = (erase::Request::Document(request), repeat::key(&headers)?);
    let answer = service.atropos.delete_once(request, key).await;
    let success = || ().into_response();
    Ok(repeat::tell(
        answer,
        Kind::Document,
        Style::Problem,
        success,
    ))
}

/// What came over the wire, for the plugin to judge. Only what no plugin could be shown is refused
/// here.
fn request(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<erase::DocumentRequest, Failure> {
    let header = |name: &str, failure| wire::header(headers, name).map_err(|_| failure);
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => BODY_TOO_LARGE,
        _ => BODY_BROKEN,
    })?;
    Ok(erase::DocumentRequest {
        authorization: header(AUTHORIZATION.as_str(), INVALID_TOKEN)?,
        content_type: header(CONTENT_TYPE.as_str(), INVALID_CONTENT_TYPE)?,
        body: body.into(),
    })
}
