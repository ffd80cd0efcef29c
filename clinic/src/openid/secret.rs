//! Random tokens, their stored hashes, and the seal of what must be read again.

use std::fmt;
use std::sync::Arc;

use domain::vault::{BoxKey, NONCE_BYTES, Nonce, Place, Sealed};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::OpenIdError;
use crate::jose;

const TOKEN_BYTES: usize = 32;

/// A secret of 256 random bits as base64url: a code, a token, the name of a waiting request. `Debug` never shows it.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    pub(super) fn draw() -> Result<Self, OpenIdError> {
        let mut bytes = Zeroizing::new([0_u8; TOKEN_BYTES]);
        fill(bytes.as_mut())?;
        Ok(Self(Zeroizing::new(jose::encode(bytes.as_ref()))))
    }

    /// The token, for the one it is given to.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the database stores. The token is random, so a plain hash is enough.
    pub(super) fn stored(&self) -> String {
        stored(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// SHA-256 as hexadecimal digits: what is stored of a secret.
pub(super) fn stored(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// The challenge of a PKCE verifier (RFC 7636, S256).
pub(super) fn challenge_of(verifier: &str) -> String {
    jose::encode(&Sha256::digest(verifier.as_bytes()))
}

/// A public id: 128 random bits as base64url.
pub(super) fn draw_id() -> Result<String, OpenIdError> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    Ok(jose::encode(&bytes))
}

fn fill(bytes: &mut [u8]) -> Result<(), OpenIdError> {
    getrandom::fill(bytes).map_err(|_| OpenIdError::System("the operating system gives no random bytes"))
}

/// Seals for one column of one row. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sealer(Arc<BoxKey>);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(redacted)")
    }
}

impl Sealer {
    pub fn new(key: BoxKey) -> Self {
        Self(Arc::new(key))
    }

    pub fn seal(&self, table: &'static str, row: &str, clear: &[u8]) -> Result<Vec<u8>, OpenIdError> {
        let mut random = [0; NONCE_BYTES];
        fill(&mut random)?;
        Ok(self.0.seal(Place { table, column: "sealed", row }, Nonce::new(random), clear).into_bytes())
    }

    pub fn open(&self, table: &'static str, row: &str, sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, OpenIdError> {
        const WHY: &str = "what is sealed in the tables of the OpenID provider does not open with this site's key";
        let sealed = Sealed::from_bytes(sealed).map_err(|_| OpenIdError::System(WHY))?;
        self.0.open(Place { table, column: "sealed", row }, &sealed).map_err(|_| OpenIdError::System(WHY))
    }
}
