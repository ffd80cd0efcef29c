//! The client for other systems' HTTP: TLS by the public or a given authority, with our own certificate where a peer
//! wants one, connections kept for the next request, and a bound on everything. Owns the rules of asking; never follows a
//! redirect, never repeats a request by itself, never says an address, a header or a body in an error or a log. May
//! import nothing of ours but `domain`.
//!
//! Asking in clear (`http://`) is for this machine itself, unless [`Settings::plain`] says otherwise.

pub(crate) mod tls;

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use domain::UtcMillis;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

pub use tls::{Identity, Roots, TlsError};

/// Most headers of an answer.
const HEADERS_MAX: usize = 100;
/// Most bytes of an answer's head.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Longest wait that a peer may ask for, in milliseconds: a day.
const RETRY_AFTER_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// How to ask. `Settings::default()` is right for a server with a certificate of a public authority.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose certificates are trusted.
    pub roots: Roots,
    /// Our own certificate, for peers that ask for one.
    pub identity: Option<Identity>,
    /// From looking up the name to the connection, without TLS. 5 s.
    pub connect_within: Duration,
    /// From the begin to the head of the answer, with connecting and TLS. 15 s.
    pub answer_within: Duration,
    /// From the begin to the last byte. 30 s.
    pub whole_within: Duration,
    /// Longest body that is sent, in bytes. 4 MB; a longer one is refused before anything is sent.
    pub request_max_bytes: usize,
    /// Longest body that is read, in bytes. 4 MB; the connection of a longer one is closed.
    pub answer_max_bytes: usize,
    /// Idle connections that are kept for each host. 32.
    pub idle_max: usize,
    /// For how long. 30 s.
    pub idle_for: Duration,
    /// Whether asking in clear is allowed beyond this machine itself. No.
    pub plain: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            roots: Roots::Public,
            identity: None,
            connect_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(15),
            whole_within: Duration::from_secs(30),
            request_max_bytes: 4 * 1024 * 1024,
            answer_max_bytes: 4 * 1024 * 1024,
            idle_max: 32,
            idle_for: Duration::from_secs(30),
            plain: false,
        }
    }
}

/// One request. What it holds is never shown by `Debug`.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// `GET`.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// `POST` with a body of this type.
    pub fn post(url: Url, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, url).body(content_type, body)
    }

    /// `PUT` with a body of this type.
    pub fn put(url: Url, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PUT, url).body(content_type, body)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With a header whose value is a text.
    ///
    /// # Errors
    /// [`HttpError::BadRequest`] for a text that no header can hold.
    pub fn text_header(self, name: HeaderName, value: &str) -> Result<Self, HttpError> {
        Ok(self.header(name, HeaderValue::from_str(value).map_err(|_| HttpError::BadRequest)?))
    }

    /// With `Authorization`, marked as secret.
    ///
    /// # Errors
    /// [`HttpError::BadRequest`] for a text that no header can hold.
    pub fn authorization(self, value: &str) -> Result<Self, HttpError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| HttpError::BadRequest)?;
        value.set_sensitive(true);
        Ok(self.header(hyper::header::AUTHORIZATION, value))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What came back. Its body and headers are never shown by `Debug`.
