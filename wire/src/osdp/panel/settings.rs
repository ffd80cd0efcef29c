//! What a line and its readers are told to be. Checked before anything is sent.

use std::time::Duration;

use super::super::frame::Check;
use super::super::secure::{Scbk, WeakKey};
use super::super::{BAUD_RATES, MAX_ADDRESS};

/// Settings of one line.
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// Speed the port is open at, bits a second: one of [`BAUD_RATES`].
    pub baud: u32,
    /// How long a reader may take to begin its reply (SIA 050-04: 200 ms).
    pub reply_timeout: Duration,
    /// Silence after which a reader is offline: 1 s to 60 s, 8 s by default.
    pub offline_after: Duration,
    /// Least time between two polls of the same reader. Zero: as fast as the line goes. On a
    /// pseudo-terminal or TCP nothing else slows the polling down; 5 ms there saves CPU.
    pub poll_interval: Duration,
    /// A session is renewed at this age (attack 13).
    pub session_max_age: Duration,
    /// A session is renewed after this many commands (attack 13).
    pub session_max_frames: u64,
}

impl BusSettings {
    /// The defaults of the standard and of this product, at a given speed.
    pub fn new(baud: u32) -> Self {
        Self {
            baud,
            reply_timeout: Duration::from_millis(200),
            offline_after: Duration::from_secs(8),
            poll_interval: Duration::ZERO,
            session_max_age: Duration::from_secs(8 * 3600),
            session_max_frames: 1 << 20,
        }
    }

    /// The time of one character on the wire: start bit, eight bits, stop bit.
    pub fn character(&self) -> Duration {
        character_time(self.baud)
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if !BAUD_RATES.contains(&self.baud) {
            return Err(SettingsError::Baud(self.baud));
        }
        if self.offline_after < Duration::from_secs(1) || self.offline_after > Duration::from_secs(60) {
            return Err(SettingsError::OfflineAfter(self.offline_after));
        }
        Ok(())
    }
}

pub(super) fn character_time(baud: u32) -> Duration {
    Duration::from_nanos(10_000_000_000 / u64::from(baud.max(1)))
}

/// How a reader is protected. Configuration decides this, never the reader (attack 2).
#[derive(Clone, Debug)]
pub enum Security {
    /// Secure Channel with the reader's own key. Nothing unauthenticated is believed.
    Keyed {
        /// The key in use.
        key: Scbk,
        /// A key that may already be in the reader, because a rotation was begun: whichever
        /// the reader proves is used, and [`super::EventKind::KeyRotated`] says so.
        next: Option<Scbk>,
    },
    /// In clear, because somebody answers for it. The caller watches the date and removes the
    /// reader when it has passed.
    Insecure {
        /// Who accepted it.
        accepted_by: String,
        /// Until when, as shown to people.
        until: String,
    },
    /// No key yet: supervised only, nothing it says about people is believed. The state before
    /// [`super::Bus::provision`].
    Unprovisioned,
}

/// Who the reader was when it was provisioned (attack 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinnedIdentity {
    /// Vendor code (OUI).
    pub vendor: [u8; 3],
    /// Serial number.
    pub serial: u32,
}

/// Settings of one reader.
#[derive(Clone, Debug)]
pub struct ReaderSettings {
    /// Address, 0 to 0x7E.
    pub address: u8,
    /// How it is protected.
    pub security: Security,
    /// CRC; a checksum only for old readers without a key.
    pub check: Check,
    /// The identity it must show; a different one is an alarm even with the right key.
    pub pinned: Option<PinnedIdentity>,
}

impl ReaderSettings {
    /// A reader with a key.
    pub fn keyed(address: u8, key: Scbk) -> Self {
        Self { address, security: Security::Keyed { key, next: None }, check: Check::Crc, pinned: None }
    }

    /// A reader in clear, by somebody's decision.
    pub fn insecure(address: u8, accepted_by: impl Into<String>, until: impl Into<String>) -> Self {
        let security = Security::Insecure { accepted_by: accepted_by.into(), until: until.into() };
        Self { address, security, check: Check::Crc, pinned: None }
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let address = self.address;
        if address > MAX_ADDRESS {
            return Err(SettingsError::Address(address));
        }
        match &self.security {
            Security::Keyed { key, next } => {
                if self.check != Check::Crc {
                    return Err(SettingsError::ChecksumWithKey(address));
                }
                for key in [Some(key), next.as_ref()].into_iter().flatten() {
                    key.check_strength().map_err(|reason| SettingsError::WeakKey { address, reason })?;
                }
            }
            Security::Insecure { accepted_by, .. } if accepted_by.trim().is_empty() => {
                return Err(SettingsError::NobodyAccepted(address));
            }
            Security::Insecure { .. } | Security::Unprovisioned => {}
        }
        Ok(())
    }

    /// True if any key of `self` is also a key of `other`.
    pub(super) fn shares_key(&self, other: &Self) -> bool {
        self.keys().any(|key| other.keys().any(|theirs| theirs == key))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Scbk> {
        let keys = match &self.security {
            Security::Keyed { key, next } => [Some(key), next.as_ref()],
            Security::Insecure { .. } | Security::Unprovisioned => [None, None],
        };
        keys.into_iter().flatten()
    }
}

/// What is wrong with settings. For the one who wrote the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a speed of the standard.
    #[error("{0} is not an OSDP speed; use 9600, 19200, 38400, 57600, 115200 or 230400")]
    Baud(u32),
    /// Offline time out of range.
    #[error("offline after {0:?} is outside 1 s to 60 s")]
    OfflineAfter(Duration),
    /// Not an address of one device.
    #[error("address {0} is not a reader's address; use 0 to 126")]
    Address(u8),
    /// Two readers with one address.
    #[error("address {0} is used twice on this line")]
    DuplicateAddress(u8),
    /// A key anybody would try.
    #[error("the key of the reader at address {address} is refused: {reason}")]
    WeakKey {
        /// Which reader.
        address: u8,
        /// Why.
        reason: WeakKey,
    },
    /// The same key in two readers.
    #[error("the readers at addresses {0} and {1} have the same key; give each its own")]
    SharedKey(u8, u8),
    /// Secure Channel allows only the CRC.
    #[error("the reader at address {0} has a key and asks for a checksum; a key needs the CRC")]
    ChecksumWithKey(u8),
    /// Insecure without a name.
    #[error("the reader at address {0} has no key and nobody accepted that; give it a key, or a name and a date")]
    NobodyAccepted(u8),
}
