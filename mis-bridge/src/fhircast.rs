//! Telling another FHIRcast hub, where the medical system has its own: what happens at our workstations is published there
//! under the topic of the specialist.
//!
//! Owns which changes are told and how answers are understood; the resources are `clinic::fhircast::resources`, the same as
//! in our own hub. A chart that would open late is not opened: what is older than a minute is passed over. May import
//! `clinic`, `domain` and the HTTP client.

use std::fmt;

use clinic::changes::ChangeKind;
use clinic::fhircast::resources::{self, Cause};
use clinic::fhircast::{Anchor, EventName, Message, RecordNumber};
use clinic::outbox::Fault;
use domain::{Clock, UtcMillis};
use serde_json::Value;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::delivery::{Deliver, Delivered, Fact, FaultCode};
use crate::http::{Answer, Client, HttpError, Request, Settings as HttpSettings, TlsError};

/// What another hub is told.
pub const WANTS: &[ChangeKind] = &[
    ChangeKind::VisitStarted,
    ChangeKind::VisitConfirmed,
    ChangeKind::VisitEnded,
    ChangeKind::VisitCancelled,
    ChangeKind::SessionLocked,
    ChangeKind::SessionEnded,
];

/// What happened longer ago opens no chart, in milliseconds.
const STALE_MS: i64 = 60_000;

/// Which topic a specialist has at the other hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TopicOf {
    /// Their user name in the medical system.
    #[default]
    Login,
    /// Their id as a practitioner.
    Practitioner,
}

/// How another hub is told.
#[derive(Clone)]
pub struct Settings {
    /// Its address, `hub.url`.
    pub url: Url,
    /// The access token for it, where it wants one.
    pub token: Option<Zeroizing<String>>,
    /// Certificates, time-outs and limits.
    pub http: HttpSettings,
    /// Whose topic. The user name in the medical system.
    pub topic: TopicOf,
    /// Which identifiers of patients are sent; the system of the destination with this URI, if there is none.
    pub record_numbers: Vec<RecordNumber>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url.as_str()).field("topic", &self.topic).finish_non_exhaustive()
    }
}

/// Another hub.
#[derive(Debug)]
pub struct OtherHub {
    settings: Settings,
    client: Client,
    clock: Clock,
}

impl OtherHub {
    /// Checks the settings; asks nothing yet.
    ///
    /// # Errors
    /// Certificates.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, TlsError> {
        Ok(Self { client: Client::new(settings.http.clone())?, settings, clock })
    }

    fn topic<'a>(&self, fact: &'a Fact) -> Option<&'a str> {
        let staff = fact.staff.as_ref()?;
        match self.settings.topic {
            TopicOf::Login => staff.login.as_deref(),
            TopicOf::Practitioner => staff.practitioner_id(),
        }
    }

    /// The events of a fact, in their order.
    fn messages(&self, fact: &Fact) -> Vec<Message> {
        let happened = fact.change.happened;
        let cause = Cause::of_reason(fact.change.reason.as_deref());
        let message = |name: EventName, context: Vec<Value>| {
            let id = format!("tapward:{}:{}:{name}", fact.destination, fact.change.id);
            Message::new(Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string(), happened, name, context)
        };
        match fact.change.kind {
            ChangeKind::SessionLocked => vec![message(EventName::UserHibernate, vec![resources::hibernate(cause)])],
            ChangeKind::SessionEnded => vec![message(EventName::UserLogout, vec![resources::logout(cause)])],
            ChangeKind::VisitStarted | ChangeKind::VisitConfirmed => {
                let Some((patient, encounter)) = self.chart(fact, "in-progress") else { return Vec::new() };
                vec![
                    message(EventName::Open(Anchor::Patient), vec![patient.clone()]),
                    message(EventName::Open(Anchor::Encounter), vec![encounter, patient]),
                ]
            }
            kind => {
                let status = if kind == ChangeKind::VisitCancelled { "entered-in-error" } else { "finished" };
                let Some((patient, encounter)) = self.chart(fact, status) else { return Vec::new() };
                vec![
                    message(EventName::Close(Anchor::Encounter), vec![encounter, patient.clone()]),
                    message(EventName::Close(Anchor::Patient), vec![patient]),
                ]
            }
        }
    }

    fn chart(&self, fact: &Fact, status: &str) -> Option<(Value, Value)> {
        let (party, visit) = (fact.patient.as_ref()?, fact.visit.as_ref()?);
        let here = party.aliases.iter().map(|alias| (fact.destination.clone(), alias.clone()));
        let aliases: Vec<resources::Alias> = here.chain(party.elsewhere.iter().cloned()).collect();
        let person = party.survivor.unwrap_or(party.person);
        let own = Some(fact.destination.as_str());
        let patient = resources::patient(person, &aliases, own, &self.settings.record_numbers);
        let visit = resources::Visit {
            id: &visit.id,
            no: i64::try_from(visit.no).unwrap_or(i64::MAX),
            started: visit.started,
            ended: visit.ended.filter(|_| status != "in-progress"),
            status,
        };
        let encounter = resources::encounter(visit, &resources::patient_id(person, &aliases, own));
        Some((patient, encounter))
    }

    fn is_stale(&self, happened: UtcMillis) -> bool {
        self.clock.now().since_ms(happened) > STALE_MS
    }
}

impl Deliver for OtherHub {
    async fn deliver(&self, fact: &Fact) -> Delivered {
        if self.is_stale(fact.change.happened) {
            return Delivered::Done;
        }
        let Some(topic) = self.topic(fact) else {
            return Delivered::dead(FaultCode::NoAlias, "topic of the specialist");
        };
        for message in self.messages(fact) {
            let request = Request::post(self.settings.url.clone(), "application/json", message.to_wire(topic));
            let request = match &self.settings.token {
                Some(token) => request.authorization(&format!("Bearer {}", token.as_str())),
                None => Ok(request),
            };
            let Ok(request) = request else { return Delivered::dead(FaultCode::Unspeakable, "token") };
            let ended = understand(self.client.send(request).await, self.clock.now());
            if ended != Delivered::Done {
                return ended;
            }
        }
        Delivered::Done
    }
}

fn understand(answer: Result<Answer, HttpError>, now: UtcMillis) -> Delivered {
    let answer = match answer {
        Ok(answer) => answer,
        Err(HttpError::Unreachable) => return Delivered::away(FaultCode::Unreachable, ""),
        Err(HttpError::Tls) => return Delivered::away(FaultCode::Tls, ""),
        Err(HttpError::Plain | HttpError::BadRequest) => return Delivered::away(FaultCode::Unspeakable, "address"),
        Err(HttpError::RequestTooLong) => return Delivered::dead(FaultCode::TooLong, "ours"),
        Err(HttpError::Late) => return Delivered::retry(FaultCode::Late, ""),
        Err(HttpError::Broken) => return Delivered::retry(FaultCode::Broken, ""),
        Err(HttpError::AnswerTooLong) => return Delivered::retry(FaultCode::TooLong, "answer"),
    };
    let fault = |code| Fault::new(code, &answer.status.to_string());
    let after = answer.retry_after(now);
    match answer.status {
        // 409: a newer context is open there, so there is nothing left to tell. 404: nobody is signed in there.
        200..300 | 404 | 409 => Delivered::Done,
        401 | 403 => Delivered::Away(fault(FaultCode::Unauthorised), after),
        429 | 503 => Delivered::Away(fault(FaultCode::Overloaded), after),
        400..500 => Delivered::Dead(fault(FaultCode::Refused)),
        _ => Delivered::Retry(fault(FaultCode::ServerFault), after),
    }
}
