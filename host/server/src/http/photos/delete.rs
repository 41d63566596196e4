//! `GET DeleteUserPhoto`: a delete behind a method that the web takes for harmless.
//!
//! **Invariant:** only a GET that somebody meant gets through: no HEAD, no prefetch, no picture or
//! page that a browser loads by itself, nothing that asks for a part or for news since the last time,
//! as whoever does takes this for a download; no repeat out of a cache.

use std::sync::Arc;

use atropos::erase;
use atropos::target::Kind;
use atropos_service::service::Service;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE,
};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::request::{
    INVALID_PHOTO_ID, INVALID_USER_ID, INVALID_WEBSITE_ID, PHOTO_ID, SITE_KEY, UNAUTHORIZED,
    USER_ID, WEBSITE_ID,
};
use crate::http::envelope::{self, EnvelopeError};
use crate::http::failure::{Failure, WRONG_METHOD};
use crate::http::style::Style;
use crate::http::{headers, repeat, wire};

/// By which browsers and their elders say that nobody clicked yet.
const SPECULATION_HEADERS: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];
const SPECULATION_WORDS: [&str; 3] = ["prefetch", "prerender", "preview"];

const SPECULATION: Failure = Failure::host(
    StatusCode::FORBIDDEN,
    "prefetch",
    "A prefetch deletes nothing.",
);

/// By which a browser says for what it loads something: `empty` for a call of a script.
const DESTINATION: &str = "sec-fetch-dest";

const EMBEDDED: Failure = Failure::host(
    StatusCode::FORBIDDEN,
    "embedded",
    "What a page loads by itself deletes nothing.",
);

/// By which caches, downloads and probes ask for what they have not got yet.
const DOWNLOAD_HEADERS: [HeaderName; 6] = [
    RANGE,
    IF_RANGE,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
];

const DOWNLOAD: Failure = Failure::host(
    StatusCode::BAD_REQUEST,
    "conditional-or-partial",
    "A request with conditions or for a part deletes nothing.",
);

/// Lets through what somebody meant.
pub(super) async fn deliberate(request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        let mut response = EnvelopeError(WRONG_METHOD).into_response();
        headers::set(&mut response, ALLOW, "GET");
        return response;
    }
    match thoughtless(request.headers()) {
        Some(failure) => EnvelopeError(failure).into_response(),
        None => next.run(request).await,
    }
}

/// Why nobody can have meant it.
fn thoughtless(headers: &HeaderMap) -> Option<Failure> {
    if speculative(headers) {
        return Some(SPECULATION);
    }
    let mut destinations = headers.get_all(DESTINATION).iter();
    if destinations.any(|destination| destination != "empty") {
        return Some(EMBEDDED);
    }
    let mut download = DOWNLOAD_HEADERS.iter();
    let download = download.any(|name| headers.contains_key(name));
    download.then_some(DOWNLOAD)
}

fn speculative(headers: &HeaderMap) -> bool {
    let values = |name| headers.get_all(name).iter();
    SPECULATION_HEADERS
        .into_iter()
        .flat_map(values)
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            let value = value.to_ascii_lowercase();
            SPECULATION_WORDS.iter().any(|word| value.contains(word))
        })
}

/// Deletes a photo.
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, EnvelopeError> {
    let request = request(&headers, uri.query().unwrap_or_default())?;
    let (request, key) = (erase::Request::Photo(request), repeat::key(&headers)?);
    let answer = service.atropos.delete_once(request, key).await;
    let message = "The Image has been successfully deleted.";
    let success = || envelope::success::<()>(message, None);
    Ok(repeat::tell(answer, Kind::Photo, Style::Envelope, success))
}

/// What came over the wire, for the plugin to judge. Only what no plugin could be shown is refused
/// here.
fn request(headers: &HeaderMap, query: &str) -> Result<erase::PhotoRequest, Failure> {
    let header = |name, failure| wire::header(headers, name).map_err(|_| failure);
    let parameter = |name, failure| wire::parameter(query, name).map_err(|_| failure);
    Ok(erase::PhotoRequest {
        website_id: header(WEBSITE_ID, INVALID_WEBSITE_ID)?,
        site_key: header(SITE_KEY, UNAUTHORIZED)?,
        user_id: parameter(USER_ID, INVALID_USER_ID)?,
        photo_id: parameter(PHOTO_ID, INVALID_PHOTO_ID)?,
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::HeaderValue;
    use axum::middleware::from_fn;
    use axum::routing::any;
    use axum::{Json, Router};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(method: Method, header: Option<(&'static str, &'static str)>) -> Response {
        let route = any(async || Json("deleted")).layer(from_fn(deliberate));
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        if let Some((name, value)) = header {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        Router::new()
            .route("/", route)
            .oneshot(request)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn nothing_but_a_get_deletes() {
        assert_eq!(ask(Method::GET, None).await.status(), 200);
        for method in [Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS] {
            let response = ask(method, None).await;
            assert_eq!(response.status(), 405);
            assert_eq!(response.headers()[ALLOW], "GET");
        }
    }

    #[tokio::test]
    async fn a_prefetch_deletes_nothing() {
        let table = [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "Prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "prefetch"),
        ];
        for header in table {
            let response = ask(Method::GET, Some(header)).await;
            assert_eq!(response.status(), 403, "{header:?}");
        }
        let harmless = Some(("purpose", "cleaning"));
        assert_eq!(ask(Method::GET, harmless).await.status(), 200);
    }

    #[tokio::test]
    async fn what_a_page_loads_and_what_a_cache_asks_for_deletes_nothing() {
        let script = Some(("sec-fetch-dest", "empty"));
        assert_eq!(ask(Method::GET, script).await.status(), 200);
        for destination in ["image", "document", "iframe", "Empty", ""] {
            let response = ask(Method::GET, Some(("sec-fetch-dest", destination))).await;
            assert_eq!(response.status(), 403, "{destination}");
        }
        for name in DOWNLOAD_HEADERS.map(|name| name.as_str().to_owned()) {
            let response = ask(Method::GET, Some((name.leak(), "*"))).await;
            assert_eq!(response.status(), 400);
        }
    }

    #[test]
    fn what_came_over_the_wire_reaches_the_plugin_unparsed() {
        let mut headers = HeaderMap::new();
        headers.insert("websiteid", HeaderValue::from_static("012 "));
        let request = request(&headers, "userId=&photoId=..%2Fx").unwrap();
        assert_eq!(request.website_id.as_deref(), Some("012 "));
        assert_eq!(request.site_key, None);
        assert_eq!(request.user_id.as_deref(), Some(""));
        assert_eq!(request.photo_id.as_deref(), Some("../x"));
    }

    #[test]
    fn a_parameter_given_twice_has_the_code_of_its_field() {
        let headers = HeaderMap::new();
        let refused = |query| request(&headers, query).unwrap_err();
        assert_eq!(refused("userId=1&userId=2"), INVALID_USER_ID);
        assert_eq!(refused("photoId=%FF"), INVALID_PHOTO_ID);
    }
}
