//! The second factor: one-time codes by time (RFC 6238: SHA-1, six digits, 30 seconds, as every authenticator
//! program has them), and recovery codes for the day on which the telephone is lost.

use std::fmt;

use domain::UtcMillis;
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{AccountError, Login, secret};

/// Length of the shared secret, in bytes, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// How long a code counts, in seconds (ASVS 6.5.5).
const STEP_S: u64 = 30;
/// Steps by which the telephone's clock may be wrong, either way.
const DRIFT_STEPS: u16 = 1;
/// Recovery codes drawn at once.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of a recovery code: 80 bits, which nobody guesses and nobody tries out against a stolen hash.
const RECOVERY_BYTES: usize = 10;
/// Digits and letters that are not taken for one another.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The secret that the telephone and we share.
pub(super) struct FactorSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl FactorSecret {
    pub(super) fn draw() -> Result<Self, AccountError> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        secret::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// The step in which `code` is right, if it is right now or was a moment ago.
    pub(super) fn step_of(&self, code: &str, now: UtcMillis) -> Result<Option<i64>, AccountError> {
        let Some(digits) = six_digits(code) else { return Ok(None) };
        let seconds = u64::try_from(now.0 / 1000).unwrap_or(0);
        let step = self.totp("", "")?.check(&digits, seconds);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }

    /// What the telephone scans.
    pub(super) fn enrolment(&self, login: &Login, site: &str) -> Result<Enrolment, AccountError> {
        let totp = self.totp(login.as_str(), site)?;
        let uri = totp.to_url().map_err(|error| AccountError::System(format!("second factor: {error}")))?;
        Ok(Enrolment { uri, key: totp.secret().to_base32() })
    }

    fn totp(&self, login: &str, site: &str) -> Result<Totp, AccountError> {
        // A colon parts the names in what is scanned.
        let issuer = format!("Tapward {}", site.replace(':', " "));
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(STEP_S)
            .with_skew(DRIFT_STEPS)
            .with_secret(Secret::new_stack(*self.0))
            .with_account_name(login)
            .with_issuer(Some(issuer.trim_end()))
            .build()
            .map_err(|error| AccountError::System(format!("second factor: {error}")))
    }
}

/// What somebody needs to set up the second factor. Shown once, stored nowhere but sealed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Enrolment {
    uri: String,
    key: String,
}

impl Enrolment {
    /// `otpauth://…`, for a picture that the telephone scans. Never a link, never in a log.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The key to type where nothing can be scanned, in groups of four.
    pub fn key(&self) -> String {
        self.key.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment(redacted)")
    }
}

/// A recovery code: works once instead of a code from the telephone.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode(String);

impl RecoveryCode {
    pub(super) fn draw() -> Result<Self, AccountError> {
        let mut bytes = Zeroizing::new([0_u8; RECOVERY_BYTES]);
        secret::fill(&mut *bytes)?;
        let bits = bytes.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let digit = |at: usize| {
            let index = usize::try_from((bits >> (5 * at)) & 31).unwrap_or(0);
            char::from(ALPHABET[index])
        };
        Ok(Self((0..RECOVERY_BYTES * 8 / 5).map(digit).collect()))
    }

    /// Reads what somebody typed; `None` if it cannot be one.
    pub(super) fn read(typed: &str) -> Option<Self> {
        let mut code = String::with_capacity(16);
        for c in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let c = match c.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                c => c,
            };
            if code.len() >= 16 || !ALPHABET.iter().any(|allowed| char::from(*allowed) == c) {
                return None;
            }
            code.push(c);
        }
        (code.len() == 16).then_some(Self(code))
    }

    /// As it is shown: four groups of four.
    pub fn reveal(&self) -> String {
        self.0.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join("-")
    }

    /// What the database stores. Bound to the account, so that equal codes of two accounts do not look equal.
    pub(super) fn stored(&self, account: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(account.as_bytes());
        hash.update([0]);
        hash.update(self.0.as_bytes());
        secret::to_hex(&hash.finalize())
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(redacted)")
    }
}

