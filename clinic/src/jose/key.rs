//! Keys that sign.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RsaKeyPair,
};
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Algorithm, JoseError, Jwk, encode};

/// Bits of an RSA key that is drawn here.
const RSA_BITS: usize = 2048;

/// A key cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the operating system gives no random bytes for a key")]
pub struct DrawError;

/// A private key for one algorithm. `Debug` shows its id only.
pub struct SigningKey {
    algorithm: Algorithm,
    kid: String,
    public: Jwk,
    pair: Pair,
}

enum Pair {
    Ec(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {}, redacted)", self.algorithm, self.kid)
    }
}

const fn curve(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Some(&ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Rs256 | Algorithm::Rs384 => None,
    }
}

impl SigningKey {
    /// Draws a key, as PKCS#8 for [`SigningKey::from_pkcs8`]. An RSA key takes up to seconds of computing: call it where
    /// that blocks nobody.
    ///
    /// # Errors
    /// [`DrawError`].
    pub fn draw(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, DrawError> {
        if let Some(curve) = curve(algorithm) {
            let document = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).map_err(|_| DrawError)?;
            return Ok(Zeroizing::new(document.as_ref().to_vec()));
        }
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS).map_err(|_| DrawError)?;
        let document = key.to_pkcs8_der().map_err(|_| DrawError)?;
        Ok(Zeroizing::new(document.as_bytes().to_vec()))
    }

    /// Reads a private key in PKCS#8 (DER).
    ///
    /// # Errors
    /// [`JoseError::Key`]: not a key for this algorithm; an RSA key must have 2048 bits at least.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, JoseError> {
        let (pair, public) = if let Some(curve) = curve(algorithm) {
            let pair = EcdsaKeyPair::from_pkcs8(curve, der, &SystemRandom::new())
                .map_err(|_| JoseError::Key("not PKCS#8 of the algorithm's curve"))?;
            let public = Jwk::from_point(algorithm, pair.public_key().as_ref())?;
            (Pair::Ec(Box::new(pair)), public)
        } else {
            let pair = RsaKeyPair::from_pkcs8(der)
                .map_err(|_| JoseError::Key("not PKCS#8 of an RSA key of 2048 to 4096 bits"))?;
            let components: ring::signature::RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
            let public = Jwk::from_modulus(algorithm, components.n, components.e)?;
            (Pair::Rsa(Box::new(pair)), public)
        };
        Ok(Self { algorithm, kid: public.kid().to_owned(), public, pair })
    }

    /// Which algorithm it signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its id: the thumbprint of RFC 7638.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The same under another id, as another system knows the key.
    #[must_use]
    pub fn known_as(mut self, kid: &str) -> Self {
        self.public = self.public.known_as(kid);
        kid.clone_into(&mut self.kid);
        self
    }

    /// The public half.
    pub const fn public(&self) -> &Jwk {
        &self.public
    }

    /// Signs claims, given as a JSON object. `kind` becomes the header's `typ`; `header` adds further members, which
    /// cannot replace `alg`, `kid` and `typ`.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] when the claims are no object; [`JoseError::Signature`] when the operating system gives no
    /// random bytes.
    pub fn sign(&self, kind: &str, header: Map<String, Value>, claims: &Value) -> Result<String, JoseError> {
        if !claims.is_object() {
            return Err(JoseError::Malformed);
        }
        let mut header = header;
        header.insert("alg".to_owned(), self.algorithm.as_str().into());
        header.insert("kid".to_owned(), self.kid.as_str().into());
        header.insert("typ".to_owned(), kind.into());
        let header = Value::Object(header).to_string();
        let mut token = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.sign_bytes(token.as_bytes())?;
        token.push('.');
        token.push_str(&encode(&signature));
        Ok(token)
    }

    fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, message).map_err(|_| JoseError::Signature)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Rsa(pair) => {
                let padding: &'static dyn ring::signature::RsaEncoding =
                    if self.algorithm == Algorithm::Rs384 { &RSA_PKCS1_SHA384 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(|_| JoseError::Signature)?;
                Ok(signature)
            }
        }
    }
}
