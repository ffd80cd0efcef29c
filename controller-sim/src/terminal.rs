//! A card terminal service on the clinic's network, as `docs/till-terminals.md` says: idempotent by the payment's id, with
//! faults on demand. Also counts what it has really taken, so that a test can compare the books with the money.
//!
//! Owns the pretended money of cards; never part of a real installation's work.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest body that it takes.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// Most payments that it remembers; a further one is answered with 503.
const PAYMENTS_MAX: usize = 100_000;
/// ISO 4217: no currency.
const NO_CURRENCY: &str = "XXX";

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TerminalFaults {
    /// The card is declined.
    pub declines: bool,
    /// The patient takes their time: it stays under way until this is taken away.
    pub slow: bool,
    /// It takes the money and closes the connection without an answer.
    pub dies_after_taking: bool,
    /// It takes no connection at all.
    pub dead: bool,
    /// Each answer comes twice on the connection.
    pub answers_twice: bool,
    /// It waits so long before each answer.
    pub delay: Option<Duration>,
    /// It says that it took another amount, in minor units more.
    pub takes_more: i64,
    /// It answers with something that is no answer.
    pub babbles: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    kind: String,
    currency: String,
    minor: i64,
    /// The payment whose money goes back.
    of: Option<String>,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    UnderWay,
    Done(String),
    Failed(&'static str),
}

#[derive(Debug, Default)]
struct Inner {
    faults: TerminalFaults,
    known: BTreeMap<String, Known>,
    /// By currency: taken less given back.
    taken: BTreeMap<String, i64>,
    slips: u64,
    asked: u64,
}

/// The service, and the hands that change it.
#[derive(Debug, Clone)]
pub struct TerminalSim {
    inner: Arc<Mutex<Inner>>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for TerminalSim {
    fn drop(&mut self) {
        // Two hold it: this one and the task that serves.
        if Arc::strong_count(&self.inner) <= 2 {
            self.stop.cancel();
        }
    }
}

impl TerminalSim {
    /// Serves on a free port of this machine; callers must send this token.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start(token: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (inner, stop) = (Arc::<Mutex<Inner>>::default(), CancellationToken::new());
        let sim = Self { inner: Arc::clone(&inner), address, stop: stop.clone() };
        let token: Arc<str> = token.into();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((socket, _)) = accepted else { continue };
                if lock(&inner).faults.dead {
                    continue;
                }
                let (inner, token, stop) = (Arc::clone(&inner), Arc::clone(&token), stop.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(&inner, &token, request));
                    let serving =
                        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    tokio::select! {
                        _ = serving => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        Ok(sim)
    }

    /// Its address, for the configuration: `http://127.0.0.1:…/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: TerminalFaults) {
        lock(&self.inner).faults = faults;
    }

    /// What it has taken less what it has given back, in minor units.
    pub fn taken(&self, currency: &str) -> i64 {
        lock(&self.inner).taken.get(currency).copied().unwrap_or_default()
    }

    /// How often it was asked for money.
    pub fn asked(&self) -> u64 {
        lock(&self.inner).asked
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes or gives the money of something that is under way.
fn finish(inner: &mut Inner, id: &str) {
    let faults = inner.faults;
    let Some(known) = inner.known.get_mut(id).filter(|known| known.state == State::UnderWay) else { return };
    if faults.declines {
        known.state = State::Failed("declined");
        return;
    }
    inner.slips += 1;
    known.state = State::Done(format!("slip-{:06}", inner.slips));
    let minor = if known.kind == "refund" { -known.minor } else { known.minor };
    *inner.taken.entry(known.currency.clone()).or_default() += minor;
}

/// The answer about an id.
fn said(inner: &Inner, id: &str) -> (StatusCode, String) {
    let Some(known) = inner.known.get(id) else {
        return (StatusCode::NOT_FOUND, r#"{"state":"unknown"}"#.to_owned());
    };
    let head = format!(
        r#""id":"{id}","minor":{},"currency":"{}""#,
        known.minor.saturating_add(inner.faults.takes_more),
        known.currency
    );
    let body = match &known.state {
        State::UnderWay => format!(r#"{{{head},"state":"under_way"}}"#),
        State::Done(slip) => format!(r#"{{{head},"state":"done","external":"{slip}"}}"#),
        State::Failed(fault) => format!(r#"{{{head},"state":"failed","fault":"{fault}"}}"#),
    };
    (StatusCode::OK, body)
}

/// A field of a flat JSON object, as this service is asked: texts without escapes, and whole numbers.
fn field<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let after = body.split_once(&format!("\"{name}\":"))?.1.trim_start();
    match after.strip_prefix('"') {
        Some(text) => text.split_once('"').map(|(value, _)| value),
        None => after.split([',', '}']).next().map(str::trim),
    }
}

fn put(inner: &mut Inner, id: &str, body: &str) -> (StatusCode, String) {
    let bad = || (StatusCode::BAD_REQUEST, r#"{"state":"bad_request"}"#.to_owned());
    let (Some(kind), Some(currency)) = (field(body, "kind"), field(body, "currency")) else { return bad() };
    let Some(minor) = field(body, "minor").and_then(|text| text.parse::<i64>().ok()).filter(|minor| *minor > 0) else {
        return bad();
    };
    if !matches!(kind, "payment" | "refund") {
        return bad();
    }
    if let Some(known) = inner.known.get(id) {
        // A cancelled id that was never asked has no amount.
        let is_same = known.minor == 0 || (known.kind == kind && known.currency == currency && known.minor == minor);
        if !is_same {
            return (StatusCode::CONFLICT, r#"{"state":"other_amount"}"#.to_owned());
        }
        return said(inner, id);
    }
    if inner.known.len() >= PAYMENTS_MAX {
        return (StatusCode::SERVICE_UNAVAILABLE, r#"{"state":"full"}"#.to_owned());
    }
    inner.asked += 1;
    let of = field(body, "of").map(str::to_owned);
    // Money goes back to the card that paid, and no more than it paid.
    let is_there = kind == "payment" || of.as_ref().is_some_and(|of| left_of(inner, of, currency) >= minor);
    let state = if is_there { State::UnderWay } else { State::Failed("declined") };
    let known = Known { kind: kind.to_owned(), currency: currency.to_owned(), minor, of, state };
    inner.known.insert(id.to_owned(), known);
    if !inner.faults.slow {
        finish(inner, id);
    }
    said(inner, id)
}

/// What was taken under an id and has not gone back.
fn left_of(inner: &Inner, id: &str, currency: &str) -> i64 {
    let is_done = |known: &&Known| known.currency == currency && matches!(known.state, State::Done(_));
    let taken = inner.known.get(id).filter(is_done).filter(|known| known.kind == "payment").map_or(0, |it| it.minor);
    let back = inner.known.values().filter(|known| known.of.as_deref() == Some(id));
    taken - back.filter(|known| !matches!(known.state, State::Failed(_))).map(|known| known.minor).sum::<i64>()
}

fn cancel(inner: &mut Inner, id: &str) -> (StatusCode, String) {
    // Broken off before it was asked for: it has no amount, and by ISO 4217 no currency.
    let nothing =
        Known { kind: "payment".into(), currency: NO_CURRENCY.into(), minor: 0, of: None, state: State::UnderWay };
    let known = inner.known.entry(id.to_owned()).or_insert(nothing);
    if known.state == State::UnderWay {
        known.state = State::Failed("cancelled");
    }
    said(inner, id)
}

async fn answer(
    inner: &Arc<Mutex<Inner>>,
    token: &str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let faults = lock(inner).faults;
    if faults.dead {
        return Err(std::io::Error::other("the terminal is dead"));
    }
    let is_known =
        head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) == Some(&*format!("Bearer {token}"));
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let id = head.uri.path().strip_prefix("/payments/").map(str::to_owned);
    let (status, text) = match id {
        _ if !is_known => (StatusCode::UNAUTHORIZED, r#"{"state":"unauthorised"}"#.to_owned()),
        Some(id) if !id.is_empty() && !id.contains('/') => {
            let mut inner = lock(inner);
            match head.method {
                Method::PUT => put(&mut inner, &id, &body),
                Method::DELETE => cancel(&mut inner, &id),
                Method::GET => {
                    if !faults.slow {
                        finish(&mut inner, &id);
                    }
                    said(&inner, &id)
                }
                _ => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
            }
        }
        _ => (StatusCode::NOT_FOUND, r#"{"state":"no_such_path"}"#.to_owned()),
    };
    if let Some(delay) = faults.delay {
        tokio::time::sleep(delay).await;
    }
    if faults.dies_after_taking && head.method == Method::PUT {
        return Err(std::io::Error::other("the terminal died"));
    }
    let text = if faults.answers_twice { format!("{text}{text}") } else { text };
    let text = if faults.babbles { "<html>busy</html>".to_owned() } else { text };
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    Ok(response.body(Full::new(Bytes::from(text))).unwrap_or_default())
}
