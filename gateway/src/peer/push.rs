//! Where devices push their events to by HTTP: one listener a gateway, a path for each peer, `/push/PEER`.
//!
//! Owns the listener and the table of paths. Never looks into a body: the peer's own task reads it and answers, and the
//! answer is what the device gets. Nothing is believed that does not come from the peer's own address.
//!
//! | bound | | when reached |
//! |---|---|---|
//! | connections ([`CONNECTIONS_MAX`]) | 256, [`CONNECTIONS_OF_ONE`] from one address, none from strangers | closed at once |
//! | head of a request | 16 KB, [`HEAD_TIMEOUT`] | cut off |
//! | body ([`BODY_MAX_BYTES`]) | 1 MB, [`BODY_TIMEOUT`] | 413, or cut off |
//! | waiting for a peer's task ([`QUEUE_MAX`]) | 32 pushes | 503: devices keep what was not taken and send it again |
//! | an answer ([`ANSWER_TIMEOUT`]) | 10 s | 503 |
//! | a connection without a request | [`HEAD_TIMEOUT`] | closed |

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::Reason;
use domain::ids::LineId;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::line::{LineFact, Teller};
use crate::settings::PushListener;

/// Connections at once: each device keeps one or two.
pub const CONNECTIONS_MAX: usize = 256;
/// Connections from one address: a device opens a new one while the old one is half dead.
pub const CONNECTIONS_OF_ONE: usize = 16;
/// Largest body: an event is 2 KB, a picture beside it up to some hundred.
pub const BODY_MAX_BYTES: usize = 1 << 20;
/// Pushes that wait for one peer's task.
pub const QUEUE_MAX: usize = 32;
/// From the connection, or the last reply, to the end of a head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// For the whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// For the peer's task to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Strangers are told of once in this time: the first of them says enough.
const STRANGERS_EVERY: Duration = Duration::from_secs(600);
/// Before a listener that could not start is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Path before the peer's name.
const PREFIX: &str = "/push/";

/// The path under which a peer pushes.
pub fn path_of(peer: &LineId) -> String {
    // Every character that a name may have is a plain one in a path.
    format!("{PREFIX}{peer}")
}

/// One push, to be answered.
#[derive(Debug)]
pub struct Pushed {
    /// When its head had come.
    pub at: Instant,
    /// Its `Content-Type`.
    pub kind: String,
    /// Its query, without the question mark; empty if it has none.
    pub query: String,
    /// Its body; for GET empty.
    pub body: Bytes,
    /// Takes the answer; dropped, the device gets 503.
    pub answer: oneshot::Sender<PushAnswer>,
}

/// What the device gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushAnswer {
    /// Status.
    pub status: u16,
    /// Media type of the body.
    pub kind: &'static str,
    /// Body.
    pub body: Vec<u8>,
}

impl PushAnswer {
    /// Taken.
    pub const fn taken() -> Self {
        Self { status: 200, kind: "text/plain", body: Vec::new() }
    }
}

/// Who listens to whose pushes.
#[derive(Debug, Default)]
pub struct PushBoard(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    peers: HashMap<LineId, Entry>,
    next: u64,
    /// How devices reach the listener, `http://host:port`; `None` while there is none.
    address: Option<String>,
    connections: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    from: Vec<IpAddr>,
    queue: mpsc::Sender<Pushed>,
}

impl PushBoard {
    /// Takes pushes of a peer that come from one of these addresses, until the result is dropped. Who registers later
    /// replaces who came before.
    pub fn register(self: &Arc<Self>, peer: &LineId, from: Vec<IpAddr>) -> Pushes {
        let (queue, pushes) = mpsc::channel(QUEUE_MAX);
        let mut table = self.table();
        table.next += 1;
        let number = table.next;
        table.peers.insert(peer.clone(), Entry { number, from, queue });
        Pushes { board: Arc::clone(self), peer: peer.clone(), number, pushes }
    }

    /// How devices reach the listener, `http://host:port`; `None` if the settings have none.
    pub fn address(&self) -> Option<String> {
        self.table().address.clone()
    }

    /// Notes how devices reach the listener.
    pub fn set_address(&self, address: Option<String>) {
        self.table().address = address;
    }

    /// Whether a connection from there may be kept; counts it then, until [`PushBoard::leave`].
    fn enter(&self, from: IpAddr) -> Result<(), Turned> {
        let mut table = self.table();
        if !table.peers.values().any(|entry| entry.from.contains(&from)) {
            return Err(Turned::Stranger);
        }
        let count = table.connections.entry(from).or_default();
        if *count >= CONNECTIONS_OF_ONE {
            return Err(Turned::TooMany);
        }
        *count += 1;
        Ok(())
    }

    fn leave(&self, from: IpAddr) {
        let mut table = self.table();
        if let Some(count) = table.connections.get_mut(&from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.connections.remove(&from);
            }
        }
    }

    // A panic elsewhere cannot leave the table half changed: each change is one call.
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &str, from: IpAddr) -> Found {
        let peer = path.strip_prefix(PREFIX).and_then(|peer| LineId::new(peer).ok());
        let table = self.table();
        match peer.and_then(|peer| table.peers.get(&peer)) {
            None => Found::Nobody,
            Some(entry) if entry.from.contains(&from.to_canonical()) => Found::Queue(entry.queue.clone()),
            Some(_) => Found::Stranger,
        }
    }
}

enum Turned {
    Stranger,
    TooMany,
}

enum Found {
    Queue(mpsc::Sender<Pushed>),
    Nobody,
    Stranger,
}

