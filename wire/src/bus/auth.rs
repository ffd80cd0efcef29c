//! Who may order: keys shared by the bridge and a gateway, and the gate that a command must pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use domain::{GatewayId, UtcMillis};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Command, CommandId};

/// Longest name of a key.
const KEY_ID_MAX_BYTES: usize = 32;
/// Most keys in a ring: the one in use, and another while keys are being changed, with room for mistakes.
const RING_MAX_KEYS: usize = 8;
/// Longest life of a command: "open" is for somebody standing at the door.
pub const COMMAND_MAX_LIFE_MS: i64 = 60_000;
/// How far the clocks of bridge and gateway may differ.
pub const CLOCK_SKEW_MAX_MS: i64 = 30_000;
/// Most commands remembered against replay. A command that would not fit is refused, none is forgotten early.
pub const COMMANDS_REMEMBERED_MAX: usize = 4096;

/// Why a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The name is empty, too long or not plain.
    #[error("the name of a key has 1 to {KEY_ID_MAX_BYTES} letters, digits or - _ .")]
    Id,
    /// All bytes are equal: a forgotten placeholder.
    #[error("the key {0:?} is a placeholder: make one with 32 random bytes")]
    Weak(String),
    /// Two keys with one name, or too many.
    #[error("a key ring has at most {RING_MAX_KEYS} keys, each with another name")]
    Ring,
}

/// A secret of 32 bytes that the bridge and one or more gateways share, and its public name.
#[derive(Clone)]
pub struct LinkKey {
    id: String,
    secret: Zeroizing<[u8; 32]>,
}

impl LinkKey {
    /// A key under the name `id`.
    ///
    /// # Errors
    /// If the name is not plain or the secret is a placeholder.
    pub fn new(id: &str, secret: [u8; 32]) -> Result<Self, KeyError> {
        let secret = Zeroizing::new(secret);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || id.len() > KEY_ID_MAX_BYTES || !id.chars().all(plain) {
            return Err(KeyError::Id);
        }
        if secret.iter().all(|byte| *byte == secret[0]) {
            return Err(KeyError::Weak(id.to_owned()));
        }
        Ok(Self { id: id.to_owned(), secret })
    }

    /// Its public name.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.keyed(message).finalize().into_bytes().into()
    }

    /// In constant time.
    pub(super) fn verify(&self, message: &[u8], mac: &[u8; 32]) -> bool {
        self.keyed(message).verify_slice(mac).is_ok()
    }

    fn keyed(&self, message: &[u8]) -> Hmac<Sha256> {
        let block: Zeroizing<[u8; 64]> = {
            // A key shorter than the hash's block is filled up with zeros (RFC 2104, section 2).
            let mut block = Zeroizing::new([0; 64]);
            block[..32].copy_from_slice(&*self.secret);
            block
        };
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        mac.update(message);
        mac
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkKey({:?}, …)", self.id)
    }
}

/// The keys that a gateway believes. Two while keys are being changed.
#[derive(Debug, Clone)]
pub struct KeyRing(Vec<LinkKey>);

impl KeyRing {
    /// A ring of these keys. An empty ring believes nobody.
    ///
    /// # Errors
    /// If two have one name or there are too many.
    pub fn new(keys: Vec<LinkKey>) -> Result<Self, KeyError> {
        let names: BTreeSet<&str> = keys.iter().map(LinkKey::id).collect();
        if names.len() != keys.len() || keys.len() > RING_MAX_KEYS {
            return Err(KeyError::Ring);
        }
        Ok(Self(keys))
    }

