//! The style of everything but the photo calls: problem details by RFC 9457, with a stable `code`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::failure::{Code, Failure};
use super::headers;

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
        headers::set(&mut response, CONTENT_TYPE, "application/problem+json");
        headers::dress(&mut response, &failure);
        if failure.status == StatusCode::UNAUTHORIZED {
            headers::set(&mut response, WWW_AUTHENTICATE, "Bearer realm=\"atropos\"");
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use atropos::target::Kind;

    use super::*;
    use crate::http::tests::text;

    #[tokio::test]
    async fn an_unknown_document_is_told_as_problem_details_with_a_stable_code() {
        let response = ProblemError(Failure::no_such(Kind::Document)).into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            text(response).await,
            r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"The user has no such document.","code":"document-not-found"}"#
        );
    }

    #[tokio::test]
    async fn whoever_is_not_authenticated_is_told_how_to_be() {
        let unauthenticated = Failure::family(StatusCode::UNAUTHORIZED, "invalid-token", "");
        let response = ProblemError(unauthenticated).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()[WWW_AUTHENTICATE],
            "Bearer realm=\"atropos\""
        );
    }
}
