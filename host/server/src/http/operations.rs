//! What operators' machines ask: does it live, is it ready, what are the figures.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atropos::parts::{Watched, Work};
use atropos_service::log;
use atropos_service::service::Service;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use super::failure::NO_ROUTE;
use super::problem::ProblemError;
use super::route::{Access, Route};

/// The recorder that `/metrics` reads, once there is one.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Upper bounds in seconds, from an answer out of memory to a client's patience.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// How long the storage may take to answer: longer, and a figure stays as it was.
const PATIENCE: Duration = Duration::from_secs(2);
/// Histograms that nobody scrapes are folded this often, or they would grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// Where machines ask.
pub(super) fn routes() -> [Route; 3] {
    [
        Route::get("/healthz", Access::Anybody, healthz),
        Route::get("/readyz", Access::Anybody, readyz),
        Route::get("/metrics", Access::Anybody, metrics),
    ]
}

/// Has this process record its metrics. Called by whoever starts a server; again is fine.
///
/// # Errors
/// The process records its metrics elsewhere already.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .install_recorder()?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Folds the histograms for as long as it is polled.
pub(super) struct Figures(pub(super) Arc<Watched>);

impl Work for Figures {
    fn part(&self) -> &Arc<Watched> {
        &self.0
    }

    async fn run(&mut self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.0.enter();
            if let Some(handle) = RECORDER.get() {
                handle.run_upkeep();
            }
            self.0.completed();
        }
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The process lives.
async fn healthz() -> Response {
    let status = "alive";
    Json(Health {
        status,
        reason: None,
    })
    .into_response()
}

/// A delete would be served now. Of what it would not, the reason is told, and not what the machine said.
async fn readyz(State(service): State<Arc<Service>>) -> Response {
    let missing = service.readiness.missing().await;
    if missing.is_empty() {
        let (status, reason) = ("ready", None);
        return Json(Health { status, reason }).into_response();
    }
    let told = missing
        .iter()
        .map(|one| format!("{}: {}", one.part, one.reason));
    let health = Health {
        status: "not-ready",
        reason: Some(told.collect::<Vec<_>>().join("; ")),
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response()
}

/// The figures, as Prometheus reads them.
async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let Some(recorder) = RECORDER.get() else {
        return ProblemError(NO_ROUTE).into_response();
    };
    let backlog = tokio::time::timeout(PATIENCE, service.backlogs.latest()).await;
    if let Ok(Ok(backlog)) = backlog {
        metrics::gauge!("atropos_shreds_due").set(backlog.due as f64);
        metrics::gauge!("atropos_shred_attempts_max").set(f64::from(backlog.most_attempts));
    }
    let stock = service.atropos.sandbox().stock();
    metrics::gauge!("atropos_components_loaded").set(stock.loaded as f64);
    metrics::gauge!("atropos_components_loaded_bytes").set(stock.loaded_bytes as f64);
    metrics::gauge!("atropos_components_compiling").set(stock.compiling as f64);
    metrics::counter!("atropos_log_lines_lost_total").absolute(log::lost());
    let text = recorder.render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
