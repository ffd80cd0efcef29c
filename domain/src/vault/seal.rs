//! Authenticated encryption bound to a place: what is sealed for one row, column and table opens nowhere else.
//!
//! A sealed value is `algorithm (1) | key id (8) | nonce | ciphertext and tag`. The authenticated data are
//! `"tapward vault 1" | algorithm (1) | key id (8)` and then table, column and row, each behind its length in two bytes,
//! high byte first. The algorithm is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random nonce of 192 bits,
//! which may be drawn 2^80 times under one key before a repetition is to be feared.

use std::fmt;
use std::str::FromStr;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::PersonId;
use crate::card::keyed_hash;

/// Length of each key, in bytes.
pub const KEY_BYTES: usize = 32;
/// Length of a nonce of ours, in bytes.
pub const NONCE_BYTES: usize = 24;
/// Longest sealed value, in bytes: a photograph of 5 MiB and some. A longer one is refused before it is looked at.
pub const SEALED_MAX_BYTES: usize = 6 << 20;

const KEY_ID_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const CONTEXT: &[u8] = b"tapward vault 1";

/// How a value is sealed. The number stands in the value's first byte and is never given to anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// XChaCha20-Poly1305, by this program.
    XChaCha20Poly1305,
    /// AES-256-GCM with a nonce of 96 bits, by a browser that keeps the key; we cannot open it.
    Aes256Gcm,
}

impl Algorithm {
    /// The first byte of a sealed value.
    pub const fn number(self) -> u8 {
        match self {
            Self::XChaCha20Poly1305 => 1,
            Self::Aes256Gcm => 2,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::XChaCha20Poly1305),
            2 => Some(Self::Aes256Gcm),
            _ => None,
        }
    }

    const fn nonce_bytes(self) -> usize {
        match self {
            Self::XChaCha20Poly1305 => NONCE_BYTES,
            Self::Aes256Gcm => 12,
        }
    }
}

/// Which key sealed something: eight bytes of a keyed hash of the key. Tells keys apart, tells nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; KEY_ID_BYTES]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        if text.len() != 2 * KEY_ID_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(OpenError::Malformed);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| OpenError::Malformed)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// Where a sealed value stands. It opens there and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table, or the kind of file.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// What tells the row from the others: a person's id, an account's id. Never personal data, at most 200 bytes.
    pub row: &'a str,
}

/// 24 random bytes, used once: neither copied nor cloned.
#[derive(Debug)]
pub struct Nonce([u8; NONCE_BYTES]);

impl Nonce {
    /// Takes bytes that the caller has just drawn from the operating system.
    pub const fn new(random: [u8; NONCE_BYTES]) -> Self {
        Self(random)
    }
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Not the form of a sealed value.
    #[error("this is not a sealed value; the row may be damaged")]
    Malformed,
    /// Sealed in a way that this program does not open.
    #[error(
        "this was sealed in a way that this program cannot open; it may belong to a workstation or a newer version"
    )]
    Unsupported,
    /// Sealed by another key.
    #[error("this was sealed with the key {0}, which is not at hand")]
    OtherKey(KeyId),
    /// Something was changed since it was sealed, or it was moved here from another place.
    #[error("this was changed or moved since it was sealed; restore it from a backup")]
    Altered,
}

/// A value as it is stored: encrypted and authenticated. Its bytes may be kept anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Reads stored bytes; checks their form only.
    ///
    /// # Errors
    /// [`OpenError::Malformed`], [`OpenError::Unsupported`] for an algorithm unknown to this version.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, OpenError> {
        let first = *bytes.first().ok_or(OpenError::Malformed)?;
        let algorithm = Algorithm::of(first).ok_or(OpenError::Unsupported)?;
        let least = 1 + KEY_ID_BYTES + algorithm.nonce_bytes() + TAG_BYTES;
        if bytes.len() < least || bytes.len() > SEALED_MAX_BYTES {
            return Err(OpenError::Malformed);
        }
        Ok(Self(bytes))
    }

    /// What is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is stored, given away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How it was sealed.
    pub fn algorithm(&self) -> Algorithm {
        // The form was checked when the value was made.
        Algorithm::of(self.0[0]).unwrap_or(Algorithm::XChaCha20Poly1305)
    }

    /// Which key sealed it.
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&self.0[1..=KEY_ID_BYTES]);
        KeyId(id)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({:?}, key {}, {} bytes)", self.algorithm(), self.key_id(), self.0.len())
    }
}

/// 32 bytes with their id; what all kinds of keys are made of.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Key {
    bytes: [u8; KEY_BYTES],
    #[zeroize(skip)]
    id: KeyId,
}

impl Key {
    fn new(bytes: [u8; KEY_BYTES], kind: &[u8]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = keyed_hash(&bytes, &[b"tapward key id 1", kind]);
        Self { bytes, id: KeyId([a, b, c, d, e, f, g, h]) }
    }

