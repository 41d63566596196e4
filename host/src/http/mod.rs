//! Routes → input of the flow, outcome → response.
//!
//! ```text
//! server ─► middleware ─► photos │ documents │ oauth │ operations ─► envelope │ problem
//! ```
//!
//! `photos` and `documents` are built alike: `delete`, `upload`, `list`, `activity`, `bytes`.
//!
//! **Invariant:** this is the only module with status codes, and it decides nothing about a delete:
//! the flow gets what came over the wire, and its outcome is rendered.
//! **Invariant:** no response is cached.

mod blob;
mod documents;
mod envelope;
mod failure;
mod form;
mod middleware;
mod oauth;
mod operations;
mod page;
mod photos;
mod problem;
mod server;
mod style;
mod wire;

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

pub use operations::install_metrics;

use crate::service::Service;
use style::Style;

/// The most that a body may have, but for the files of uploads.
const BODY_BYTES: usize = 16 << 10;

/// Serves until `stop` resolves, and returns when the requests under way have ended, or after
/// `http.shutdown-timeout-ms`. The service itself is left running, for the caller to stop.
pub async fn serve(service: Service, listener: TcpListener, stop: impl Future<Output = ()>) {
    let config = service.config.http.clone();
    let server = server::run(router(service), &config, listener, stop);
    tokio::select! {
        () = server => {}
        () = operations::keep_up() => {}
    }
}

/// Every route, with all that happens around a request.
pub fn router(service: Service) -> Router {
    let photos_as_200 = service.config.http.photo_errors_as_200;
    let request_timeout = Duration::from_millis(service.config.http.request_timeout_ms);
    let others = Router::new()
        .route("/oauth/token", post(oauth::token))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .route_layer(from_fn_with_state(request_timeout, middleware::deadline))
        .layer(CatchPanicLayer::custom(middleware::crashed(Style::Problem)));
    let routes = others
        .merge(photos::routes(&service))
        .merge(documents::routes(&service))
        .with_state(service);
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
