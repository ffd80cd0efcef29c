//! A small HTTP client for devices and servers on the clinic's network.
//!
//! Owns one kept connection to one origin, digest authentication with its nonce, and the limits: time for each step, size
//! of what is read. Never follows a redirect (a device has no business sending a password elsewhere), never uses a
//! proxy, never retries a call that may have been carried out. May import `wire::isapi::digest`, `settings::Password`.
//!
//! A wrong password is tried once and then not again for [`WRONG_PASSWORD_WAIT`]: devices lock the account after a few
//! failures, and everybody who uses it with it.
//!
//! ```text
//! let mut client = HttpClient::new("http://192.0.2.64", &Trust::Nobody)?.with_login("admin", password);
//! let reply = client.send(&Call::get("/ISAPI/System/deviceInfo")).await?;
//! ```

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderName, HeaderValue, USER_AGENT, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use wire::isapi::digest::{Challenge, Login};

use crate::settings::Password;

/// Connecting, with TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A call from its beginning to the end of its reply, unless it says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest reply unless the call says otherwise.
pub const REPLY_MAX_BYTES: usize = 1 << 20;
/// Headers of a reply: count and bytes.
const HEADERS_MAX: usize = 64;
const HEADERS_MAX_BYTES: usize = 16 * 1024;
/// Fresh nonces that one call may try: a server under load may call the first one stale again.
const NONCES_MAX: u32 = 3;
/// How long a password that was refused is not tried again: longer than the usual window in which devices count, so that
/// the account is never locked by us.
pub const WRONG_PASSWORD_WAIT: Duration = Duration::from_secs(600);

/// Why a call has no reply. Says nothing of what was sent or received.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The address is not `http://host[:port]` or `https://host[:port]`.
    #[error("the address is not usable: {0}")]
    Url(&'static str),
    /// No connection.
    #[error("no connection to {to}: {why}")]
    Connect {
        /// Host and port.
        to: String,
        /// What the system said.
        why: String,
    },
    /// The other side is not who it should be, or cannot speak TLS.
    #[error("no trusted connection to {to}: {why}")]
    Tls {
        /// Host and port.
        to: String,
        /// What is wrong.
        why: String,
    },
    /// It took too long.
    #[error("no answer in {0:?}")]
    Timeout(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// More than the call allows.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// User or password are wrong.
    #[error("user name or password refused; not tried again for {} minutes", WRONG_PASSWORD_WAIT.as_secs() / 60)]
    WrongPassword,
    /// It asks for a password in a way that is not spoken here.
    #[error("asks for a password in another way than digest authentication")]
    Scheme,
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

/// Whom to believe behind an `https` address.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Nobody: only `http` is possible.
    #[default]
    Nobody,
    /// Certificates that one of these authorities signed for the host's name.
    Authorities(Vec<CertificateDer<'static>>),
    /// The one certificate with this SHA-256 fingerprint, whatever else is in it: devices sign their own.
    Fingerprint([u8; 32]),
}

/// One call.
#[derive(Clone)]
pub struct Call<'a> {
    /// Method.
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: &'a str,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// Media type of the body.
    pub kind: Option<&'static str>,
    /// Body.
    pub body: Bytes,
    /// Largest reply.
    pub limit: usize,
    /// Longest time.
    pub timeout: Duration,
}

impl fmt::Debug for Call<'_> {
    /// Without the body: it may have a card number in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str, kind: Option<&'static str>, body: Bytes) -> Self {
        Self { method, path, headers: Vec::new(), kind, body, limit: REPLY_MAX_BYTES, timeout: CALL_TIMEOUT }
    }

    /// GET.
    pub fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path, None, Bytes::new())
    }

    /// PUT.
    pub fn put(path: &'a str, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::PUT, path, Some(kind), body.into())
    }

    /// POST.
    pub fn post(path: &'a str, kind: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, path, Some(kind), body.into())
    }

    /// With another longest time.
    #[must_use]
    pub const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((HeaderName::from_static(name), value));
        self
    }
}

/// A whole reply.
#[derive(Clone)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Its `Content-Type`, empty if it has none.
    pub kind: String,
    /// Its `Date`: the other side's clock, to the second.
    pub date: Option<String>,
    /// Body.
    pub body: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} bytes", self.status, self.kind, self.body.len())
    }
}

impl Reply {
    /// 200 to 299.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// A client of one origin.
pub struct HttpClient {
    origin: Origin,
    login: Option<(String, Password)>,
    open: Option<Open>,
    nonce: Option<(Challenge, u32)>,
    /// When the password was refused; siblings share it, so that five of them do not try it five times.
    refused: Arc<Mutex<Option<Instant>>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.origin.authority())
    }
}

