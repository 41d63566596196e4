//! What happens around every request: its id, its span, its figures, its deadline, safe headers.
//!
//! **Invariant:** neither logs nor metrics hold a path, a query, a header's value or a user's id;
//! a request is known by its route's template.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use super::failure::{BROKEN, TIMED_OUT};
use super::style::Style;

/// By which a client and the logs speak of the same request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every response that does not say otherwise.
const SAFE_HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; sandbox",
    ),
];

/// Names, times and counts a request.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = label(request.method());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id, method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status, latency_us, "answered"));
    metrics::counter!("atropos_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status.to_string())
    .increment(1);
    metrics::histogram!("atropos_http_request_seconds", "method" => method, "route" => route)
        .record(took.as_secs_f64());
    let headers = response.headers_mut();
    for (name, value) in SAFE_HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// What the client calls the request, if that is harmless in a log; else a fresh name.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    headers
        .get(REQUEST_ID)
        .map(HeaderValue::as_bytes)
        .filter(|id| (1..=64).contains(&id.len()) && id.iter().copied().all(harmless))
        .and_then(|id| String::from_utf8(id.to_vec()).ok())
        .unwrap_or_else(|| Uuid::new_v4().to_string())
}

/// A client must not choose how many series there are.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Answers in the place of a handler that takes too long. A delete goes on all the same.
pub(super) async fn deadline(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let style = Style::of(request.uri().path());
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| style.tell(TIMED_OUT))
}

/// Answers in the place of a handler that panicked.
pub(super) fn crashed(
    style: Style,
) -> impl Fn(Box<dyn Any + Send + 'static>) -> Response + Clone + Send + 'static {
    move |_| {
        tracing::error!("a handler panicked");
        style.tell(BROKEN)
    }
}
