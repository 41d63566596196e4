use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures_util::FutureExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::sleep;

use super::*;

impl metered::Reset for DuplexStream {
    fn reset_on_drop(&self) -> std::io::Result<()> {
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn is_let_go(connection: &Connection) -> bool {
    connection.let_go.notified().now_or_never().is_some()
}

/// Which of the connections are let go, one after the other, as soon as each may be.
async fn order<const N: usize>(connections: [&Connection; N]) -> [usize; N] {
    let idle = Arc::clone(&connections[0].idle);
    let mut order = [0; N];
    for place in &mut order {
        idle.let_longest_go().await;
        let gone = connections.iter().position(|one| is_let_go(one));
        *place = gone.expect("one of them");
    }
    order
}

/// A body of which nothing comes but what is sent.
#[derive(Clone, Default)]
struct Chunks(Arc<Mutex<VecDeque<Bytes>>>);

impl Chunks {
    fn send(&self, chunk: &'static [u8]) {
        self.0.lock().push_back(Bytes::from_static(chunk));
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.0.lock().pop_front();
        chunk.map_or(Poll::Pending, |chunk| {
            Poll::Ready(Some(Ok(Frame::data(chunk))))
        })
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Whether a read of the body finds something.
fn finds(body: &mut RequestBody<Chunks>) -> bool {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    Pin::new(body).poll_frame(&mut cx).is_ready()
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_has_waited_longest_goes_first_and_not_before_its_time() {
    let idle = Arc::new(IdleConnections::default());
    let [first, second, third] = [idle.connect(), idle.connect(), idle.connect()];
    let started = Instant::now();
    sleep(SHORTEST_WAIT / 2).await;
    drop(first.handle());
    idle.let_longest_go().await;
    assert_eq!(started.elapsed(), SHORTEST_WAIT);
    let let_go = [&first, &second, &third].map(|one| is_let_go(one));
    assert_eq!(let_go, [false, true, false]);
    assert!(second.handle().is_none(), "it was let go");
    assert_eq!(order([&first, &third]).await, [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn no_connection_goes_whose_request_is_worked_on() {
    let idle = Arc::new(IdleConnections::default());
    let (busy, left) = (idle.connect(), idle.connect());
    let handling = busy.handle().expect("it was not let go");
    drop(left);
    let none = tokio::time::timeout(HOUR, idle.let_longest_go()).await;
    assert!(none.is_err());
    drop(handling);
    idle.let_longest_go().await;
    assert!(is_let_go(&busy));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_handler_awaits_the_body_waits_until_more_comes() {
    let idle = Arc::new(IdleConnections::default());
    let connection = idle.connect();
    let handling = connection.handle().expect("it was not let go");
    let sent = Chunks::default();
    let mut body = RequestBody::new(sent.clone(), &connection);
    assert!(!finds(&mut body));
    sent.send(b"more");
    assert!(finds(&mut body));
    let none = tokio::time::timeout(HOUR, idle.let_longest_go()).await;
    assert!(none.is_err(), "what came is worked on");
    assert!(!finds(&mut body));
    assert!(!finds(&mut body));
    idle.let_longest_go().await;
    assert!(is_let_go(&connection));
    // What comes too late is not worked on.
    sent.send(b"late");
    sent.send(b"later");
    assert!(!finds(&mut body));
    assert!(!finds(&mut body));
    drop(body);
    drop(handling);
    assert!(idle.waiting.lock().is_empty(), "it does not wait again");
    assert!(connection.handle().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_without_the_rest_of_the_body_works() {
    let idle = Arc::new(IdleConnections::default());
    let connection = idle.connect();
    let handling = connection.handle().expect("it was not let go");
    let mut body = RequestBody::new(Chunks::default(), &connection);
    assert!(!finds(&mut body));
    drop(body);
    let none = tokio::time::timeout(HOUR, idle.let_longest_go()).await;
    assert!(none.is_err());
    drop(handling);
    idle.let_longest_go().await;
    assert!(is_let_go(&connection));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_server_takes_does_not_count_as_waiting() {
    let idle = Arc::new(IdleConnections::default());
    let [slow_disk, waits] = [idle.connect(), idle.connect()];
    let handlings = [&slow_disk, &waits].map(|one| one.handle().expect("it was not let go"));
    let sent = Chunks::default();
    let mut bodies = [&slow_disk, &waits].map(|one| RequestBody::new(sent.clone(), one));
    assert!(!finds(&mut bodies[0]));
    sleep(SECOND).await;
    sent.send(b"bytes");
    assert!(finds(&mut bodies[0]));
    sleep(HOUR).await;
    assert!(!finds(&mut bodies[1]));
    sleep(2 * SECOND).await;
    assert!(!finds(&mut bodies[0]));
    assert_eq!(order([&slow_disk, &waits]).await, [1, 0]);
    drop(handlings);
}

/// Sends and reads so many bytes at a time, for a while.
async fn exchange(connection: Arc<Connection>, bytes: usize, pause: Duration) {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    let mut far = Metered::new(far, connection);
    let mut buffer = vec![0; bytes];
    let started = Instant::now();
    while started.elapsed() < 60 * SECOND {
        sleep(pause).await;
        near.write_all(&buffer).await.expect("room");
        far.read_exact(&mut buffer).await.expect("bytes");
        sleep(pause).await;
        far.write_all(&buffer).await.expect("room");
        near.read_exact(&mut buffer).await.expect("bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_at_a_steady_rate_keep_a_place_and_a_byte_now_and_then_does_not() {
    let often = SHORTEST_WAIT - Duration::from_millis(1);
    let enough = MIN_BYTES_PER_SECOND as usize / 10 + 1;
    // Headers and answers in the first round, bodies in the second.
    for awaits_body in [false, true] {
        let idle = Arc::new(IdleConnections::default());
        let [steady, drips] = [idle.connect(), idle.connect()];
        sleep(SECOND).await;
        let silent = idle.connect();
        let all = [&steady, &drips, &silent];
        let handlings = all.map(|one| awaits_body.then(|| one.handle()));
        let mut bodies = all.map(|one| RequestBody::new(Chunks::default(), one));
        if awaits_body {
            assert!(!bodies.iter_mut().any(finds));
        }
        tokio::join!(
            exchange(Arc::clone(&steady), enough, often),
            exchange(Arc::clone(&drips), 1, often),
        );
        // Those that wait for a body began at the same time.
        let others = if awaits_body { [2, 1] } else { [1, 2] };
        assert_eq!(
            order(all.map(|one| &**one)).await,
            [others[0], others[1], 0],
            "awaits a body: {awaits_body}"
        );
        drop((bodies, handlings));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_byte_by_byte_has_waited_since_it_began() {
    let idle = Arc::new(IdleConnections::default());
    let [drips, silent] = [idle.connect(), idle.connect()];
    let handlings = [&drips, &silent].map(|one| one.handle().expect("it was not let go"));
    let sent = Chunks::default();
    let mut bodies = [&drips, &silent].map(|one| RequestBody::new(sent.clone(), one));
    assert!(!finds(&mut bodies[0]));
    sleep(SECOND).await;
    assert!(!finds(&mut bodies[1]));
    for _ in 0..600 {
        sleep(SHORTEST_WAIT - Duration::from_millis(1)).await;
        drips.progress(1);
        sent.send(b"x");
        assert!(finds(&mut bodies[0]));
        assert!(!finds(&mut bodies[0]));
    }
    assert_eq!(order([&drips, &silent]).await, [0, 1]);
    drop((bodies, handlings));
}

#[tokio::test(start_paused = true)]
async fn bytes_earn_no_time_ahead() {
    let idle = Arc::new(IdleConnections::default());
    let much = idle.connect();
    sleep(SECOND).await;
    much.progress(1 << 30);
    sleep(SECOND).await;
    let late = idle.connect();
    assert_eq!(order([&much, &late]).await, [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_its_time_however_it_is_read_and_a_body_does_not_run_out_of_it() {
    let idle = Arc::new(IdleConnections::default());
    let connection = idle.connect();
    let started = Instant::now();
    let is_slow = async || matches!(connection.dismissed(HOUR).await, Dismissal::Slow);
    let handling = connection.handle().expect("it was not let go");
    let mut body = RequestBody::new(Chunks::default(), &connection);
    assert!(!finds(&mut body));
    let uploading = tokio::time::timeout(10 * HOUR, is_slow()).await;
    assert!(uploading.is_err());
    drop(handling);
    let reading = exchange(Arc::clone(&connection), 1 << 16, SECOND);
    let (slow, ()) = tokio::join!(is_slow(), reading);
    assert!(slow);
    assert_eq!(started.elapsed(), 11 * HOUR);
    assert!(connection.handle().is_none(), "it ends");
    assert!(idle.waiting.lock().is_empty());
}