#[derive(Clone)]
struct Origin {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Path before every call's own: the address may name one.
    base: String,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl HttpClient {
    /// For an address `http[s]://host[:port][/path]`. The path is kept by [`HttpClient::base`] and not used by itself.
    ///
    /// # Errors
    /// [`HttpError::Url`], and [`HttpError::Tls`] for `https` without anybody to trust.
    pub fn new(url: &str, trust: &Trust) -> Result<Self, HttpError> {
        let origin = Origin::read(url, trust)?;
        Ok(Self { origin, login: None, open: None, nonce: None, refused: Arc::default() })
    }

    /// Answers digest challenges for this account.
    #[must_use]
    pub fn with_login(mut self, user: &str, password: Password) -> Self {
        self.login = Some((user.to_owned(), password));
        self
    }

    /// Another client of the same origin and account, with a connection of its own.
    #[must_use]
    pub fn sibling(&self) -> Self {
        let (origin, login) = (self.origin.clone(), self.login.clone());
        Self { origin, login, open: None, nonce: None, refused: Arc::clone(&self.refused) }
    }

    /// The path of the address given, without a closing slash.
    pub fn base(&self) -> &str {
        &self.origin.base
    }

    /// `host:port`, for people.
    pub fn authority(&self) -> String {
        self.origin.authority()
    }

    /// The addresses that the origin has now: who may push in its name.
    ///
    /// # Errors
    /// When the name has none.
    pub async fn addresses(&self) -> Result<Vec<IpAddr>, HttpError> {
        self.origin.addresses().await
    }

    /// Makes a call and takes the whole reply.
    ///
    /// # Errors
    /// See [`HttpError`]. A reply of any status is a reply, except a refused password.
    pub async fn send(&mut self, call: &Call<'_>) -> Result<Reply, HttpError> {
        let work = async {
            let (response, open) = self.exchange(call).await?;
            let (head, body) = response.into_parts();
            let body = collect(body, call.limit).await?;
            // Only a connection whose reply was read to its end can be used again.
            self.open = Some(open);
            let date = head.headers.get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
            Ok(Reply { status: head.status.as_u16(), kind: kind_of(&head.headers), date, body })
        };
        timeout(call.timeout, work).await.unwrap_or(Err(HttpError::Timeout(call.timeout)))
    }

    /// Makes a call whose reply has no end; the connection belongs to the stream. The call's time counts until the
    /// reply begins.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn stream(&mut self, call: &Call<'_>) -> Result<HttpStream, HttpError> {
        let work = self.exchange(call);
        let (response, open) = timeout(call.timeout, work).await.unwrap_or(Err(HttpError::Timeout(call.timeout)))?;
        let (head, body) = response.into_parts();
        Ok(HttpStream { status: head.status.as_u16(), kind: kind_of(&head.headers), body, _open: open })
    }

    /// One call with its authentication: at most a question, and an answer with a fresh nonce.
    async fn exchange(&mut self, call: &Call<'_>) -> Result<(Response<Incoming>, Open), HttpError> {
        if self.refused().is_some_and(|at| at.elapsed() < WRONG_PASSWORD_WAIT) {
            return Err(HttpError::WrongPassword);
        }
        let mut fresh = 0;
        loop {
            let authorization = self.authorization(call)?;
            let answered = authorization.is_some();
            let (response, open) = self.once(call, authorization).await?;
            if response.status().as_u16() != 401 || self.login.is_none() {
                *self.refused() = None;
                return Ok((response, open));
            }
            let headers = response.headers().get_all(WWW_AUTHENTICATE);
            let challenge = Challenge::best(headers.iter().filter_map(|value| value.to_str().ok()));
            let challenge = challenge.ok_or(HttpError::Scheme)?;
            // A fresh nonce, properly answered and refused: the password is wrong, unless the server says that the
            // nonce grew old meanwhile.
            if answered && fresh > 0 && !challenge.stale {
                *self.refused() = Some(Instant::now());
                self.nonce = None;
                return Err(HttpError::WrongPassword);
            }
            if answered && fresh >= NONCES_MAX {
                return Err(HttpError::Broken("every nonce is called stale".into()));
            }
            // Read the rest, so that the connection can be used again.
            if collect(response.into_body(), REPLY_MAX_BYTES).await.is_ok() {
                self.open = Some(open);
            }
            self.nonce = Some((challenge, 0));
            fresh += 1;
        }
    }

    // One value, set at once: a panic elsewhere leaves it whole.
    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorization(&mut self, call: &Call<'_>) -> Result<Option<String>, HttpError> {
        let (Some((user, password)), Some((challenge, count))) = (&self.login, &mut self.nonce) else {
            return Ok(None);
        };
        *count += 1;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| HttpError::Random)?;
        let client_nonce = format!("{:016x}", u64::from_be_bytes(random));
        let login = Login { user, password: password.expose() };
        Ok(Some(challenge.answer(&login, call.method.as_str(), call.path, *count, &client_nonce)))
    }

    /// One request on the kept connection or a new one.
    async fn once(
        &mut self,
        call: &Call<'_>,
        authorization: Option<String>,
    ) -> Result<(Response<Incoming>, Open), HttpError> {
        if let Some(mut open) = self.open.take()
            && open.sender.ready().await.is_ok()
        {
            let request = self.request(call, authorization.as_deref())?;
            match open.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, open)),
                // The other side closed the idle connection before the request was on its way.
                Err(mut error) => {
                    // Given back: the other side closed the idle connection before the request was on its way.
                    if error.take_message().is_none() {
                        return Err(broken(&error.into_error()));
                    }
                }
            }
        }
        let mut open = self.origin.open().await?;
        let request = self.request(call, authorization.as_deref())?;
        let response = open.sender.send_request(request).await.map_err(|error| broken(&error))?;
        Ok((response, open))
    }

    fn request(&self, call: &Call<'_>, authorization: Option<&str>) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.path.parse::<Uri>().map_err(|_| HttpError::Url("the path"))?;
        let headers = request.headers_mut();
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| HttpError::Url("a header"));
        headers.insert(HOST, value(&self.origin.authority())?);
        headers.insert(USER_AGENT, HeaderValue::from_static("tapward"));
        if let Some(kind) = call.kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, text) in &call.headers {
            headers.insert(name, value(text)?);
        }
        if let Some(authorization) = authorization {
            let mut authorization = value(authorization)?;
            authorization.set_sensitive(true);
            headers.insert(AUTHORIZATION, authorization);
        }
        Ok(request)
    }
}

