//! The FHIRcast hub (STU3 3.0.0, tolerant of older programs): which chart is open at a workstation, and which programs are
//! told. Each binding of a specialist to a workstation is a session with a topic of its own.
//!
//! Owns the tables of migration `0018_fhircast.sql`. What happens at desks becomes events here ([`Hub::work`], from the feed
//! of changes, by whichever program comes first), beside what programs publish ([`Hub::publish`]); all of it stands in one
//! order in `fhircast_event`, and every dashboard sends it to the sockets that it holds. Never opens a socket, never keeps
//! a topic or a context in clear. Who asks is known by an access token or, where the installation allows it, by the topic
//! alone; there is no account behind it, so no permission is asked. May import `domain` and `store`.

mod contexts;
mod log;
mod message;
mod names;
mod project;
mod publish;
pub mod resources;
mod scopes;
mod secret;
mod state;
mod subscriptions;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use domain::vault::{BoxKey, NONCE_BYTES, Nonce, Place, Sealed};
use domain::{Clock, UtcMillis};
use store::{Database, Fault};
use thiserror::Error;

use crate::acting::{Acting, Actor};

pub use contexts::Contexts;
pub use log::{LOG_KEPT_MS, Logged, LoggedKind, READ_MAX};
pub use message::{ID_MAX_BYTES, MESSAGE_MAX_BYTES, Message, Published};
pub use names::{Anchor, EventList, EventName};
pub use resources::RecordNumber;
pub use scopes::{Access, Scopes};
pub use secret::{Endpoint, Topic};
pub use state::{HubState, Subscriber, Trouble, TroubleKind, state};
pub use subscriptions::{Accepted, Ask, Connected, Ending, EndpointGiven, SUBSCRIBERS_MAX};

/// How the hub works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether a program may come with the topic alone, without an access token: for old programs. Off by default.
    pub topic_is_enough: bool,
    /// How long a subscription lasts if nothing else is asked for, in seconds (60 to 86400, default 7200).
    pub lease_s: i64,
    /// The longest lease, in seconds (60 to 86400, default 28800). An access token that ends earlier ends it.
    pub lease_max_s: i64,
    /// How long a subscriber may take to acknowledge an event, in milliseconds (1000 to 60000, default 10000).
    pub ack_within_ms: u32,
    /// Names of subscribers that never acknowledge: their silence is no error.
    pub silent: Vec<String>,
    /// The system of the configuration whose number is the patient's id in the medical system's FHIR interface; without
    /// it, and for patients without such a number, the id is ours.
    pub patient_id_of: Option<String>,
    /// Which record numbers stand in events as identifiers.
    pub record_numbers: Vec<RecordNumber>,
    /// The site's address for programs, for example `https://access.clinic.example`; without it the address by which a
    /// program came.
    pub public_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            topic_is_enough: false,
            lease_s: 7200,
            lease_max_s: 28_800,
            ack_within_ms: 10_000,
            silent: Vec::new(),
            patient_id_of: None,
            record_numbers: Vec::new(),
            public_url: None,
        }
    }
}

/// The hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    database: Database,
    clock: Clock,
    key: Arc<BoxKey>,
    settings: Arc<Settings>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

/// Who asks: a program.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// What its access token says; `None`: it came with the topic alone.
    pub grant: Option<Grant>,
    /// From which address.
    pub address: Option<IpAddr>,
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The id of the program in the list of OpenID clients.
    pub client: String,
    /// Whose session: the id of the binding to a workstation.
    pub session: String,
    /// What it allows.
    pub scopes: Scopes,
    /// Until when.
    pub until: UtcMillis,
}

/// Why the hub did not do it.
#[derive(Debug, Error)]
pub enum HubError {
    /// Neither a token nor an installation that takes the topic alone.
    #[error("an access token is needed: send it as Authorization: Bearer")]
    TokenNeeded,
    /// The token is for another session, or does not allow this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// No such topic, or its session has ended.
    #[error("this topic is not known; its session may have ended")]
    UnknownTopic,
    /// The request cannot be understood.
    #[error("{0}")]
    Bad(String),
    /// What is open was opened later than this event happened.
    #[error("the context was changed after this event happened; ask for the current one")]
    Older,
    /// What is to be closed is not open.
    #[error("this is not open")]
    NotOpen,
    /// A bound was reached.
    #[error("{0}")]
    TooMany(&'static str),
    /// The engine, or a value that cannot be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Hub {
    /// A hub over `database`; `key` seals topics and contexts.
    pub fn new(database: Database, clock: Clock, key: BoxKey, settings: Settings) -> Self {
        Self { database, clock, key: Arc::new(key), settings: Arc::new(settings) }
    }

    /// How it works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who asks, as an actor of the audit log.
    fn acting(caller: &Caller, session: &str) -> Acting {
        let peer = caller.grant.as_ref().map_or("fhircast", |grant| grant.client.as_str());
        Acting {
            actor: Actor::Peer(peer.to_owned()),
            address: caller.address,
            session: Some(session.to_owned()),
            ..Acting::system()
        }
    }

    /// What a caller may do at a session.
    ///
    /// # Errors
    /// [`HubError::TokenNeeded`], [`HubError::Forbidden`].
    fn scopes(&self, caller: &Caller, session: &str, now: UtcMillis) -> Result<Scopes, HubError> {
        match &caller.grant {
            Some(grant) if grant.session != session => {
                Err(HubError::Forbidden("the access token is for another session"))
            }
            Some(grant) if grant.until <= now => Err(HubError::TokenNeeded),
            Some(grant) if grant.scopes.is_empty() => Err(HubError::Forbidden(
                "the access token has no scope of FHIRcast, such as fhircast/Patient-open.read",
            )),
            Some(grant) => Ok(grant.scopes.clone()),
            None if self.settings.topic_is_enough => Ok(Scopes::all()),
            None => Err(HubError::TokenNeeded),
        }
    }
}

/// Seals bytes for one column of one row.
fn seal(key: &BoxKey, place: Place<'_>, clear: &[u8]) -> Result<Vec<u8>, store::Error> {
    let mut random = [0; NONCE_BYTES];
    getrandom::fill(&mut random).map_err(|_| store::Error::new("drawing a nonce", Fault::Io))?;
    Ok(key.seal(place, Nonce::new(random), clear).into_bytes())
}

/// Opens what [`seal`] sealed for the same place.
fn open(
    key: &BoxKey,
    place: Place<'_>,
    table: &'static str,
    column: &'static str,
    sealed: Vec<u8>,
) -> Result<Vec<u8>, store::Error> {
    let sealed = Sealed::from_bytes(sealed).map_err(|problem| store::Error::bad_row(table, column, problem))?;
    let clear = key.open(place, &sealed).map_err(|problem| store::Error::bad_row(table, column, problem))?;
    Ok(clear.to_vec())
}
