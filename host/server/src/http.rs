//! Routes → input of the flow, outcome → response.
//!
//! ```text
//! server ─► middleware ─► routes ─► photos │ documents │ oauth │ operations ─► envelope │ problem
//! ```
//!
//! `photos` and `documents` are built alike: `delete`, `upload`, `list`, `activity`, `bytes`.
//!
//! **Invariant:** this is the only module with status codes, and it decides nothing about a delete:
//! the flow gets what came over the wire, and its outcome is rendered.
//! **Invariant:** no response is cached.

mod blob;
mod connections;
mod documents;
mod envelope;
mod failure;
mod form;
#[cfg(fuzzing)]
pub mod fuzzing;
mod headers;
mod middleware;
mod oauth;
mod operations;
mod page;
mod photos;
mod problem;
mod range;
mod repeat;
mod route;
mod routes;
mod server;
mod style;
mod wire;

use std::future::Future;
use std::sync::Arc;

use atropos::parts::{Part, keep};
use atropos_service::service::Service;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
pub use operations::install_metrics;
pub use route::{Access, Endpoint};
pub use routes::endpoints;
pub use server::CONNECTION_BYTES;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The most that a body may have, but for the files of uploads.
const BODY_BYTES: usize = 16 << 10;

/// Serves until `stop` resolves, and returns when the requests under way have ended, or after
/// `http.shutdown-timeout-ms`. The service itself is left running, for the caller to stop.
pub async fn serve(service: Service, listener: TcpListener, stop: impl Future<Output = ()>) {
    let (config, descriptors) = (service.config.http.clone(), service.descriptors.clone());
    let figures = operations::Figures(service.atropos.parts().watch(Part::Figures));
    let server = server::run(router(service), &config, &descriptors, listener, stop);
    tokio::select! {
        () = server => {}
        () = keep(figures, CancellationToken::new()) => {}
    }
}

/// Every route, with all that happens around a request.
pub fn router(service: Service) -> Router {
    let photos_as_200 = service.config.http.photo_errors_as_200;
    // One for all: handlers are given a copy of it with each request.
    let routes = routes::router(&service.config).with_state(Arc::new(service));
    around(routes, photos_as_200)
}

/// What every request goes through, whatever the routes.
fn around(routes: Router, photos_as_200: bool) -> Router {
    routes
        .fallback(style::no_route)
        .method_not_allowed_fallback(style::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(middleware::observe))
        .layer(from_fn_with_state(photos_as_200, envelope::errors_as_200))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::{HeaderMap, Request};
    use axum::response::Response;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::failure::Failure;
    use super::style::Style;
    use super::*;

    /// The whole body as text.
    pub(super) async fn text(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn surface(photos_as_200: bool) -> Router {
        let limit = Duration::from_millis(20);
        let refuse = async || Style::Envelope.tell(Failure::no_such(atropos::target::Kind::Photo));
        let panic = async || -> &'static str { panic!("as a test") };
        let routes = Router::new()
            .route("/api/4/refuse", get(refuse))
            .route("/panic", get(panic))
            .route("/hang", get(std::future::pending::<()>))
            .route_layer(from_fn_with_state(limit, middleware::deadline))
            .layer(CatchPanicLayer::custom(middleware::crashed(Style::Problem)));
        around(routes, photos_as_200)
    }

    async fn ask(surface: Router, request: &str) -> (u16, HeaderMap, String) {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = request.header("x-request-id", "bad id");
        let response = surface
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, text(response).await)
    }

    #[tokio::test]
    async fn what_no_handler_answers_is_answered_in_the_style_of_its_address() {
        let table = [
            ("GET /api/4/nothing", 404, r#""ErrorCode":"404""#),
            ("GET /nothing", 404, r#""code":"route-not-found""#),
            ("POST /api/4/refuse", 405, r#""ErrorCode":"405""#),
            ("POST /hang", 405, r#""code":"method-not-allowed""#),
            ("GET /hang", 503, r#""code":"request-timeout""#),
            ("GET /panic", 500, r#""code":"internal""#),
        ];
        for (request, status, code) in table {
            let (got, headers, body) = ask(surface(false), request).await;
            assert_eq!(got, status, "{request}");
            assert!(body.contains(code), "{request}: {body}");
            assert_eq!(headers.contains_key("allow"), status == 405, "{request}");
        }
    }

    #[tokio::test]
    async fn every_response_is_safe_uncached_and_named() {
        for request in ["GET /nothing", "GET /panic", "GET /api/4/refuse"] {
            let (_, headers, _) = ask(surface(false), request).await;
            assert_eq!(headers["cache-control"], "no-store");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            // What the client sent could not stand in a log.
            assert_eq!(headers["x-request-id"].len(), 36);
        }
    }

    #[tokio::test]
    async fn errors_of_photo_calls_are_200_only_if_so_set() {
        assert_eq!(ask(surface(false), "GET /api/4/refuse").await.0, 404);
        let (status, _, body) = ask(surface(true), "GET /api/4/refuse").await;
        assert_eq!(status, 200);
        assert!(body.contains(r#""Response":"Error""#));
        assert_eq!(ask(surface(true), "GET /nothing").await.0, 404);
        assert_eq!(ask(surface(true), "POST /api/4/refuse").await.0, 405);
    }
}