/// A reply that goes on and on.
pub struct HttpStream {
    /// Status.
    pub status: u16,
    /// Its `Content-Type`.
    pub kind: String,
    body: Incoming,
    _open: Open,
}

impl HttpStream {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`HttpError::Timeout`] when nothing came for so long, [`HttpError::Broken`].
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Bytes>, HttpError> {
        loop {
            match timeout(patience, self.body.frame()).await {
                Err(_) => return Err(HttpError::Timeout(patience)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(broken(&error)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for HttpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpStream({} {})", self.status, self.kind)
    }
}

impl Origin {
    fn read(url: &str, trust: &Trust) -> Result<Self, HttpError> {
        let uri: Uri = url.parse().map_err(|_| HttpError::Url("not an address"))?;
        let host = uri.host().ok_or(HttpError::Url("no host"))?.trim_matches(['[', ']']).to_owned();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(HttpError::Url("a password does not belong into an address"));
        }
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(HttpError::Url("neither http nor https")),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let base = uri.path().trim_end_matches('/').to_owned();
        let mut origin = Self { host, port, tls: None, base };
        if secure {
            let fault = |why: String| HttpError::Tls { to: origin.authority(), why };
            let config = trust.config().map_err(&fault)?;
            let name = ServerName::try_from(origin.host.clone()).map_err(|error| fault(error.to_string()))?;
            origin.tls = Some((TlsConnector::from(Arc::new(config)), name));
        }
        Ok(origin)
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, HttpError> {
        let fault = |why: String| HttpError::Connect { to: self.authority(), why };
        let look = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found = timeout(CONNECT_TIMEOUT, look).await.map_err(|_| fault("the name is not resolved".into()))?;
        let found: Vec<IpAddr> =
            found.map_err(|error| fault(error.to_string()))?.map(|at| at.ip().to_canonical()).collect();
        if found.is_empty() { Err(fault("the name has no address".into())) } else { Ok(found) }
    }

    async fn open(&self) -> Result<Open, HttpError> {
        let connecting = async {
            let fault = |why: String| HttpError::Connect { to: self.authority(), why };
            let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| fault(e.to_string()))?;
            let _ = socket.set_nodelay(true);
            let Some((connector, name)) = &self.tls else { return handshake(TokioIo::new(socket)).await };
            let stream = connector.connect(name.clone(), socket).await;
            let stream = stream.map_err(|error| HttpError::Tls { to: self.authority(), why: error.to_string() })?;
            handshake(TokioIo::new(stream)).await
        };
        let late = || HttpError::Connect { to: self.authority(), why: format!("no answer in {CONNECT_TIMEOUT:?}") };
        timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn handshake<T>(io: T) -> Result<Open, HttpError>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(HEADERS_MAX_BYTES.max(8192));
    let (sender, connection) = builder.handshake(io).await.map_err(|error| broken(&error))?;
    let driver = tokio::spawn(async move {
        // Its end is seen by whoever waits for a reply.
        let _ = connection.await;
    });
    Ok(Open { sender, _driver: AbortOnDropHandle::new(driver) })
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, HttpError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(HttpError::TooLong(limit)),
        Err(error) => Err(HttpError::Broken(error.to_string())),
    }
}

fn kind_of(headers: &hyper::HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned()
}

fn broken(error: &hyper::Error) -> HttpError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    HttpError::Broken(format!("{error}{cause}"))
}

impl Trust {
    fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        Ok(match self {
            Self::Nobody => return Err("https needs the site's authority or the certificate's fingerprint".into()),
            Self::Authorities(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority.clone()).map_err(|error| error.to_string())?;
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Fingerprint(wanted) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned { wanted: *wanted, provider }))
                .with_no_client_auth(),
        })
    }
}

/// Believes one certificate, by its fingerprint: stronger than a name signed by somebody, for a device that signs its own.
#[derive(Debug)]
struct Pinned {
    wanted: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        if found == self.wanted {
            return Ok(ServerCertVerified::assertion());
        }
        let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        Err(rustls::Error::General(format!("its certificate has the fingerprint {found}, not the one in the settings")))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
