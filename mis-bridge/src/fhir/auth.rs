//! How a server lets us in: not at all asked, by name and password, by a fixed token, or by SMART Backend Services (a
//! signed assertion for a short-lived token, HL7 SMART App Launch 2.2, "Backend Services").

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clinic::jose::SigningKey;
use domain::{Clock, UtcMillis};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::fault;
use crate::delivery::{Delivered, FaultCode};
use crate::http::{Client, Request};

/// How long an assertion is good for, in milliseconds: five minutes, the most that SMART allows.
const ASSERTION_LIFE_MS: i64 = 300_000;
/// A token is renewed so long before its end, in milliseconds.
const RENEW_BEFORE_MS: i64 = 15_000;
/// How long a token is good for whose answer does not say, in milliseconds.
const LIFE_UNSAID_MS: i64 = 60_000;
/// Longest life that is believed, in seconds: a day.
const LIFE_MAX_S: i64 = 86_400;

/// How a server lets us in. Never shown by `Debug`.
#[derive(Clone)]
pub enum Auth {
    /// It asks for nothing.
    None,
    /// HTTP Basic.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A fixed token.
    Bearer(Zeroizing<String>),
    /// SMART Backend Services.
    Backend {
        /// Where tokens are given.
        token_url: Url,
        /// Who we are there.
        client_id: String,
        /// What we may be let do, for example `system/Encounter.cru system/Patient.rs`.
        scope: String,
        /// Our key; its public half is known there.
        key: BackendKey,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Auth(none)",
            Self::Basic { .. } => "Auth(basic)",
            Self::Bearer(_) => "Auth(bearer)",
            Self::Backend { .. } => "Auth(backend services)",
        })
    }
}

/// The key that signs assertions (ES384, ES256 or RS384). Cheap to clone.
#[derive(Clone)]
pub struct BackendKey(Arc<SigningKey>);

impl BackendKey {
    /// This key.
    pub fn new(key: SigningKey) -> Self {
        Self(Arc::new(key))
    }
}

/// A token and until when it is good.
struct Token {
    header: Zeroizing<String>,
    until: UtcMillis,
}

/// Gives the `Authorization` of requests.
pub(super) struct Doorman {
    auth: Auth,
    clock: Clock,
    token: Mutex<Option<Token>>,
}

impl Doorman {
    pub(super) fn new(auth: Auth, clock: Clock) -> Self {
        Self { auth, clock, token: Mutex::new(None) }
    }

    /// What to send as `Authorization`; `None`: nothing. One request for a token at a time, for all who wait.
    pub(super) async fn header(&self, client: &Client) -> Result<Option<Zeroizing<String>>, Delivered> {
        match &self.auth {
            Auth::None => Ok(None),
            Auth::Basic { user, password } => {
                let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
                Ok(Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))))
            }
            Auth::Bearer(token) => Ok(Some(Zeroizing::new(format!("Bearer {}", token.as_str())))),
            Auth::Backend { token_url, client_id, scope, key } => {
                let mut kept = self.token.lock().await;
                let now = self.clock.now();
                if let Some(token) = kept.as_ref().filter(|token| token.until > now) {
                    return Ok(Some(token.header.clone()));
                }
                let token = ask(client, token_url, client_id, scope, key, now).await?;
                let header = token.header.clone();
                *kept = Some(token);
                Ok(Some(header))
            }
        }
    }

    /// Forgets a token that was refused; whether a new one can be had. Another request may have got one already: that
    /// one stays.
    pub(super) async fn refused(&self, header: &str) -> bool {
        if !matches!(self.auth, Auth::Backend { .. }) {
            return false;
        }
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.header.as_str() == header) {
            *kept = None;
        }
        true
    }
}

async fn ask(
    client: &Client,
    token_url: &Url,
    client_id: &str,
    scope: &str,
    key: &BackendKey,
    now: UtcMillis,
) -> Result<Token, Delivered> {
    let seconds = now.0.div_euclid(1000);
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|_| Delivered::retry(FaultCode::Unspeakable, "random"))?;
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": token_url.as_str(),
        "iat": seconds,
        "exp": seconds + ASSERTION_LIFE_MS / 1000,
        "jti": uuid::Builder::from_random_bytes(random).into_uuid().to_string(),
    });
    let assertion = key.0.sign("JWT", Map::new(), &claims);
    let assertion = assertion.map_err(|_| Delivered::away(FaultCode::Unspeakable, "key"))?;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", scope)
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_assertion", &assertion)
        .finish();
    let request = Request::post(token_url.clone(), "application/x-www-form-urlencoded", form)
        .text_header(hyper::header::ACCEPT, "application/json")
        .map_err(fault::of_http)?;
    let answer = client.send(request).await.map_err(fault::of_http)?;
    let away = |code, detail: &str| Delivered::away(code, &format!("token {} {detail}", answer.status));
    if !answer.is_success() {
        // RFC 6749, 5.2: the error is a code of the protocol.
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let error = body.as_ref().and_then(|body| body["error"].as_str()).unwrap_or_default();
        return Err(match answer.status {
            400..=403 => away(FaultCode::Unauthorised, error),
            429 | 503 => away(FaultCode::Overloaded, error),
            _ => away(FaultCode::ServerFault, error),
        });
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_| away(FaultCode::BadAnswer, "json"))?;
    let token = body["access_token"].as_str().filter(|token| !token.is_empty() && token.len() <= 16 * 1024);
    let token = token.ok_or_else(|| away(FaultCode::BadAnswer, "access_token"))?;
    let is_bearer = body["token_type"].as_str().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !is_bearer {
        return Err(away(FaultCode::BadAnswer, "token_type"));
    }
    let life = body["expires_in"].as_i64().or_else(|| body["expires_in"].as_str()?.parse().ok());
    let life_ms = life.map_or(LIFE_UNSAID_MS, |seconds| seconds.clamp(0, LIFE_MAX_S) * 1000);
    // A token that lives shorter than the margin is used for half its life.
    let until = now.plus_ms((life_ms - RENEW_BEFORE_MS).max(life_ms / 2));
    Ok(Token { header: Zeroizing::new(format!("Bearer {token}")), until })
}

/// The least wait before a server that refuses us is asked again: nothing that throttles by failures is provoked.
pub(super) const REFUSED_WAIT: Duration = Duration::from_secs(30);