/// The pushes of one peer.
#[derive(Debug)]
pub struct Pushes {
    board: Arc<PushBoard>,
    peer: LineId,
    number: u64,
    pushes: mpsc::Receiver<Pushed>,
}

impl Pushes {
    /// The next push. Cancel-safe.
    pub async fn next(&mut self) -> Option<Pushed> {
        self.pushes.recv().await
    }

    /// From which addresses it may come from now on.
    pub fn set_addresses(&self, from: Vec<IpAddr>) {
        if let Some(entry) = self.board.table().peers.get_mut(&self.peer).filter(|entry| entry.number == self.number) {
            entry.from = from;
        }
    }
}

impl Drop for Pushes {
    fn drop(&mut self) {
        let mut table = self.board.table();
        if table.peers.get(&self.peer).is_some_and(|entry| entry.number == self.number) {
            table.peers.remove(&self.peer);
        }
    }
}

/// Listens until cancelled. A place that is taken is tried again, and said once.
pub async fn listen(settings: PushListener, teller: Teller, board: Arc<PushBoard>, cancel: CancellationToken) {
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(settings.listen).await {
            Ok(listener) => break listener,
            Err(error) => {
                if !told {
                    told = true;
                    let detail = format!("devices cannot push: {} cannot be listened on: {error}", settings.listen);
                    tracing::error!(%detail, "the push listener does not start");
                    teller.tell(LineFact::Notice { reason: Reason::LineLost, detail }).await;
                }
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sleep(RETRY) => {}
        }
    };
    serve(listener, teller, board, cancel).await;
}

/// Serves a listener until cancelled.
pub async fn serve(listener: TcpListener, teller: Teller, board: Arc<PushBoard>, cancel: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tasks = TaskTracker::new();
    let door = Arc::new(Doorkeeper { board, teller, told: Mutex::new(None) });
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, from)) => {
                let from = from.ip().to_canonical();
                match door.board.enter(from) {
                    Ok(()) => {}
                    Err(Turned::Stranger) => {
                        door.stranger(format!("{from} is the address of no peer that pushes")).await;
                        continue;
                    }
                    // Its other connections are at work; it comes again.
                    Err(Turned::TooMany) => continue,
                }
                let (door, cancel) = (Arc::clone(&door), cancel.clone());
                tasks.spawn(async move {
                    let _inside = Inside { board: Arc::clone(&door.board), from };
                    connection(socket, from, door, cancel).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others must close some first.
                tracing::warn!(%error, "a push connection cannot be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    tasks.close();
    let _ = timeout(Duration::from_secs(1), tasks.wait()).await;
}

/// A counted connection.
struct Inside {
    board: Arc<PushBoard>,
    from: IpAddr,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.board.leave(self.from);
    }
}

async fn connection(socket: TcpStream, from: IpAddr, door: Arc<Doorkeeper>, cancel: CancellationToken) {
    let _ = socket.set_nodelay(true);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(16 * 1024).keep_alive(true);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request, from).await) }
    });
    let serving = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(serving);
    tokio::select! {
        // What breaks a connection is the device's affair; it comes again.
        _ = serving.as_mut() => return,
        () = cancel.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

struct Doorkeeper {
    board: Arc<PushBoard>,
    teller: Teller,
    told: Mutex<Option<Instant>>,
}

impl Doorkeeper {
    async fn answer(&self, request: Request<Incoming>, from: IpAddr) -> Response<Full<Bytes>> {
        let at = Instant::now();
        let queue = match self.board.find(request.uri().path(), from) {
            Found::Queue(queue) => queue,
            Found::Nobody => {
                self.stranger(format!("{from} pushed to a path of no peer")).await;
                return plain(StatusCode::NOT_FOUND);
            }
            Found::Stranger => {
                let detail = format!("{from} pushed as {} and is not its address", clean(request.uri().path()));
                self.stranger(detail).await;
                return plain(StatusCode::FORBIDDEN);
            }
        };
        if !matches!(*request.method(), Method::POST | Method::PUT | Method::GET) {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        // What is announced as too long is not waited for.
        if request.body().size_hint().lower() > BODY_MAX_BYTES as u64 {
            return plain(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = match timeout(BODY_TIMEOUT, Limited::new(request.into_body(), BODY_MAX_BYTES).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return plain(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(_)) => return plain(StatusCode::BAD_REQUEST),
            Err(_) => return plain(StatusCode::REQUEST_TIMEOUT),
        };
        let (answer, answered) = oneshot::channel();
        if queue.try_send(Pushed { at, kind, query, body, answer }).is_err() {
            return plain(StatusCode::SERVICE_UNAVAILABLE);
        }
        match timeout(ANSWER_TIMEOUT, answered).await {
            Ok(Ok(answer)) => {
                let mut response = Response::new(Full::new(Bytes::from(answer.body)));
                *response.status_mut() =
                    StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.kind));
                response
            }
            _ => plain(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    async fn stranger(&self, detail: String) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|at| at.elapsed() < STRANGERS_EVERY) {
                return;
            }
            *told = Some(Instant::now());
        }
        tracing::warn!(%detail, "a push was refused");
        self.teller.tell(LineFact::Notice { reason: Reason::PeerRefused, detail }).await;
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A path from outside, for an alarm.
fn clean(path: &str) -> String {
    path.chars().filter(|c| c.is_ascii_alphanumeric() || "._:/-".contains(*c)).take(80).collect()
}

#[cfg(test)]
mod tests;
