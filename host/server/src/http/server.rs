//! Connections: accepted, given deadlines, and let go.
//!
//! When all are taken, the connection that has waited longest for its client is let go to make room
//! for the next, or for a file that is read or written for another one. So a client that merely holds
//! connections, or begins requests without ending them, does not keep a health check out.
//!
//! **Invariant:** an answer after which the connection closes says so (`Connection: close`), so no
//! client sends its next request into a connection that is about to close.

use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use atropos::step;
use atropos_service::config;
use atropos_service::service::Descriptors;
use axum::Router;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::connections::{Cut, Dismissal, IdleConnections, Metered, RequestBody, Source};

/// The most that a connection buffers, and so the most that a request's headers may have.
const BUFFER_BYTES: usize = 64 << 10;

/// What a connection takes at most: what it has read of headers, a chunk of a download, what is written,
/// and its tasks. One that is idle takes about 16 KiB.
pub const CONNECTION_BYTES: u64 = 3 * BUFFER_BYTES as u64 + (32 << 10);

/// How much of an answer the kernel takes at most before it has sent it. The rest is with the server,
/// which sends no more of an object that is gone.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 512 << 10;

/// Serves until `stop` resolves, then accepts nothing new and gives the requests under way time to
/// end. Whatever is left then is cut off; a delete goes on without its client.
pub(super) async fn run(
    router: Router,
    config: &config::Http,
    descriptors: &Descriptors,
    mut listener: TcpListener,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(config.header_timeout_ms))
        .max_buf_size(BUFFER_BYTES);
    let graceful = GracefulShutdown::new();
    let idle = Arc::new(IdleConnections::default());
    let response_timeout = Duration::from_millis(config.response_timeout_ms);
    let mut connections = JoinSet::new();
    let cut = Arc::new(Cut::default());
    // Taken before the next connection is accepted, and kept by it.
    let mut descriptor = None;
    // A file waits for the descriptor of some connection.
    let mut wanted = false;
    let mut stop = pin!(stop);
    loop {
        step::pass_part("part.connections");
        descriptor = descriptor.or_else(|| descriptors.try_take());
        let full = descriptor.is_none() || connections.len() >= config.max_connections as usize;
        gauge(connections.len());
        let stream = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            () = idle.let_longest_go(), if full || wanted => {
                // It ends at once, and makes room for one.
                connections.join_next().await;
                wanted = false;
                continue;
            }
            () = descriptors.wanted(), if !wanted => {
                wanted = true;
                continue;
            }
            free = descriptors.take(), if descriptor.is_none() => {
                descriptor = Some(free);
                continue;
            }
            // axum's accept waits out a lack of file descriptors instead of failing.
            (stream, _) = Listener::accept(&mut listener), if !full => stream,
        };
        if let Err(error) = set_up(&stream) {
            tracing::debug!(%error, "cannot set the options of a connection");
        }
        let client = idle.connect();
        let router = TowerToHyperService::new(router.clone());
        let handled = Arc::clone(&client);
        let service = service_fn(move |request: Request<Incoming>| {
            let request = request.map(|body| RequestBody::new(body, &handled));
            let (client, answer) = (Arc::clone(&handled), router.call(request));
            async move {
                let Some(_handling) = client.handle() else {
                    return pending().await;
                };
                let mut answer = answer.await;
                if let Ok(answer) = &mut answer
                    && let Some(source) = answer.extensions_mut().remove::<Source>()
                {
                    client.send_from(source);
                }
                // hyper gives up a connection whose body it could not read to the end, and does not
                // always know that yet when it writes the headers.
                if let Ok(answer) = &mut answer
                    && client.has_body_left()
                {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                answer
            }
        });
        let stream = Metered::new(stream, Arc::clone(&client));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        let watched = cut.watch(&client);
        let descriptor = descriptor.take();
        connections.spawn(async move {
            let _descriptor = descriptor;
            let mut connection = pin!(connection);
            // Dropped before the connection, which it tells about.
            let _watched = watched;
            tokio::select! {
                ended = &mut connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                },
                why = client.dismissed(response_timeout) => {
                    let why = match why {
                        Dismissal::Room => "room",
                        Dismissal::Slow => "slow",
                        Dismissal::Erased => "erased",
                    };
                    tracing::debug!(why, "a connection was let go");
                    metrics::counter!("atropos_http_let_go_total", "why" => why).increment(1);
                }
            }
        });
    }
    drop(listener);
    let patience = Duration::from_millis(config.shutdown_timeout_ms);
    let stopped = tokio::time::timeout(patience, graceful.shutdown()).await;
    if stopped.is_err() {
        cut.begin();
    }
    connections.shutdown().await;
    if stopped.is_err() {
        cut.tell(config.shutdown_timeout_ms);
    }
}

/// Has the kernel send at once, and hold little that it has not sent: that can be sent still when the
/// connection has ended.
fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(())
}

fn gauge(connections: usize) {
    metrics::gauge!("atropos_http_connections").set(connections as f64);
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
            run(router, &config, &Descriptors::new(None), listener, stop).await;
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
