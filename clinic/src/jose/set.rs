//! Public keys and sets of them, as they are published and read.

use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::{Algorithm, JoseError, decode, encode};

/// Largest key set that is read, in bytes.
pub const SET_MAX_BYTES: usize = 64 * 1024;
/// Most keys of a set that are read; a rotation has two or three.
pub const KEYS_MAX: usize = 32;
/// Longest key id that is read, in bytes.
const KID_MAX_BYTES: usize = 256;
/// Sizes of RSA moduli that are accepted, in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A public key, for one family of algorithms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    kid: String,
    /// The only algorithm that it may be used with, where its owner said so.
    algorithm: Option<Algorithm>,
    public: Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    /// An uncompressed point: 4, x, y.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl Public {
    /// The members that RFC 7638 makes the thumbprint of, in its order.
    fn required(&self) -> String {
        let curve = |name: &str, point: &[u8]| {
            let (x, y) = halves(point);
            format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, encode(x), encode(y))
        };
        match self {
            Self::P256(point) => curve("P-256", point),
            Self::P384(point) => curve("P-384", point),
            Self::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n)),
        }
    }

    const fn fits(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::P256(_), Algorithm::Es256)
                | (Self::P384(_), Algorithm::Es384)
                | (Self::Rsa { .. }, Algorithm::Rs256 | Algorithm::Rs384)
        )
    }
}

fn halves(point: &[u8]) -> (&[u8], &[u8]) {
    let numbers = point.get(1..).unwrap_or_default();
    numbers.split_at(numbers.len() / 2)
}

impl Jwk {
    pub(super) fn from_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, JoseError> {
        let public = match (algorithm, point.first(), point.len()) {
            (Algorithm::Es256, Some(4), 65) => Public::P256(point.to_vec()),
            (Algorithm::Es384, Some(4), 97) => Public::P384(point.to_vec()),
            _ => return Err(JoseError::Key("not a point of the algorithm's curve")),
        };
        Ok(Self::named_by_thumbprint(Some(algorithm), public))
    }

    pub(super) fn from_modulus(algorithm: Algorithm, n: Vec<u8>, e: Vec<u8>) -> Result<Self, JoseError> {
        if !MODULUS_BYTES.contains(&n.len()) || e.is_empty() || e.len() > 8 {
            return Err(JoseError::Key("an RSA key must have 2048 to 8192 bits and a short exponent"));
        }
        Ok(Self::named_by_thumbprint(Some(algorithm), Public::Rsa { n, e }))
    }

    fn named_by_thumbprint(algorithm: Option<Algorithm>, public: Public) -> Self {
        let kid = encode(digest(&SHA256, public.required().as_bytes()).as_ref());
        Self { kid, algorithm, public }
    }

    /// Its id; the thumbprint, where its owner gave none.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    #[must_use]
    pub(super) fn known_as(mut self, kid: &str) -> Self {
        kid.clone_into(&mut self.kid);
        self
    }

    /// Whether it may verify tokens of this algorithm.
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.public.fits(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether `signature` is of `message` by this key.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.allows(algorithm) {
            return false;
        }
        match &self.public {
            Public::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Public::P384(point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            Public::Rsa { n, e } => {
                let rules = if algorithm == Algorithm::Rs384 {
                    &RSA_PKCS1_2048_8192_SHA384
                } else {
                    &RSA_PKCS1_2048_8192_SHA256
                };
                RsaPublicKeyComponents { n, e }.verify(rules, message, signature).is_ok()
            }
        }
    }

    /// As a member of a published set.
    pub fn to_json(&self) -> Value {
        let curve = |name: &str, point: &[u8]| {
            let (x, y) = halves(point);
            json!({"kty": "EC", "crv": name, "x": encode(x), "y": encode(y), "kid": self.kid, "use": "sig"})
        };
        let mut value = match &self.public {
            Public::P256(point) => curve("P-256", point),
            Public::P384(point) => curve("P-384", point),
            Public::Rsa { n, e } => {
                json!({"kty": "RSA", "n": encode(n), "e": encode(e), "kid": self.kid, "use": "sig"})
            }
        };
        if let Some(algorithm) = self.algorithm {
            value["alg"] = algorithm.as_str().into();
        }
        value
    }

    /// Reads a member of a set; `None` for a key that is of no use here (another kind, for encryption, too short).
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| decode(text).ok());
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let algorithm = match text("alg") {
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        let public = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => Public::P256(point(&bytes("x")?, &bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Public::P384(point(&bytes("x")?, &bytes("y")?, 48)?),
            ("RSA", _) => {
                let (n, e) = (trimmed(bytes("n")?), trimmed(bytes("e")?));
                if !MODULUS_BYTES.contains(&n.len()) || e.is_empty() || e.len() > 8 {
                    return None;
                }
                Public::Rsa { n, e }
            }
            _ => return None,
        };
        if algorithm.is_some_and(|algorithm| !public.fits(algorithm)) {
            return None;
        }
        let key = Self::named_by_thumbprint(algorithm, public);
        match text("kid") {
            Some(kid) if kid.len() <= KID_MAX_BYTES => Some(key.known_as(kid)),
            Some(_) => None,
            None => Some(key),
        }
    }
}

fn point(x: &[u8], y: &[u8], bytes: usize) -> Option<Vec<u8>> {
    (x.len() == bytes && y.len() == bytes).then(|| [&[4], x, y].concat())
}

/// Without leading zeros, which some libraries write.
fn trimmed(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.into_iter().skip(zeros).collect()
}

/// Public keys, as published at a `jwks_uri`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet(pub Vec<Jwk>);

impl JwkSet {
    /// Reads a set; keys of no use here are left out, as RFC 7517 asks.
    ///
    /// # Errors
    /// [`JoseError::TooLong`]; [`JoseError::Malformed`]: no JSON object with an array `keys`.
    pub fn parse(text: &[u8]) -> Result<Self, JoseError> {
        if text.len() > SET_MAX_BYTES {
            return Err(JoseError::TooLong);
        }
        let value: Value = serde_json::from_slice(text).map_err(|_| JoseError::Malformed)?;
        let keys = value.get("keys").and_then(Value::as_array).ok_or(JoseError::Malformed)?;
        if keys.len() > KEYS_MAX {
            return Err(JoseError::TooLong);
        }
        Ok(Self(keys.iter().filter_map(Jwk::from_json).collect()))
    }

    /// As it is published.
    pub fn to_json(&self) -> Value {
        json!({"keys": self.0.iter().map(Jwk::to_json).collect::<Vec<_>>()})
    }
}
