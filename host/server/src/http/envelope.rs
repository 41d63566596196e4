//! The style of the photo calls: everything in one JSON envelope.
//!
//! **Invariant:** the keys come in the order of [`Envelope`], and `ErrorCode` is a string always.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::failure::{Code, Failure};
use super::headers;

/// Every answer of a photo call.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope<'a, T> {
    response: &'static str,
    message: &'a str,
    data: Option<T>,
    error_code: &'a str,
}

/// Marks a response whose body tells success from failure.
#[derive(Clone, Copy)]
struct Enveloped;

/// What was asked for.
pub(super) fn success<T: Serialize>(message: &str, data: Option<T>) -> Response {
    Json(Envelope {
        response: "Success",
        message,
        data,
        error_code: "",
    })
    .into_response()
}

/// A failure in an envelope.
#[derive(Debug)]
pub(super) struct EnvelopeError(pub(super) Failure);

impl<F: Into<Failure>> From<F> for EnvelopeError {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for EnvelopeError {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let body = Envelope::<()> {
            response: "Error",
            message: &failure.message,
            data: None,
            error_code: match &failure.code {
                Code::Family(code) => code,
                Code::Host(_) => failure.status.as_str(),
            },
        };
        let mut response = (failure.status, Json(body)).into_response();
        response.extensions_mut().insert(Enveloped);
        headers::dress(&mut response, &failure);
        if failure.status == StatusCode::UNAUTHORIZED {
            headers::set(&mut response, WWW_AUTHENTICATE, "SiteKey realm=\"atropos\"");
        }
        response
    }
}

/// Answers 200 to whatever is in an envelope, if so set. A wrong method keeps its status: a client
/// that sends HEAD sees no envelope.
pub(super) async fn errors_as_200(
    State(wanted): State<bool>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let enveloped = response.extensions().get::<Enveloped>().is_some();
    if wanted && enveloped && response.status() != StatusCode::METHOD_NOT_ALLOWED {
        *response.status_mut() = StatusCode::OK;
    }
    response
}

#[cfg(test)]
mod tests {
    use atropos::error::Refused;
    use atropos::target::Kind;

    use super::*;
    use crate::http::tests::text;

    #[tokio::test]
    async fn a_success_is_told_in_the_order_of_the_contract() {
        let response = success::<()>("The Image has been successfully deleted.", None);
        assert_eq!(
            text(response).await,
            r#"{"Response":"Success","Message":"The Image has been successfully deleted.","Data":null,"ErrorCode":""}"#
        );
    }

    #[tokio::test]
    async fn an_unknown_photo_is_told_with_the_code_of_the_family() {
        let failure = Failure::refused(Refused::Gone, Kind::Photo);
        let response = EnvelopeError(failure).into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(
            text(response).await,
            r#"{"Response":"Error","Message":"Invalid Photo Id","Data":null,"ErrorCode":"327"}"#
        );
    }

    #[tokio::test]
    async fn an_outcome_of_the_host_has_the_status_as_its_code() {
        let failure = Failure::refused(Refused::Overloaded, Kind::Photo);
        let response = EnvelopeError(failure).into_response();
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(text(response).await.ends_with(r#""ErrorCode":"503"}"#));
    }
}
