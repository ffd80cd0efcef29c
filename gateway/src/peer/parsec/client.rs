//! Calls to the service: one HTTP connection, SOAP 1.1, the session of whoever uses it.
//!
//! Owns what an answer can turn out to be. Never opens a session by itself, never repeats a call. May import
//! `wire::parsec`, the HTTP client.

use bytes::Bytes;
use domain::UtcMillis;
use thiserror::Error;
use wire::parsec::encoding::MESSAGE_MAX_BYTES;
use wire::parsec::object::Session;
use wire::parsec::{Answer, AnswerError, Guid, Outcome, Request, Secret, Version};

use crate::peer::http::{Call, HttpClient, HttpError, Trust};
use crate::settings::ParsecServer;

/// Why a call has not done what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum CallError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that is none.
    #[error("{method}: {why}")]
    Answer {
        /// What was asked.
        method: &'static str,
        /// What came.
        why: AnswerError,
    },
    /// Not even SOAP, and a status that says that something else answered.
    #[error("{method}: HTTP status {status}")]
    Status {
        /// What was asked.
        method: &'static str,
        /// The status.
        status: u16,
    },
    /// The service says no.
    #[error("{method}: the server says \"{words}\"")]
    No {
        /// What was asked.
        method: &'static str,
        /// Why, in its words.
        words: String,
    },
}

impl CallError {
    /// Whether the server understood and refused, so that the same call again makes no sense soon.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::No { .. } | Self::Answer { why: AnswerError::Fault(_), .. })
    }
}

/// One connection.
pub(super) struct Client {
    http: HttpClient,
    path: String,
    /// What the server's clock said last, and ours then.
    pub(super) clock: Option<(UtcMillis, UtcMillis)>,
    now: domain::Clock,
}

impl Client {
    pub(super) fn new(server: &ParsecServer, now: domain::Clock) -> Result<Self, HttpError> {
        let trust = server.certificate.map_or(Trust::Nobody, Trust::Fingerprint);
        let http = HttpClient::new(&server.url, &trust)?;
        let path = if http.base().is_empty() { wire::parsec::PATH.to_owned() } else { http.base().to_owned() };
        Ok(Self { http, path, clock: None, now })
    }

    /// Another connection to the same server.
    pub(super) fn sibling(&self) -> Self {
        Self { http: self.http.sibling(), path: self.path.clone(), clock: None, now: self.now.clone() }
    }

    /// `host:port`.
    pub(super) fn authority(&self) -> String {
        self.http.authority()
    }

    /// Where the server's calls to us may come from.
    pub(super) async fn addresses(&self) -> Result<Vec<std::net::IpAddr>, HttpError> {
        self.http.addresses().await
    }

    /// Makes a call.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer, CallError> {
        let (version, method) = (Version::V11, request.method());
        let body = Bytes::copy_from_slice(request.envelope(version).as_bytes());
        let mut call = Call::post(&self.path, "text/xml; charset=utf-8", body);
        call.limit = MESSAGE_MAX_BYTES;
        if let Some(action) = version.action(method) {
            call = call.header("soapaction", action);
        }
        let reply = self.http.send(&call).await?;
        let date = reply.date.as_deref().and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
        if let Some(date) = date {
            self.clock = Some((UtcMillis(date.timestamp_millis()), self.now.now()));
        }
        let kind = (!reply.kind.is_empty()).then_some(reply.kind.as_str());
        match Answer::read(method, &reply.body, kind) {
            Ok(answer) => Ok(answer),
            // A fault comes with status 500; a page of somebody else with any.
            Err(AnswerError::Soap(_)) if !reply.is_success() => Err(CallError::Status { method, status: reply.status }),
            Err(why) => Err(CallError::Answer { method, why }),
        }
    }

    /// A call that answers by success or failure.
    pub(super) async fn done(&mut self, request: &Request) -> Result<(), CallError> {
        match self.ask(request).await? {
            Answer::Done(outcome) => said(request, outcome),
            Answer::Nothing => Ok(()),
            _ => Err(form(request)),
        }
    }

    /// A call that makes something.
    pub(super) async fn make(&mut self, request: &Request) -> Result<Guid, CallError> {
        match self.ask(request).await? {
            Answer::Guid(outcome) => said(request, outcome),
            _ => Err(form(request)),
        }
    }

    /// Signs in.
    pub(super) async fn open(&mut self, server: &ParsecServer) -> Result<Session, CallError> {
        let request = Request::OpenSession {
            domain: server.domain.clone(),
            user: server.user.clone(),
            password: Secret::new(server.password.expose().to_owned()),
        };
        match self.ask(&request).await? {
            Answer::Session(outcome) => said(&request, outcome),
            _ => Err(form(&request)),
        }
    }

    /// Whether the session still lives; keeps it alive.
    pub(super) async fn keep(&mut self, session: Guid) -> Result<bool, CallError> {
        let request = Request::ContinueSession { session };
        match self.ask(&request).await? {
            Answer::Int(number) => Ok(number == 0),
            _ => Err(form(&request)),
        }
    }

    /// How far the server's clock is behind ours, milliseconds, to the second.
    pub(super) fn skew_ms(&self) -> Option<i64> {
        self.clock.map(|(theirs, ours)| ours.since_ms(theirs))
    }
}

fn said<T>(request: &Request, outcome: Outcome<T>) -> Result<T, CallError> {
    outcome.map_err(|words| CallError::No { method: request.method(), words })
}

/// An answer of another kind than its method has: cannot happen, because reading goes by the method.
pub(super) fn form(request: &Request) -> CallError {
    let (method, what) = (request.method(), "it is of another kind");
    CallError::Answer { method, why: AnswerError::Form { method, what } }
}
