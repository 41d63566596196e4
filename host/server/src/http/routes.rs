//! Every endpoint in one table, from which the router is built and which anybody may read.
//!
//! **Invariant:** nothing is served that the table does not list. Held by `tests/house.rs`.

use std::sync::Arc;

use atropos_service::config::Config;
use atropos_service::service::Service;
use axum::Router;

use super::route::{Access, Endpoint, Route};
use super::{documents, oauth, operations, photos};

/// Every endpoint, in no particular order.
pub fn endpoints() -> Vec<Endpoint> {
    table().iter().map(|route| route.endpoint).collect()
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
