//! What the provider goes by.

use std::fmt;

use super::clients::{NewClient, Strength};

/// Settings of the provider. `Rules::new` has good values for all but the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The address under which browsers and systems reach these pages, `https://…` without a slash at the end: the `iss`
    /// of every token.
    pub issuer: String,
    /// How long a code may be redeemed, in milliseconds: 30 s, at most 60 s.
    pub code_ms: i64,
    /// How long a sign-in waits for its tap, in milliseconds: 5 min.
    pub request_ms: i64,
    /// How long an id token is good, in milliseconds: 5 min.
    pub id_ms: i64,
    /// How long a signed assertion is good, in milliseconds: 30 s, and not more.
    pub assertion_ms: i64,
    /// How long a confirmation without a browser waits at most, in milliseconds: 2 min.
    pub confirmation_ms: i64,
    /// How long a key signs, in milliseconds: 30 days.
    pub key_ms: i64,
    /// How long before it signs a key is published, in milliseconds: a day. Systems may keep a key set so long.
    pub key_lead_ms: i64,
    /// The `acr` of a tap alone.
    pub acr_badge: String,
    /// The `acr` of a tap with the PIN.
    pub acr_badge_pin: String,
    /// Whether a locked workstation is signed out of the systems too. No: they hear of the lock by FHIRcast, and unsaved
    /// work stays.
    pub ends_on_lock: bool,
    /// The name of the system (as in `person_alias`) whose ids of patients are told at a launch; our pseudonym otherwise.
    pub patient_system: Option<String>,
    /// Systems that stand in the configuration.
    pub clients: Vec<ConfiguredClient>,
}

/// Longest life of a code, in milliseconds.
pub(super) const CODE_MAX_MS: i64 = 60_000;
/// Longest life of an assertion, in milliseconds.
pub(super) const ASSERTION_MAX_MS: i64 = 30_000;

impl Rules {
    /// The usual rules for this address.
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.trim_end_matches('/').to_owned(),
            code_ms: 30_000,
            request_ms: 5 * 60_000,
            id_ms: 5 * 60_000,
            assertion_ms: ASSERTION_MAX_MS,
            confirmation_ms: 2 * 60_000,
            key_ms: 30 * 24 * 60 * 60_000,
            key_lead_ms: 24 * 60 * 60_000,
            acr_badge: "urn:tapward:badge".to_owned(),
            acr_badge_pin: "urn:tapward:badge+pin".to_owned(),
            ends_on_lock: false,
            patient_system: None,
            clients: Vec::new(),
        }
    }

    /// The name of a strength in tokens.
    pub fn acr(&self, strength: Strength) -> &str {
        match strength {
            Strength::Badge => &self.acr_badge,
            Strength::BadgePin => &self.acr_badge_pin,
        }
    }

    pub(super) fn strength_of(&self, acr: &str) -> Option<Strength> {
        Strength::ALL.iter().copied().find(|strength| self.acr(*strength) == acr)
    }
}

/// A system that stands in the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfiguredClient {
    /// Its `client_id`: letters, digits, `-`, `_` and `.`, at most 64.
    pub id: String,
    /// What it is.
    pub client: NewClient,
    /// Its secret, at least 32 characters, where it proves itself by one.
    pub secret: Option<String>,
}

impl fmt::Debug for ConfiguredClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredClient").field("id", &self.id).field("client", &self.client).finish_non_exhaustive()
    }
}
