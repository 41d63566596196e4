//! Every endpoint in one table, from which the router is built and which anybody may read.
//!
//! **Invariant:** nothing is served that the table does not list. Held by `tests/house.rs`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::style::Style;
use super::{documents, middleware, oauth, operations, photos};
use crate::config::Config;
use crate::service::Service;
use crate::target::Permission;

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

/// Every endpoint, in no particular order.
pub fn endpoints() -> Vec<Endpoint> {
    table().iter().map(|route| route.endpoint).collect()
}

/// An endpoint and who answers there.
pub(super) struct Route {
    endpoint: Endpoint,
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
    fn methods(self, config: &Config) -> MethodRouter<Arc<Service>> {
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

fn table() -> Vec<Route> {
    let token = Route::post("/oauth/token", Access::ClientSecret, oauth::token);
    let mut table = vec![token];
    table.extend(operations::routes());
    table.extend(photos::routes());
    table.extend(documents::routes());
    table
}

/// Serves the table.
pub(super) fn router(config: &Config) -> Router<Arc<Service>> {
    table().into_iter().fold(Router::new(), |router, route| {
        router.route(route.endpoint.path, route.methods(config))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_contradict_each_other() {
        assert!(router(&Config::default()).has_routes());
    }
}