/// Exactly six digits, however they are grouped.
fn six_digits(typed: &str) -> Option<Zeroizing<String>> {
    if typed.len() > 16 {
        return None;
    }
    let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    (digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| Zeroizing::new(digits))
}

/// The code of a moment, as a telephone shows it: for tests of programs that sign in.
#[doc(hidden)]
pub fn code_at(enrolment: &Enrolment, at: UtcMillis) -> Option<String> {
    code_of_key(&enrolment.key, at)
}

/// As [`code_at`], of the key as a page shows it.
#[doc(hidden)]
pub fn code_of_key(key: &str, at: UtcMillis) -> Option<String> {
    let secret = Secret::try_from_base32(key.replace(' ', "")).ok()?;
    let totp = Builder::new().with_secret(secret).build().ok()?;
    Some(totp.generate(u64::try_from(at.0 / 1000).ok()?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the shared secret of its vectors for SHA-1; the last six of the eight digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        let secret = FactorSecret::from_bytes(b"12345678901234567890").unwrap();
        for (seconds, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            let at = UtcMillis(seconds * 1000);
            assert_eq!(secret.step_of(code, at).unwrap(), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_counts_for_its_step_and_one_either_way() {
        let secret = FactorSecret::from_bytes(b"12345678901234567890").unwrap();
        let code = "081804";
        let begin = 1_111_111_109 / 30 * 30 * 1000;
        let at = |ms: i64| secret.step_of(code, UtcMillis(begin + ms)).unwrap().is_some();
        assert!(at(0) && at(29_999));
        assert!(at(59_999) && !at(60_000), "one step late, not two");
        assert!(at(-30_000) && !at(-30_001), "one step early, not two");
    }

    #[test]
    fn whatever_is_typed_gets_an_answer() {
        let secret = FactorSecret::draw().unwrap();
        for typed in ["", "12345", "1234567", "abcdef", "１２３４５６", "-1-2-3", "\u{0}00000", &"1".repeat(1000)]
        {
            assert_eq!(secret.step_of(typed, UtcMillis(1_795_000_000_000)).unwrap(), None, "{typed:?}");
        }
        assert_eq!(secret.step_of("123456", UtcMillis(i64::MIN)).unwrap(), None);
    }

    #[test]
    fn what_the_telephone_scans_names_the_site_and_the_account() {
        let secret = FactorSecret::from_bytes(b"12345678901234567890").unwrap();
        let enrolment = secret.enrolment(&Login::new("olena@clinic").unwrap(), "clinic-3").unwrap();
        assert!(
            enrolment.uri().starts_with(
                "otpauth://totp/Tapward%20clinic-3:olena%40clinic?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
            ),
            "{}",
            enrolment.uri()
        );
        assert!(enrolment.key().starts_with("GEZD GNBV"));
        assert!(!format!("{enrolment:?}").contains("GEZD"));
        let code = code_at(&enrolment, UtcMillis(59_000)).unwrap();
        assert_eq!(code, "287082");
    }

    #[test]
    fn recovery_codes_read_back_however_they_are_typed() {
        let code = RecoveryCode::draw().unwrap();
        let shown = code.reveal();
        assert_eq!(shown.len(), 19);
        for typed in [shown.clone(), shown.to_uppercase(), shown.replace('-', " "), shown.replace('0', "O")] {
            assert_eq!(RecoveryCode::read(&typed).unwrap().stored("a"), code.stored("a"), "{typed}");
        }
        assert_ne!(code.stored("a"), code.stored("b"));
        for bad in ["", "123456", &shown[1..], &format!("{shown}0"), "uuuu-uuuu-uuuu-uuuu"] {
            assert!(RecoveryCode::read(bad).is_none(), "{bad}");
        }
        assert!(!format!("{code:?}").contains(&shown[..4]));
    }
}
