//! Connections: accepted, given deadlines, and let go.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config;

/// The most that a connection buffers, and so the most that a request's headers may have.
const BUFFER_BYTES: usize = 64 << 10;

/// Serves until `stop` resolves, then accepts nothing new and gives the requests under way time to
/// end. Whatever is left then is cut off; a delete goes on without its client.
pub(super) async fn run(
    router: Router,
    config: &config::Http,
    mut listener: TcpListener,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_buf_size(BUFFER_BYTES);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let (stream, _) = tokio::select! {
            () = &mut stop => break,
            // axum's accept waits out a lack of file descriptors instead of failing.
            accepted = Listener::accept(&mut listener) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
    drop(listener);
    let patience = Duration::from_millis(config.shutdown_timeout_ms);
    if tokio::time::timeout(patience, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "cut off after the shutdown timeout"
        );
    }
    connections.shutdown().await;
}