    pub(super) fn find(&self, id: &str) -> Option<&LinkKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

/// Bytes to authenticate: each field preceded by its length.
pub(super) struct Canonical(Vec<u8>);

impl Canonical {
    pub(super) fn new(purpose: &str) -> Self {
        let mut new = Self(Vec::with_capacity(256));
        new.text(purpose);
        new
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn instant(&mut self, at: UtcMillis) -> &mut Self {
        self.bytes(&at.0.to_be_bytes())
    }

    pub(super) fn optional(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.number(1).bytes(bytes),
            None => self.number(0),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Why an authentic command is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandRefused {
    /// A stored copy that the broker hands out to whoever subscribes.
    #[error("a stored copy of a command is never carried out")]
    Retained,
    /// Its time is over.
    #[error("the command came {late_ms} ms after its time")]
    Expired {
        /// How late.
        late_ms: i64,
    },
    /// Issued in the future: the clocks differ too much.
    #[error("the command is dated {ahead_ms} ms ahead; set the clocks of both machines")]
    FromTheFuture {
        /// How far ahead.
        ahead_ms: i64,
    },
    /// Wants to live longer than a command may.
    #[error("a command may live {COMMAND_MAX_LIFE_MS} ms at most")]
    LivesTooLong,
    /// Done before.
    #[error("the command was received before")]
    Replayed,
    /// Issued before this gateway started, so that it cannot know whether it was done.
    #[error("the command was given before this gateway started")]
    BeforeStart,
    /// For another gateway.
    #[error("the command is for another gateway")]
    NotForUs,
    /// Too many at once.
    #[error("too many commands at once")]
    TooMany,
}

/// Lets each command through once, in its time. Owned by the task that carries commands out; memory is bounded by
/// [`COMMANDS_REMEMBERED_MAX`].
#[derive(Debug)]
pub struct CommandGuard {
    me: GatewayId,
    started: UtcMillis,
    seen: BTreeSet<CommandId>,
    by_expiry: BTreeMap<(UtcMillis, CommandId), ()>,
    /// The latest wall time seen: a clock set back does not make an old command young again.
    latest: UtcMillis,
}

impl CommandGuard {
    /// For a gateway that started at `started`. What was issued before is refused: the guard remembers nothing from
    /// before, so it could not tell a replay.
    pub const fn new(me: GatewayId, started: UtcMillis) -> Self {
        Self { me, started, seen: BTreeSet::new(), by_expiry: BTreeMap::new(), latest: started }
    }

    /// May this authentic command be carried out now? `retained` is the transport's word that it is a stored copy.
    ///
    /// # Errors
    /// Why not. A refused command is not remembered.
    pub fn admit(&mut self, command: &Command, retained: bool, now: UtcMillis) -> Result<(), CommandRefused> {
        self.latest = self.latest.max(now);
        let now = self.latest;
        if retained {
            return Err(CommandRefused::Retained);
        }
        if command.gateway != self.me {
            return Err(CommandRefused::NotForUs);
        }
        if now >= command.expires_at {
            return Err(CommandRefused::Expired { late_ms: now.since_ms(command.expires_at) });
        }
        let ahead_ms = command.issued_at.since_ms(now);
        if ahead_ms > CLOCK_SKEW_MAX_MS {
            return Err(CommandRefused::FromTheFuture { ahead_ms });
        }
        if !(0..=COMMAND_MAX_LIFE_MS).contains(&command.expires_at.since_ms(command.issued_at)) {
            return Err(CommandRefused::LivesTooLong);
        }
        // Strictly, even if the sender's clock is a little behind: rather an order repeated by hand in the first
        // seconds after a start than a door opened twice.
        if command.issued_at < self.started {
            return Err(CommandRefused::BeforeStart);
        }
        self.forget_expired(now);
        if self.seen.contains(&command.id) {
            return Err(CommandRefused::Replayed);
        }
        if self.seen.len() >= COMMANDS_REMEMBERED_MAX {
            return Err(CommandRefused::TooMany);
        }
        self.seen.insert(command.id);
        self.by_expiry.insert((command.expires_at, command.id), ());
        Ok(())
    }

    fn forget_expired(&mut self, now: UtcMillis) {
        while let Some((&(expires_at, id), ())) = self.by_expiry.first_key_value() {
            if expires_at > now {
                return;
            }
            self.by_expiry.pop_first();
            self.seen.remove(&id);
        }
    }
}
