//! Which style an address answers in, for what is answered before a handler is reached.

use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::envelope::EnvelopeError;
use super::failure::{Failure, NO_ROUTE, WRONG_METHOD};
use super::problem::ProblemError;

/// How failures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As the photo calls do.
    Envelope,
    /// As everything else does.
    Problem,
}

impl Style {
    /// By the address alone.
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with("/api/4/") {
            Self::Envelope
        } else {
            Self::Problem
        }
    }

    /// Tells a failure.
    pub(super) fn tell(self, failure: Failure) -> Response {
        match self {
            Self::Envelope => EnvelopeError(failure).into_response(),
            Self::Problem => ProblemError(failure).into_response(),
        }
    }
}

/// Answers where there is no route.
pub(super) async fn no_route(uri: Uri) -> Response {
    Style::of(uri.path()).tell(NO_ROUTE)
}

/// Answers where the route does not take the method; axum adds `Allow`.
pub(super) async fn wrong_method(request: Request) -> Response {
    Style::of(request.uri().path()).tell(WRONG_METHOD)
}
