//! Who may do what: the roles of accounts, the roles that a clinic makes for itself, and the rights that come of both.
//!
//! Owns the tables of migration `0007_roles.sql`. Shipped roles are part of the program ([`domain::Shipped`]); own roles
//! are rows; both become [`Rights`] in one place, read anew at each request, so that a change counts from the next one.
//! Nobody gives or takes rights that they do not have themselves, changes their own roles, or leaves the clinic without
//! an account that can manage accounts and roles. May import `domain`, `store`,
//! `acting`, `audit` and `break_glass`.

mod error;
mod give;
mod own;
mod reach;
mod standing;

pub use error::RoleError;
pub use give::give;
pub use own::{RoleLine, RoleText, change, create, list, remove};
pub use reach::{Reach, reach, zones};
pub use standing::{Standing, rights_of, standing_of};

pub(crate) use give::{check, covers_account, keepers, put_roles, words};
pub(crate) use standing::{HeldRow, Tables, held_from, standing, tables};

use std::fmt;

use domain::{Shipped, ZoneId};

/// Most roles of one account, each with a zone or without: more cannot be overlooked by a person.
pub const ROLES_PER_ACCOUNT: usize = 32;
/// Longest name of an own role, in characters.
pub const ROLE_NAME_MAX_CHARS: usize = 60;
/// Longest description of an own role, in characters.
pub const ROLE_TEXT_MAX_CHARS: usize = 300;

/// A role that a clinic has made: its row's id, 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnId(String);

impl OwnId {
    /// Reads an id from a form or path.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_id.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleId {
    /// One of the program's.
    Shipped(Shipped),
    /// One of the clinic's own.
    Own(OwnId),
}

impl RoleId {
    /// Reads a shipped role's code or an own role's id.
    pub fn parse(text: &str) -> Option<Self> {
        Shipped::parse(text).map(Self::Shipped).or_else(|| OwnId::parse(text).map(Self::Own))
    }

    /// As [`RoleId::parse`] takes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Shipped(role) => role.as_str(),
            Self::Own(id) => id.as_str(),
        }
    }
}

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Shipped> for RoleId {
    fn from(role: Shipped) -> Self {
        Self::Shipped(role)
    }
}

/// A role given to somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// Which.
    pub role: RoleId,
    /// In which zone and what lies in it; `None`: on the whole site.
    pub zone: Option<ZoneId>,
}

impl Grant {
    /// A role on the whole site.
    pub fn site(role: impl Into<RoleId>) -> Self {
        Self { role: role.into(), zone: None }
    }
}

/// A role that somebody has, with what pages say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which, and where.
    pub grant: Grant,
    /// The name of an own role; `None` for a shipped one, whose name is a translation.
    pub name: Option<String>,
}
