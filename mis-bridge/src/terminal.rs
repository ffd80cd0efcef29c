//! Asking a card terminal service on the clinic's network, by the small protocol of `docs/till-terminals.md`: an amount is put
//! under the id of the payment, and what became of an id can always be asked again. So a connection that breaks at any
//! moment neither loses money nor takes it twice.
//!
//! Owns the protocol and how answers are understood; what a payment is, is [`clinic::till`]'s. May import `clinic`, `domain`
//! and the HTTP client.

use std::fmt;
use std::time::Duration;

use clinic::till::payments::PaymentFault;
use clinic::till::terminal::{BoxFuture, Terminal, TerminalAnswer, TerminalAsk};
use hyper::Method;
use serde::Deserialize;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;
use url::Url;
use zeroize::Zeroizing;

use crate::http::{self, Answer, Client, HttpError, Request};

/// Longest answer that is read, in bytes; a real one has some two hundred.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// Longest name of a terminal, in bytes.
const NAME_MAX_BYTES: usize = 40;
/// Longest id of a slip, in bytes.
const EXTERNAL_MAX_BYTES: usize = 64;

/// How a terminal service is asked.
#[derive(Clone)]
pub struct Settings {
    /// The terminal's name: lower-case letters, digits, `-` and `_`, at most 40. Payments and papers say it.
    pub name: String,
    /// Where its service answers; `payments/…` is put behind it.
    pub url: Url,
    /// What is sent as `Authorization: Bearer …`; `None`: nothing.
    pub token: Option<Zeroizing<String>>,
    /// Certificates, time-outs and limits of one request.
    pub http: http::Settings,
    /// How often it is asked while the patient has not answered. 1 s.
    pub ask_every: Duration,
    /// How long a payment may take altogether before the page is told that nothing is known yet; it is asked about
    /// afterwards too. 3 minutes.
    pub within: Duration,
}

impl Settings {
    /// A terminal with the usual times.
    pub fn new(name: &str, url: Url) -> Self {
        let http = http::Settings { answer_max_bytes: ANSWER_MAX_BYTES, ..http::Settings::default() };
        let (ask_every, within) = (Duration::from_secs(1), Duration::from_secs(180));
        Self { name: name.to_owned(), url, token: None, http, ask_every, within }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a terminal cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The name.
    #[error("the name of a card terminal is 1 to 40 lower-case letters, digits, - and _")]
    BadName,
    /// The address.
    #[error(
        "the address of a card terminal begins with https:// (http:// on this machine itself, or where it is allowed)"
    )]
    BadAddress,
    /// The token.
    #[error("the token of a card terminal is visible ASCII without spaces")]
    BadToken,
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] http::TlsError),
}

/// A card terminal that is asked over HTTP.
#[derive(Debug)]
pub struct HttpTerminal {
    settings: Settings,
    client: Client,
}

/// What the service answers about an id.
#[derive(Debug, Deserialize)]
struct Said {
    state: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    minor: Option<i64>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    external: Option<String>,
    #[serde(default)]
    fault: Option<String>,
}

