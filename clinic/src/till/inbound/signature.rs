//! Signatures of notices, as Standard Webhooks 1.0.0 says: an HMAC over the message's id, its time and its body. An old message
//! is refused, so that one that was overheard cannot be told again later; the same one within that time is recognised by
//! its id.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::UtcMillis;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error as ThisError;
use zeroize::Zeroizing;

/// What stands before a secret, as services' pages show it.
const SECRET_PREFIX: &str = "whsec_";
/// Sizes of a secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How far the time of a message may be from ours, in milliseconds: 5 minutes, as the specification recommends.
const TOLERANCE_MS: u64 = 5 * 60 * 1000;
/// Most signatures of one message that are looked at.
const SIGNATURES_MAX: usize = 8;

/// A secret shared with a payment service. Never shown by `Debug`.
#[derive(Clone)]
pub struct NoticeSecret(Zeroizing<Vec<u8>>);

impl NoticeSecret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let text = text.trim();
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text));
        let bytes = Zeroizing::new(bytes.map_err(|_| BadSecret)?);
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(BadSecret) }
    }
}

impl fmt::Debug for NoticeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticeSecret(redacted)")
    }
}

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[error("a secret of a payment service is whsec_ and 24 to 64 random bytes in base64")]
pub struct BadSecret;

/// A payment service of the configuration.
#[derive(Debug, Clone)]
pub struct PaymentService {
    /// Its name: lower-case letters, digits, `-` and `_`, at most 40. It stands in the address and at its payments.
    pub name: String,
    /// One secret, or two while one takes the other's place.
    pub secrets: Vec<NoticeSecret>,
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum Unbelieved {
    /// Its time is missing, no number, or too far from ours.
    #[error("its time is more than 5 minutes from ours; check the clocks, and sign each sending anew")]
    Time,
    /// No signature fits.
    #[error("no signature fits; check the secret")]
    Signature,
}

impl PaymentService {
    /// Checks the signature of a message.
    ///
    /// # Errors
    /// [`Unbelieved`].
    pub fn check(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: UtcMillis,
    ) -> Result<(), Unbelieved> {
        let seconds: i64 = timestamp.parse().map_err(|_| Unbelieved::Time)?;
        let at = seconds.checked_mul(1000).ok_or(Unbelieved::Time)?;
        if at.abs_diff(now.0) > TOLERANCE_MS {
            return Err(Unbelieved::Time);
        }
        let given = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(SIGNATURES_MAX);
        for signature in given.filter_map(|text| STANDARD.decode(text).ok()) {
            for secret in &self.secrets {
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) else { continue };
                mac.update(format!("{id}.{timestamp}.").as_bytes());
                mac.update(body);
                if mac.verify_slice(&signature).is_ok() {
                    return Ok(());
                }
            }
        }
        Err(Unbelieved::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const AT: UtcMillis = UtcMillis(1_614_265_330_000);

    fn service(secrets: &[&str]) -> PaymentService {
        let secrets = secrets.iter().map(|text| NoticeSecret::parse(text).unwrap()).collect();
        PaymentService { name: "bank".to_owned(), secrets }
    }

    /// The example of the Standard Webhooks specification and of its libraries.
    #[test]
    fn a_message_of_the_specification_is_believed() {
        let bank = service(&[SECRET]);
        let check = |id, time, signed, body, now| bank.check(id, time, signed, body, now);
        assert_eq!(check(ID, "1614265330", SIGNED, BODY, AT), Ok(()));
        let two = format!("v1,AAAA v1a,x {SIGNED}");
        assert_eq!(check(ID, "1614265330", &two, BODY, AT), Ok(()), "several signatures");
        let other = service(&["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET]);
        assert_eq!(other.check(ID, "1614265330", SIGNED, BODY, AT), Ok(()), "while secrets change");
    }

    #[test]
    fn a_message_that_was_changed_or_is_old_is_not() {
        let bank = service(&[SECRET]);
        let at = "1614265330";
        assert_eq!(bank.check("msg_2", at, SIGNED, BODY, AT), Err(Unbelieved::Signature));
        assert_eq!(bank.check(ID, "1614265331", SIGNED, BODY, AT), Err(Unbelieved::Signature));
        assert_eq!(bank.check(ID, at, SIGNED, b"{}", AT), Err(Unbelieved::Signature));
        assert_eq!(bank.check(ID, at, "", BODY, AT), Err(Unbelieved::Signature));
        assert_eq!(bank.check(ID, at, &SIGNED[..20], BODY, AT), Err(Unbelieved::Signature));
        for far in [301_000, -301_000] {
            assert_eq!(bank.check(ID, at, SIGNED, BODY, UtcMillis(AT.0 + far)), Err(Unbelieved::Time));
        }
        for bad in ["", "now", "9223372036854775807"] {
            assert_eq!(bank.check(ID, bad, SIGNED, BODY, AT), Err(Unbelieved::Time), "{bad}");
        }
        assert_eq!(format!("{bank:?}"), r#"PaymentService { name: "bank", secrets: [NoticeSecret(redacted)] }"#);
        assert_eq!(NoticeSecret::parse("whsec_c2hvcnQ=").unwrap_err(), BadSecret);
    }
}