    fn seal(&self, place: Place<'_>, nonce: Nonce, clear: &[u8]) -> Sealed {
        let algorithm = Algorithm::XChaCha20Poly1305;
        let aad = authenticated(place, algorithm, self.id);
        let cipher = XChaCha20Poly1305::new(&self.bytes.into());
        // Fails only for texts of 256 GiB.
        let body = cipher.encrypt(&XNonce::from(nonce.0), Payload { msg: clear, aad: &aad }).unwrap_or_default();
        let mut bytes = Vec::with_capacity(1 + KEY_ID_BYTES + NONCE_BYTES + body.len());
        bytes.push(algorithm.number());
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&nonce.0);
        bytes.extend_from_slice(&body);
        Sealed(bytes)
    }

    fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let algorithm = sealed.algorithm();
        if algorithm != Algorithm::XChaCha20Poly1305 {
            return Err(OpenError::Unsupported);
        }
        if sealed.key_id() != self.id {
            return Err(OpenError::OtherKey(sealed.key_id()));
        }
        let (nonce, body) = sealed.0[1 + KEY_ID_BYTES..].split_at_checked(NONCE_BYTES).ok_or(OpenError::Malformed)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| OpenError::Malformed)?;
        let aad = authenticated(place, algorithm, self.id);
        let cipher = XChaCha20Poly1305::new(&self.bytes.into());
        let clear = cipher.decrypt(&XNonce::from(nonce), Payload { msg: body, aad: &aad });
        clear.map(Zeroizing::new).map_err(|_| OpenError::Altered)
    }
}

fn authenticated(place: Place<'_>, algorithm: Algorithm, key: KeyId) -> Vec<u8> {
    let mut aad = Vec::with_capacity(96);
    aad.extend_from_slice(CONTEXT);
    aad.push(algorithm.number());
    aad.extend_from_slice(&key.0);
    for part in [place.table, place.column, place.row] {
        // A part longer than 64 KiB would have the length of a shorter one, but its bytes are authenticated as well.
        aad.extend_from_slice(&(part.len() as u16).to_be_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    aad
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Key);

        impl $name {
            /// Takes 32 random bytes.
            pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
                Self(Key::new(bytes, $kind))
            }

            /// Which key this is.
            pub fn id(&self) -> KeyId {
                self.0.id
            }

            /// Encrypts for one place. `nonce` is used up.
            pub fn seal(&self, place: Place<'_>, nonce: Nonce, clear: &[u8]) -> Sealed {
                self.0.seal(place, nonce, clear)
            }

            /// Decrypts what was sealed for this place.
            ///
            /// # Errors
            /// [`OpenError`].
            pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
                self.0.open(place, sealed)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}, redacted)"), self.0.id)
            }
        }
    };
}

key!(/// The site's key-encryption key: wraps the keys of persons, never data. Wiped when dropped.
    Kek, b"kek");
key!(/// One person's data-encryption key: seals everything known of them. Wiped when dropped.
    Dek, b"dek");
key!(/// A key of the site for secrets that are nobody's passport: second factors, addresses of staff. Wiped when dropped.
    BoxKey, b"box");

impl Kek {
    /// Encrypts a person's key so that it opens for this person only.
    pub fn wrap(&self, person: PersonId, nonce: Nonce, dek: &Dek) -> Sealed {
        self.seal(Place { table: "passport", column: "wrapped_key", row: &person.to_string() }, nonce, &dek.0.bytes)
    }

    /// Decrypts a person's key.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn unwrap(&self, person: PersonId, wrapped: &Sealed) -> Result<Dek, OpenError> {
        let place = Place { table: "passport", column: "wrapped_key", row: &person.to_string() };
        let clear = self.open(place, wrapped)?;
        let bytes: [u8; KEY_BYTES] = clear.as_slice().try_into().map_err(|_| OpenError::Malformed)?;
        Ok(Dek::new(bytes))
    }

    /// Encrypts the key that came before this one, so that whoever has the new key can finish the change to it.
    pub fn wrap_former(&self, nonce: Nonce, former: &Self) -> Sealed {
        let row = former.id().to_string();
        self.seal(Place { table: "vault_key", column: "former", row: &row }, nonce, &former.0.bytes)
    }

    /// Decrypts the key that came before, known as `id`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn unwrap_former(&self, id: KeyId, wrapped: &Sealed) -> Result<Self, OpenError> {
        let clear = self.open(Place { table: "vault_key", column: "former", row: &id.to_string() }, wrapped)?;
        let bytes: [u8; KEY_BYTES] = clear.as_slice().try_into().map_err(|_| OpenError::Malformed)?;
        Ok(Self::new(bytes))
    }
}

#[cfg(test)]
mod tests;
