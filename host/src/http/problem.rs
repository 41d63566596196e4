//! The style of everything but the photo calls: problem details by RFC 9457, with a stable `code`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::failure::{Code, Failure};
use super::style;

#[derive(Serialize)]
struct Problem<'a> {
    /// Says that there is no more to it than the status.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

/// A failure as problem details.
#[derive(Debug)]
pub(super) struct ProblemError(pub(super) Failure);

impl<F: Into<Failure>> From<F> for ProblemError {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for ProblemError {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let body = Problem {
            r#type: "about:blank",
            title: failure.status.canonical_reason().unwrap_or("Error"),
            status: failure.status.as_u16(),
            detail: &failure.message,
            code: match &failure.code {
                Code::Family(code) | Code::Host(code) => code,
            },
        };
        let mut response = (failure.status, Json(body)).into_response();
        style::set(&mut response, CONTENT_TYPE, "application/problem+json");
        style::dress(&mut response, &failure);
        if failure.status == StatusCode::UNAUTHORIZED {
            style::set(&mut response, WWW_AUTHENTICATE, "Bearer realm=\"atropos\"");
        }
        response
    }
}
