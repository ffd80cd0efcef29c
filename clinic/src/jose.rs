//! Signed tokens: JWS in compact form (RFC 7515) with ES256, ES384, RS256 and RS384 (RFC 7518), key sets (RFC 7517) and
//! their thumbprints (RFC 7638). For the OpenID provider, for assertions to systems without OpenID, and for what the bridge
//! signs as a client of others.
//!
//! Never accepts an algorithm that the caller did not list: neither `none` nor a MAC exists here, and the key must be of
//! the kind of the algorithm. Does no input or output, reads no clock: whether a token has expired is the caller's question
//! ([`Claims`] helps). May import nothing of ours.

mod claims;
mod key;
mod set;
mod verify;

pub use claims::{Claims, audience_of};
pub use key::{DrawError, SigningKey};
pub use set::{Jwk, JwkSet, KEYS_MAX, SET_MAX_BYTES};
pub use verify::{TOKEN_MAX_BYTES, Verified, verify};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::codes;
use thiserror::Error;

codes! {
    /// How a token is signed. The codes are the `alg` of RFC 7518.
    Algorithm {
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// ECDSA with P-384 and SHA-384.
        Es384 = "ES384",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
        /// RSASSA-PKCS1-v1_5 with SHA-384.
        Rs384 = "RS384",
    }
}

/// Why a token, a key or a set is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JoseError {
    /// Too long to be looked at.
    #[error("the token or key set is longer than is accepted")]
    TooLong,
    /// Not three parts of base64url with a JSON object in the first two.
    #[error("this is no signed token in compact form")]
    Malformed,
    /// Signed by an algorithm that is not among the allowed ones.
    #[error("the token's algorithm is not one of those allowed here")]
    Algorithm,
    /// The header demands an extension that is not understood.
    #[error("the token demands an extension (crit) that is not understood")]
    Critical,
    /// No key of the set fits.
    #[error("no key of the set fits the token's algorithm and key id")]
    NoKey,
    /// The signature is not of this token by this key.
    #[error("the signature does not fit")]
    Signature,
    /// A key that cannot be used.
    #[error("the key cannot be used: {0}")]
    Key(&'static str),
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding.
///
/// # Errors
/// [`JoseError::Malformed`].
pub fn decode(text: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JoseError::Malformed)
}

#[cfg(test)]
mod tests;