impl HttpTerminal {
    /// Checks the settings; asks nothing yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(mut settings: Settings) -> Result<Self, SetupError> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if settings.name.is_empty() || settings.name.len() > NAME_MAX_BYTES || !settings.name.bytes().all(is_name) {
            return Err(SetupError::BadName);
        }
        if !http::may_ask(&settings.url, settings.http.plain).unwrap_or(false) || settings.url.cannot_be_a_base() {
            return Err(SetupError::BadAddress);
        }
        let is_sound =
            |token: &Zeroizing<String>| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !settings.token.as_ref().is_none_or(is_sound) {
            return Err(SetupError::BadToken);
        }
        settings.http.answer_max_bytes = settings.http.answer_max_bytes.min(ANSWER_MAX_BYTES);
        Ok(Self { client: Client::new(settings.http.clone())?, settings })
    }

    fn request(&self, method: Method, id: &str) -> Option<Request> {
        let mut url = self.settings.url.clone();
        // Ids are UUIDs of ours; whatever it is, it stays one part of the path.
        url.path_segments_mut().ok()?.pop_if_empty().extend(["payments", id]);
        let request = Request::new(method, url);
        match &self.settings.token {
            Some(token) => request.authorization(&format!("Bearer {}", token.as_str())).ok(),
            None => Some(request),
        }
    }

    /// Asks once, for money with its kind. An answer about another amount is not believed.
    async fn ask(&self, method: Method, ask: &TerminalAsk, kind: Option<&str>) -> TerminalAnswer {
        let Some(mut request) = self.request(method, &ask.id) else { return TerminalAnswer::Silent };
        if let Some(kind) = kind {
            let mut body = serde_json::json!({
                "kind": kind,
                "minor": ask.amount.minor(),
                "currency": ask.currency.as_str(),
                "amount": ask.currency.decimal(ask.amount),
            });
            if let Some(of) = &ask.of {
                body["of"] = of.as_str().into();
            }
            request = request.body("application/json", body.to_string());
        }
        let answer = self.client.send(request).await;
        self.understand(answer, ask)
    }

    fn understand(&self, answer: Result<Answer, HttpError>, ask: &TerminalAsk) -> TerminalAnswer {
        let (terminal, id) = (&self.settings.name, ask.id.as_str());
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                warn!(%terminal, payment = id, %error, "terminal.silent");
                return TerminalAnswer::Silent;
            }
        };
        if answer.status == 404 {
            // A wrong address is no statement about a payment.
            let is_about_it = serde_json::from_slice::<Said>(&answer.body).is_ok_and(|said| said.state == "unknown");
            return if is_about_it { TerminalAnswer::Unknown } else { TerminalAnswer::Silent };
        }
        let said = serde_json::from_slice::<Said>(&answer.body);
        let (200..300, Ok(said)) = (answer.status, said) else {
            warn!(%terminal, payment = id, status = answer.status, "terminal.not_understood");
            return TerminalAnswer::Silent;
        };
        let is_ours = said.id.as_deref() == Some(id);
        let is_the_sum =
            said.minor == Some(ask.amount.minor()) && said.currency.as_deref() == Some(ask.currency.as_str());
        match said.state.as_str() {
            "done" if is_ours && is_the_sum => match said.external.filter(|external| is_slip(external)) {
                Some(external) => TerminalAnswer::Done { external },
                None => {
                    warn!(%terminal, payment = id, "terminal.no_slip");
                    TerminalAnswer::Silent
                }
            },
            "failed" if is_ours => TerminalAnswer::Failed(
                said.fault.as_deref().and_then(PaymentFault::parse).unwrap_or(PaymentFault::Broken),
            ),
            "under_way" if is_ours => TerminalAnswer::UnderWay,
            _ => {
                // Somebody must look: the terminal says that it took another amount, or speaks of another payment.
                warn!(%terminal, payment = id, "terminal.contradicts");
                TerminalAnswer::Silent
            }
        }
    }

    /// Puts an amount under an id and waits until the terminal knows how it ended, or the time is over.
    async fn put(&self, ask: &TerminalAsk, kind: &str) -> TerminalAnswer {
        let begun = Instant::now();
        let mut answer = self.ask(Method::PUT, ask, Some(kind)).await;
        while matches!(answer, TerminalAnswer::UnderWay | TerminalAnswer::Silent)
            && begun.elapsed() + self.settings.ask_every < self.settings.within
        {
            sleep(self.settings.ask_every).await;
            // What came of it is asked, never for the money again: that it has not heard of it is told to the till.
            match self.ask(Method::GET, ask, None).await {
                TerminalAnswer::Unknown => return TerminalAnswer::Unknown,
                now => answer = now,
            }
        }
        answer
    }

    /// An end to everything, whatever the service does.
    async fn bounded(&self, asking: impl Future<Output = TerminalAnswer> + Send) -> TerminalAnswer {
        let longest = self.settings.within + self.settings.http.whole_within;
        timeout(longest, asking).await.unwrap_or(TerminalAnswer::Silent)
    }
}

/// Visible ASCII that fits on a slip and into a row.
fn is_slip(text: &str) -> bool {
    (1..=EXTERNAL_MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Terminal for HttpTerminal {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn pay<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(self.bounded(self.put(ask, "payment")))
    }

    fn state<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(self.bounded(self.ask(Method::GET, ask, None)))
    }

    fn cancel<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(self.bounded(self.ask(Method::DELETE, ask, None)))
    }

    fn refund<'a>(&'a self, ask: &'a TerminalAsk) -> BoxFuture<'a, TerminalAnswer> {
        Box::pin(self.bounded(self.put(ask, "refund")))
    }
}
