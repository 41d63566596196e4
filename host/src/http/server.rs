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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    const REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";

    /// Serves one route that takes 200 ms, with 50 ms for headers.
    async fn start(shutdown_timeout_ms: u64) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let slow = async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        };
        let router = Router::new().route("/slow", get(slow));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let config = config::Http {
            header_timeout_ms: 50,
            shutdown_timeout_ms,
            ..config::Http::default()
        };
        let server = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            run(router, &config, listener, stop).await;
        });
        (address, stop, server)
    }

    async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        client
    }

    async fn answer(mut client: TcpStream) -> String {
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_does_not_finish_its_headers_is_let_go() {
        let (address, _stop, _server) = start(1000).await;
        let stalled = sent(address, b"GET /slow HTTP/1.1\r\nHost:").await;
        let left = tokio::time::timeout(Duration::from_secs(5), answer(stalled)).await;
        assert!(!left.unwrap().contains("done"));
    }

    #[tokio::test]
    async fn a_stop_lets_requests_under_way_end_and_accepts_no_others() {
        let (address, stop, server) = start(5000).await;
        let client = sent(address, REQUEST).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        stop.send(()).unwrap();
        assert!(answer(client).await.ends_with("done"));
        server.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_past_its_timeout() {
        let (address, stop, server) = start(20).await;
        let client = sent(address, REQUEST).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        stop.send(()).unwrap();
        server.await.unwrap();
        assert_eq!(answer(client).await, "");
    }
}
