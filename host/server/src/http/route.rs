//! One endpoint, and all that happens around who answers there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use atropos::target::Permission;
use atropos_service::config::Config;
use atropos_service::service::Service;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::middleware;
use super::style::Style;

/// A method and an address that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Such as `GET`; whoever serves that serves `HEAD` too, but for the delete behind a GET.
    pub method: &'static str,
    /// A template, such as `/media/{key}/{name}`.
    pub path: &'static str,
    /// Whom it serves.
    pub access: Access,
}

/// Whom an endpoint serves. Its handler sees to it. Held by `tests/authorization.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Anybody,
    /// Whoever knows the address, a part of which cannot be guessed.
    Address,
    /// An API client that proves its secret.
    ClientSecret,
    /// Whoever has a site key of the website.
    SiteKey,
    /// An API client that has a bearer token and this permission in the tenant.
    Bearer(Permission),
}

/// An endpoint and who answers there.
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    methods: MethodRouter<Arc<Service>>,
    uploads: bool,
}

impl Route {
    pub(super) fn get<T: 'static>(
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<Service>>,
    ) -> Self {
        Self::new("GET", path, access, get(handler))
    }

    pub(super) fn post<T: 'static>(
        path: &'static str,
        access: Access,
        handler: impl Handler<T, Arc<Service>>,
    ) -> Self {
        Self::new("POST", path, access, post(handler))
    }

    /// For handlers that see to the method themselves.
    pub(super) fn new(
        method: &'static str,
        path: &'static str,
        access: Access,
        methods: MethodRouter<Arc<Service>>,
    ) -> Self {
        Self {
            endpoint: Endpoint {
                method,
                path,
                access,
            },
            methods,
            uploads: false,
        }
    }

    /// Has the time that uploads have.
    pub(super) fn uploads(self) -> Self {
        Self {
            uploads: true,
            ..self
        }
    }

    /// With all that happens around its handler.
    pub(super) fn methods(self, config: &Config) -> MethodRouter<Arc<Service>> {
        let limit = match self.uploads {
            true => config.upload.deadline_ms,
            false => config.http.request_timeout_ms,
        };
        let limit = from_fn_with_state(Duration::from_millis(limit), middleware::deadline);
        let crashed = middleware::crashed(Style::of(self.endpoint.path));
        let methods = self.methods.layer::<_, Infallible>(limit);
        methods.layer(CatchPanicLayer::custom(crashed))
    }
}