#[derive(Clone)]
pub struct Answer {
    /// The status, for example 200.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Answer {
    /// Whether the status is of the 2xx.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// A header as text, where it is one.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without parameters, in lower case; empty if there is none.
    pub fn media_type(&self) -> String {
        let whole = self.header(&CONTENT_TYPE).unwrap_or_default();
        whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// How long the peer asks to wait (`Retry-After`: seconds, or a date), at most a day. `None` without a readable one.
    pub fn retry_after(&self, now: UtcMillis) -> Option<Duration> {
        let text = self.header(&RETRY_AFTER)?.trim();
        let ms = match text.parse::<u64>() {
            Ok(seconds) => seconds.saturating_mul(1000),
            Err(_) => {
                let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
                u64::try_from(UtcMillis(date.timestamp_millis()).since_ms(now)).unwrap_or(0)
            }
        };
        Some(Duration::from_millis(ms.min(RETRY_AFTER_MAX_MS)))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Why there is no answer. Says nothing of what was asked, and of where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The address or a header is not one.
    #[error("the request cannot be written: its address or one of its headers is not valid")]
    BadRequest,
    /// In clear, beyond this machine.
    #[error("asking in clear is for this machine itself only; use https, or allow it for this system")]
    Plain,
    /// The body is too long to send.
    #[error("the request is longer than allowed")]
    RequestTooLong,
    /// No connection: the name is not known, nobody listens, no way there.
    #[error("no connection: the name is not known, nobody listens, or there is no way there")]
    Unreachable,
    /// The certificate is not trusted or has expired, or the peer wants another one of ours.
    #[error("no protected connection: a certificate is not trusted, has expired or is missing")]
    Tls,
    /// Not in time.
    #[error("no answer in time")]
    Late,
    /// The connection broke, or what came is no HTTP.
    #[error("the connection broke, or what came back is not HTTP")]
    Broken,
    /// The answer is too long.
    #[error("the answer is longer than allowed")]
    AnswerTooLong,
}

impl HttpError {
    /// Whether the peer may have carried out the request: the answer is what is missing.
    pub const fn may_be_done(self) -> bool {
        matches!(self, Self::Late | Self::Broken | Self::AnswerTooLong)
    }
}

/// Asks other systems. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    settings: Settings,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Reads the certificates; connects to nothing yet.
    ///
    /// # Errors
    /// [`TlsError`]: a certificate or key that does not read.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let tls = tls::configuration(&settings.roots, settings.identity.as_ref())?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(settings.connect_within));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_for)
            .pool_max_idle_per_host(settings.idle_max)
            .http1_max_headers(HEADERS_MAX)
            .http1_max_buf_size(HEAD_MAX_BYTES)
            // Only what was never sent is sent again.
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self { pool, settings })
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`HttpError`]; an answer of whatever status is an [`Answer`].
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let begun = Instant::now();
        let asked = self.write(request)?;
        let head = timeout_at(begun + self.settings.answer_within, self.pool.request(asked));
        let answer = head.await.map_err(|_| HttpError::Late)?.map_err(|error| fault(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.settings.answer_max_bytes).collect();
        let body = timeout_at(begun + self.settings.whole_within, body).await.map_err(|_| HttpError::Late)?;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => HttpError::AnswerTooLong,
            None => HttpError::Broken,
        })?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
    }

    fn write(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
        let Request { method, url, headers, body } = request;
        if body.len() > self.settings.request_max_bytes {
            return Err(HttpError::RequestTooLong);
        }
        if !may_ask(&url, self.settings.plain)? {
            return Err(HttpError::Plain);
        }
        let uri: Uri = url.as_str().parse().map_err(|_| HttpError::BadRequest)?;
        let mut asked = hyper::Request::new(Full::new(body));
        *asked.method_mut() = method;
        *asked.uri_mut() = uri;
        *asked.headers_mut() = headers;
        asked.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static("tapward"));
        Ok(asked)
    }
}

/// Whether an address may be asked: over TLS, or in clear on this machine itself or where that is allowed. Also for
/// checking a configuration.
///
/// # Errors
/// [`HttpError::BadRequest`] for an address that is not of the web.
pub fn may_ask(url: &Url, plain: bool) -> Result<bool, HttpError> {
    match url.scheme() {
        "https" if url.has_host() => Ok(true),
        "http" => Ok(plain || is_here(url)),
        _ => Err(HttpError::BadRequest),
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// What kind of fault it is, from the errors that it is made of.
fn fault(error: &hyper_util::client::legacy::Error) -> HttpError {
    let (mut next, mut late) = (error.source(), false);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return HttpError::Tls;
        }
        // The source of an error of input and output is that of what it holds, which would be passed over.
        let io = error.downcast_ref::<io::Error>();
        late |= io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        next = match io.and_then(io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    match (error.is_connect(), late) {
        (true, _) => HttpError::Unreachable,
        (false, true) => HttpError::Late,
        (false, false) => HttpError::Broken,
    }
}

#[cfg(test)]
mod tests;
