//! Reading requests of other systems: forms in which each parameter stands once, and the two headers of credentials.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clinic::openid::{Code, Credentials, Refusal};
use url::form_urlencoded;

/// Most parameters of a form that are read.
const FIELDS_MAX: usize = 64;
/// Longest header of credentials, in bytes.
const HEADER_MAX_BYTES: usize = 4096;

/// A form; an empty parameter is as none.
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        const TYPE: Refusal = Refusal::new(Code::InvalidRequest, "send application/x-www-form-urlencoded");
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(TYPE);
        }
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body).take(FIELDS_MAX) {
            if fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(Refusal::new(Code::InvalidRequest, "a parameter came twice"));
            }
        }
        Ok(Self(fields))
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// What the caller proves itself with.
    pub fn credentials(&self, headers: &HeaderMap) -> Result<Credentials, Refusal> {
        Ok(Credentials {
            basic: basic(headers)?,
            client_id: self.get("client_id"),
            client_secret: self.get("client_secret"),
            assertion_type: self.get("client_assertion_type"),
            assertion: self.get("client_assertion"),
        })
    }
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok().filter(|text| text.len() <= HEADER_MAX_BYTES)?;
    let (own, rest) = text.split_once(' ')?;
    own.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Name and secret are form-encoded before they are joined (RFC 6749 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refusal> {
    const BAD: Refusal = Refusal::new(Code::InvalidClient, "the Authorization header cannot be read");
    let Some(text) = authorization(headers, "basic") else { return Ok(None) };
    let joined = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(BAD)?;
    let (id, secret) = joined.split_once(':').ok_or(BAD)?;
    let plain = |text: &str| {
        form_urlencoded::parse(format!("x={}", text.replace('&', "%26")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    Ok(Some((plain(id), plain(secret))))
}

/// The access token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer").filter(|token| !token.is_empty())
}
