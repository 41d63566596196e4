//! Clients that ask for deletes, each on a connection that it keeps, one request after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::stage::{Photo, Stage};

/// What the clients saw.
pub(crate) struct Seen {
    /// From the first request to the last answer.
    pub took: Duration,
    /// Of each request, in no particular order.
    pub latencies: Vec<Duration>,
}

/// Deletes the photos of these numbers, each of which must be there.
///
/// # Errors
/// A request was not answered with success.
pub(crate) async fn delete(
    address: SocketAddr,
    stage: Stage,
    numbers: std::ops::Range<u64>,
    clients: usize,
) -> Result<Seen> {
    let next = Arc::new(AtomicU64::new(numbers.start));
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(connect(address).await?);
    }
    let started = Instant::now();
    let mut running = JoinSet::new();
    for mut connection in connections {
        let (next, end) = (Arc::clone(&next), numbers.end);
        running.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= end {
                    return Ok(latencies);
                }
                let request = request(&stage.photo(nth))?;
                let asked = Instant::now();
                answered(&mut connection, request).await?;
                latencies.push(asked.elapsed());
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(client) = running.join_next().await {
        let client: Result<Vec<Duration>> = client?;
        latencies.extend(client?);
    }
    Ok(Seen {
        took: started.elapsed(),
        latencies,
    })
}

type Connection = SendRequest<Empty<Bytes>>;

async fn connect(address: SocketAddr) -> Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn request(photo: &Photo) -> Result<Request<Empty<Bytes>>> {
    let Photo {
        website,
        key,
        user,
        id,
    } = photo;
    let uri = format!("/api/4/UploadImage/DeleteUserPhoto?userId={user}&photoId={id}");
    Ok(Request::get(uri)
        .header("host", "localhost")
        .header("websiteId", *website)
        .header("webApiClientKey", key)
        .body(Empty::new())?)
}

async fn answered(connection: &mut Connection, request: Request<Empty<Bytes>>) -> Result<()> {
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}
