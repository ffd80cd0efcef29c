//! Reading signed tokens. The order is the safety: sizes, then shape, then the algorithm against the caller's list, then
//! the key's own kind, then the signature; claims are looked at by nobody before.

use serde_json::{Map, Value};

use super::{Algorithm, Claims, JoseError, JwkSet, decode};

/// Longest token that is read, in bytes.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// A token whose signature fits.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What it is signed with.
    pub algorithm: Algorithm,
    /// The header's `typ`, if there is one.
    pub kind: Option<String>,
    /// The id of the key that fits.
    pub kid: String,
    /// What it says.
    pub claims: Claims,
}

/// Reads a token that one of `keys` signed by one of the `allowed` algorithms. With a `kid` in the header only the keys
/// of that id are tried, without one all that fit the algorithm.
///
/// # Errors
/// [`JoseError`]; whether the claims are good is not looked at.
pub fn verify(token: &str, keys: &JwkSet, allowed: &[Algorithm]) -> Result<Verified, JoseError> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(JoseError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JoseError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(JoseError::Malformed)?;
    let header = object(header)?;
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let algorithm = text("alg").and_then(Algorithm::parse).ok_or(JoseError::Algorithm)?;
    if !allowed.contains(&algorithm) {
        return Err(JoseError::Algorithm);
    }
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(JoseError::Critical);
    }
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().ok_or(JoseError::Malformed)?),
    };
    let signature = decode(signature)?;
    let mut fitting =
        keys.0.iter().filter(|key| key.allows(algorithm) && kid.is_none_or(|kid| key.kid() == kid)).peekable();
    if fitting.peek().is_none() {
        return Err(JoseError::NoKey);
    }
    let key = fitting.find(|key| key.verifies(algorithm, signed.as_bytes(), &signature)).ok_or(JoseError::Signature)?;
    let claims = Claims(object(payload)?);
    Ok(Verified { algorithm, kind: text("typ").map(str::to_owned), kid: key.kid().to_owned(), claims })
}

fn object(part: &str) -> Result<Map<String, Value>, JoseError> {
    match serde_json::from_slice(&decode(part)?) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(JoseError::Malformed),
    }
}
