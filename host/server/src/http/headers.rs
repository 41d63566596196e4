//! Headers of answers that tell of a failure.

use axum::http::HeaderValue;
use axum::http::header::{HeaderName, RETRY_AFTER};
use axum::response::Response;

use super::failure::Failure;

/// Adds what every style says of a failure in its headers.
pub(super) fn dress(response: &mut Response, failure: &Failure) {
    if let Some(after) = failure.retry_after {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        if let Ok(seconds) = HeaderValue::try_from(seconds.to_string()) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
    }
}

/// Sets a header.
pub(super) fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
