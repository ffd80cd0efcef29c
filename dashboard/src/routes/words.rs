//! What can be said of a route: who may open it, what data its answer holds, what it does, what a change must prove, where
//! it stands in the navigation.

use axum::routing::MethodFilter;
use domain::{Permission, Rights};

/// Who may open a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Also without signing in.
    Anyone,
    /// Everybody who is signed in.
    SignedIn,
    /// Who has this permission, somewhere at least.
    Needs(Permission),
    /// The browser of a workstation, whoever is signed in to the pages.
    AtDesk(Desk),
}

/// What a route of workstations wants of the one that the browser stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desk {
    /// Nothing more: it shows how the workstation stands, or makes it usable.
    Enrolled,
    /// A specialist is bound there, the binding is open and they may work at desks.
    Open,
}

impl Access {
    /// Whether somebody with these rights gets in; `None`: nobody is signed in. Workstations are no matter of rights of
    /// the pages: the guard asks which browser it is.
    pub fn lets(self, rights: Option<&Rights>) -> bool {
        match (self, rights) {
            (Self::Anyone, _) | (Self::SignedIn, Some(_)) => true,
            (Self::SignedIn | Self::Needs(_), None) | (Self::AtDesk(_), _) => false,
            (Self::Needs(permission), Some(rights)) => rights.allows(permission),
        }
    }
}

/// A class of data that an answer may hold, as the data map names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// State of devices.
    Devices,
    /// Pseudonymous traces: who passed where and when.
    Traces,
    /// Accounts of staff.
    Staff,
    /// Names, birth dates, documents, contacts of persons.
    Identity,
    /// Photographs of persons.
    Photo,
    /// What a visit is for, and what lets it be guessed.
    Health,
    /// The audit log.
    Audit,
    /// To whom data were given.
    Disclosures,
    /// A secret that is shown once: a link, a key, a recovery code.
    Secret,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET, and HEAD with it: changes nothing.
    Show,
    /// POST: changes something.
    Change,
    /// PUT, of the HTTP API.
    Put,
    /// DELETE, of the HTTP API.
    Delete,
    /// OPTIONS: a browser asks for a page of another site whether it may ask.
    Ask,
}

impl Verb {
    /// The methods that reach the handler.
    pub const fn filter(self) -> MethodFilter {
        match self {
            Self::Show => MethodFilter::GET,
            Self::Change => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
            Self::Ask => MethodFilter::OPTIONS,
        }
    }

    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Show => "GET",
            Self::Change => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Ask => "OPTIONS",
        }
    }
}

/// What a change must prove beside who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Csrf {
    /// Nothing: it shows only.
    None,
    /// It comes from a page of ours: a token in the field `form` or the header `x-tapward-form`, `Origin` and Fetch
    /// metadata.
    Form,
    /// It carries a key of the HTTP API, which no browser sends by itself.
    Key,
}

/// A place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Key of its text (`place-`) and icon.
    pub key: &'static str,
    /// Under which heading it stands.
    pub group: Group,
}

/// A heading of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The work of a post.
    Post,
    /// People and their passes.
    People,
    /// Workstations, visits and rooms.
    Desk,
    /// Services, payments and prices.
    Till,
    /// Other systems.
    Exchange,
    /// What was done, and whose data.
    Trust,
    /// Who may do what, and how it is set up.
    Office,
}

impl Group {
    /// Key of its text (`group-`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::People => "people",
            Self::Desk => "desk",
            Self::Till => "till",
            Self::Exchange => "exchange",
            Self::Trust => "trust",
            Self::Office => "office",
        }
    }
}
