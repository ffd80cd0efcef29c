//! Who acts: what every command of the clinic is given, so that it checks the right and writes who it was. Made from a
//! session of the pages, from a key of the HTTP API, or for the program itself.

use std::borrow::Cow;
use std::net::IpAddr;

use domain::{Denied, Permission, PersonId, Rights, UtcMillis};

use crate::audit::{Action, Draft, Outcome};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An account, by its id.
    Account(String),
    /// A key of the HTTP API, by its id.
    ApiKey(String),
    /// A staff member at a workstation, by their pseudonym.
    Staff(PersonId),
    /// Another system that tells or is told something, by its name in the configuration.
    Peer(String),
    /// Somebody at the command line of the server.
    Console,
    /// The program itself: schedules, feeds.
    System,
    /// Nobody is signed in.
    Anybody,
}

impl Actor {
    /// The stable code of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::ApiKey(_) => "api_key",
            Self::Staff(_) => "staff",
            Self::Peer(_) => "peer",
            Self::Console => "console",
            Self::System => "system",
            Self::Anybody => "anybody",
        }
    }

    /// Its id, where the kind has one.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Account(id) | Self::ApiKey(id) | Self::Peer(id) => Some(Cow::Borrowed(id)),
            Self::Staff(person) => Some(Cow::Owned(person.to_string())),
            Self::Console | Self::System | Self::Anybody => None,
        }
    }
}

/// Who acts, with which rights.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Who.
    pub actor: Actor,
    /// What they may do.
    pub rights: Rights,
    /// The session's id, where there is one.
    pub session: Option<String>,
    /// From which network address.
    pub address: Option<IpAddr>,
    /// The open breaking of glass, where there is one: every entry carries it.
    pub glass: Option<String>,
}

impl Acting {
    /// The administrator at the server's command line, who could also open the database by hand.
    pub fn console() -> Self {
        Self {
            actor: Actor::Console,
            rights: Rights::of(domain::Shipped::Administrator),
            session: None,
            address: None,
            glass: None,
        }
    }

    /// The id of the account that acts, where one does.
    pub fn account(&self) -> Option<&str> {
        match &self.actor {
            Actor::Account(id) => Some(id),
            Actor::ApiKey(_) | Actor::Staff(_) | Actor::Peer(_) | Actor::Console | Actor::System | Actor::Anybody => {
                None
            }
        }
    }

    /// The program itself, for schedules and starts. It has no rights: what it does, nobody asked it to.
    pub fn system() -> Self {
        Self { actor: Actor::System, rights: Rights::default(), session: None, address: None, glass: None }
    }

    /// A configured system that tells us something: it may do that and nothing else.
    pub fn feed(source: &crate::feeds::Source) -> Self {
        let mut rights = Rights::default();
        rights.add(&[Permission::FeedWrite], &[], &domain::Zones::All);
        Self { actor: Actor::Peer(source.to_string()), rights, session: None, address: None, glass: None }
    }

    /// A configured payment service that tells of payments, whose signature was checked: it may do that and nothing else.
    pub fn payment_service(name: &str, address: Option<IpAddr>) -> Self {
        let mut rights = Rights::default();
        rights.add(&[Permission::PaymentTake], &[], &domain::Zones::All);
        Self { actor: Actor::Peer(name.to_owned()), rights, session: None, address, glass: None }
    }

    /// Whether it is granted.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn must(&self, permission: Permission) -> Result<(), Denied> {
        self.rights.must(permission)
    }

    /// An entry of the audit log about something that this one does.
    pub fn draft(&self, at: UtcMillis, action: Action) -> Draft {
        Draft {
            session: self.session.clone(),
            address: self.address.map(|address| address.to_string()),
            glass: self.glass.clone(),
            ..Draft::new(at, self.actor.clone(), action)
        }
    }

    /// An entry about something that this one was refused.
    pub fn refusal(&self, at: UtcMillis, denied: Denied) -> Draft {
        let object = Some(denied.0.as_str().to_owned());
        Draft { outcome: Outcome::Refused, object, ..self.draft(at, Action::Refused) }
    }
}
