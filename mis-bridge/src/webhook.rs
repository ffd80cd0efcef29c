//! Telling other systems by webhook: each change as a POST of JSON, signed as Standard Webhooks 1.0.0 says, so that the
//! receiver knows that it is ours, whole, recent, and which it had before.
//!
//! Owns the signature and how answers are understood. The JSON is [`clinic::outbox::body`], the same as in the feed of the
//! HTTP API. May import `clinic`, `domain` and the HTTP client.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clinic::changes::ChangeKind;
use clinic::outbox;
use domain::{Clock, SiteId};
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderName;
use sha2::Sha256;
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use crate::delivery::{Deliver, Delivered, Fact, FaultCode};
use crate::http::{self, Answer, Client, HttpError, Request};

/// What stands before a secret, as receivers' libraries expect it.
const SECRET_PREFIX: &str = "whsec_";
/// Sizes of a secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets that sign at once: the one in use and the one that is coming or going.
const SECRETS_MAX: usize = 2;

/// What a webhook is told unless the configuration says otherwise: everything.
pub const WANTS: &[ChangeKind] = ChangeKind::ALL;

/// A secret that signs. Never shown by `Debug`.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`SetupError::BadSecret`].
    pub fn parse(text: &str) -> Result<Self, SetupError> {
        let text = text.trim();
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text));
        let bytes = Zeroizing::new(bytes.map_err(|_| SetupError::BadSecret)?);
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SetupError::BadSecret) }
    }

    fn sign(&self, id: &str, seconds: i64, body: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// How a webhook is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is told.
    pub url: Url,
    /// One secret, or two while one takes the other's place: the receiver may check either.
    pub secrets: Vec<Secret>,
    /// Certificates, time-outs and limits.
    pub http: http::Settings,
    /// The site, in each message.
    pub site: SiteId,
}

/// Why a webhook cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A secret.
    #[error("a secret of a webhook is whsec_ and 24 to 64 random bytes in base64; one or two of them")]
    BadSecret,
    /// The address.
    #[error("the address of a webhook begins with https:// (http:// on this machine itself, or where it is allowed)")]
    BadAddress,
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] http::TlsError),
}

/// A system that is told by webhook.
#[derive(Debug)]
pub struct Webhook {
    settings: Settings,
    client: Client,
    clock: Clock,
}

impl Webhook {
    /// Checks the settings; asks nothing yet.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        if settings.secrets.is_empty() || settings.secrets.len() > SECRETS_MAX {
            return Err(SetupError::BadSecret);
        }
        if !http::may_ask(&settings.url, settings.http.plain).unwrap_or(false) {
            return Err(SetupError::BadAddress);
        }
        Ok(Self { client: Client::new(settings.http.clone())?, settings, clock })
    }

    /// The signed request of a fact. The id is the same at each repetition; the time is that of sending.
    fn request(&self, fact: &Fact) -> Result<Request, Delivered> {
        let id = format!("{}-{}-{}", self.settings.site.as_str(), fact.destination, fact.change.id);
        let body = outbox::body(fact, self.settings.site.as_str()).to_string();
        let seconds = self.clock.now().0.div_euclid(1000);
        let signatures: Vec<String> =
            self.settings.secrets.iter().filter_map(|secret| secret.sign(&id, seconds, &body)).collect();
        Request::post(self.settings.url.clone(), "application/json", body)
            .text_header(HeaderName::from_static("webhook-id"), &id)
            .and_then(|it| it.text_header(HeaderName::from_static("webhook-timestamp"), &seconds.to_string()))
            .and_then(|it| it.text_header(HeaderName::from_static("webhook-signature"), &signatures.join(" ")))
            .map_err(|_| Delivered::dead(FaultCode::Unspeakable, "header"))
    }

    fn understand(&self, answer: Result<Answer, HttpError>) -> Delivered {
        let answer = match answer {
            Ok(answer) => answer,
            Err(HttpError::Unreachable) => return Delivered::away(FaultCode::Unreachable, ""),
            Err(HttpError::Tls) => return Delivered::away(FaultCode::Tls, ""),
            Err(HttpError::Plain | HttpError::BadRequest) => return Delivered::away(FaultCode::Unspeakable, "address"),
            Err(HttpError::RequestTooLong) => return Delivered::dead(FaultCode::TooLong, "ours"),
            Err(HttpError::Late) => return Delivered::retry(FaultCode::Late, ""),
            Err(HttpError::Broken) => return Delivered::retry(FaultCode::Broken, ""),
            // Whatever it said at such length: it took the message or did not; the repetition has the same id.
            Err(HttpError::AnswerTooLong) => return Delivered::retry(FaultCode::TooLong, "answer"),
        };
        let fault = |code| clinic::outbox::Fault::new(code, &answer.status.to_string());
        let after = answer.retry_after(self.clock.now());
        match answer.status {
            200..300 => Delivered::Done,
            // Standard Webhooks: 410 says that nothing more is wanted. Somebody must look: everything waits.
            410 => Delivered::Away(fault(FaultCode::Gone), after),
            401 | 403 => Delivered::Away(fault(FaultCode::Unauthorised), after),
            429 | 503 => Delivered::Away(fault(FaultCode::Overloaded), after),
            502 | 504 => Delivered::Away(fault(FaultCode::Unreachable), after),
            413 => Delivered::Dead(fault(FaultCode::TooLong)),
            400 | 422 => Delivered::Dead(fault(FaultCode::Refused)),
            404 => Delivered::Retry(fault(FaultCode::NotFound), after),
            500.. => Delivered::Retry(fault(FaultCode::ServerFault), after),
            _ => Delivered::Retry(fault(FaultCode::BadAnswer), after),
        }
    }
}

impl Deliver for Webhook {
    async fn deliver(&self, fact: &Fact) -> Delivered {
        match self.request(fact) {
            Ok(request) => self.understand(self.client.send(request).await),
            Err(ended) => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification and of its libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_too_short_or_no_base64_is_refused() {
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all, however long it may be"] {
            assert!(Secret::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            format!("{:?}", Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()),
            "Secret(redacted)"
        );
    }
}
