//! Passwords: the rule that they must meet, and their Argon2id hash (19 MiB, 2 passes, 1 lane: the floor of OWASP's
//! password storage advice, about 15 ms a core).

use std::fmt;
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use tokio::sync::Semaphore;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{AccountError, PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes computed at once. With 19 MiB each this bounds both memory and processor time of a sign-in flood.
const HASHES_AT_ONCE: usize = 2;
/// Fewer different characters than this is a pattern, not a password.
const FEWEST_DIFFERENT_CHARS: usize = 5;

/// Well-known passwords and their usual beginnings, in lower case, letters and digits only.
static COMMON: &str = include_str!("common_passwords.txt");

/// A password as somebody typed it. Kept as it is: no trimming, no change of case, no cutting.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes what was typed.
    pub fn new(typed: impl Into<String>) -> Self {
        Self(typed.into())
    }

    /// Checks the rule: length, not well known, not a pattern, not made of the words in `known` (sign-in name, site).
    pub fn check(&self, known: &[&str]) -> Result<(), PasswordRefused> {
        let chars = self.0.chars().count();
        if chars < PASSWORD_MIN_CHARS {
            return Err(PasswordRefused::Short);
        }
        if chars > PASSWORD_MAX_CHARS {
            return Err(PasswordRefused::Long);
        }
        let lower = self.0.to_lowercase();
        let plain: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
        let letters: String = plain.trim_matches(|c: char| c.is_ascii_digit()).to_owned();
        if COMMON.lines().any(|word| word == plain || word == letters || made_of(&plain, word)) {
            return Err(PasswordRefused::Common);
        }
        let mut different: Vec<char> = lower.chars().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < FEWEST_DIFFERENT_CHARS || is_run(&plain) {
            return Err(PasswordRefused::Pattern);
        }
        let about = known.iter().map(|word| word.to_lowercase()).filter(|word| word.chars().count() >= 4);
        if about.into_iter().any(|word| lower.contains(&word) && chars < word.chars().count() + 8) {
            return Err(PasswordRefused::AboutYou);
        }
        Ok(())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// `word` repeated until it fills `plain`, for example `testtesttest`.
fn made_of(plain: &str, word: &str) -> bool {
    word.len() >= 3 && plain.len().is_multiple_of(word.len()) && plain == word.repeat(plain.len() / word.len())
}

/// Each character is the one before it plus one, minus one or itself, all the way (wrapping from 9 to 0).
fn is_run(plain: &str) -> bool {
    let codes: Vec<i64> = plain.chars().map(|c| i64::from(u32::from(c))).collect();
    codes.len() > 2
        && [1, -1].iter().any(|step| {
            codes.windows(2).all(|pair| {
                let difference = pair[1] - pair[0];
                difference == *step || difference == -9 * step
            })
        })
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordRefused {
    /// Fewer than [`PASSWORD_MIN_CHARS`].
    #[error("it needs at least {PASSWORD_MIN_CHARS} characters")]
    Short,
    /// More than [`PASSWORD_MAX_CHARS`].
    #[error("it may have at most {PASSWORD_MAX_CHARS} characters")]
    Long,
    /// One of the passwords that everybody tries first.
    #[error("it is one of the passwords that are tried first")]
    Common,
    /// A run or a repetition.
    #[error("it repeats a few characters or counts up")]
    Pattern,
    /// The sign-in name or the site with little around it.
    #[error("it is made from the sign-in name or the name of the site")]
    AboutYou,
}

impl PasswordRefused {
    /// The stable code, key of translations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Common => "common",
            Self::Pattern => "pattern",
            Self::AboutYou => "about-you",
        }
    }
}

/// Computes hashes away from the tasks that answer requests, a bounded number at once. Others wait their turn.
#[derive(Debug, Clone)]
pub struct PasswordWorkers {
    turns: Arc<Semaphore>,
}

impl Default for PasswordWorkers {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }
}

impl PasswordWorkers {
    /// The hash to store, in PHC form with its own random salt.
    pub async fn hash(&self, password: Password) -> Result<String, AccountError> {
        self.run(move || {
            let mut salt = [0_u8; 16];
            super::secret::fill(&mut salt)?;
            match engine()?.hash_password_with_salt(password.0.as_bytes(), &salt) {
                Ok(hash) => Ok(hash.to_string()),
                Err(error) => Err(AccountError::System(format!("hashing: {error}"))),
            }
        })
        .await
    }

    /// Whether `password` belongs to `stored`. Without a stored hash the same work is done and the answer is no, so
    /// that the time taken does not tell whether an account exists (ASVS 6.3.8).
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<bool, AccountError> {
        self.run(move || {
            let known = stored.is_some();
            let text = stored.as_deref().or(NOBODY.as_deref()).unwrap_or_default();
            let Ok(hash) = PasswordHash::new(text) else { return Ok(false) };
            Ok(engine()?.verify_password(password.0.as_bytes(), &hash).is_ok() && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, AccountError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| AccountError::System("password workers are closed".to_owned()))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            // Held until the work ends, even when the caller has gone.
            drop(turn);
            result
        });
        done.await.map_err(|error| AccountError::System(format!("password worker: {error}")))?
    }
}

/// A hash that no password has: verified when there is no account.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let hash = engine().ok()?.hash_password_with_salt(b"nobody", b"tapward-nobody--").ok()?;
    Some(hash.to_string())
});

fn engine() -> Result<Argon2<'static>, AccountError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| AccountError::System(format!("hash parameters: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), PasswordRefused> {
        Password::new(text).check(&["ivanenko", "tapward"])
    }

    #[test]
    fn the_rule_is_length_and_not_well_known() {
        assert_eq!(check("elevenchars"), Err(PasswordRefused::Short));
        assert_eq!(check("twelve chars"), Ok(()));
        assert_eq!(check("тихий ранок!"), Ok(()));
        assert_eq!(check(&format!("long {}", "sentence ".repeat(27))), Ok(()));
        assert_eq!(check(&"mixed words ".repeat(30)), Err(PasswordRefused::Long));
        assert_eq!(check("correct horse battery"), Ok(()));
    }

    #[test]
    fn well_known_passwords_and_patterns_are_refused() {
        for common in
            ["Password1234", "qwertyuiop12", "QWERTY123456", "iloveyou1234", "adminadminadmin", "Pa.ss.word.2026"]
        {
            assert_eq!(check(common), Err(PasswordRefused::Common), "{common}");
        }
        for pattern in ["123456789012", "aaaaaaaaaaaa", "abcdefghijkl", "121212121212", "987654321098"] {
            let result = check(pattern);
            assert!(matches!(result, Err(PasswordRefused::Pattern | PasswordRefused::Common)), "{pattern}: {result:?}");
        }
        assert_eq!(check("Ivanenko2026!"), Err(PasswordRefused::AboutYou));
        assert_eq!(check("my-tapward-12"), Err(PasswordRefused::AboutYou));
    }

    #[test]
    fn every_listed_word_long_enough_to_be_typed_is_refused() {
        for word in COMMON.lines().filter(|word| word.chars().count() >= PASSWORD_MIN_CHARS) {
            assert!(check(word).is_err(), "{word}");
        }
        assert!(COMMON.lines().count() > 100);
        for word in COMMON.lines() {
            assert!(word.chars().all(|c| c.is_alphanumeric()) && word == word.to_lowercase(), "{word}");
        }
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only_and_nothing_is_cut() {
        let workers = PasswordWorkers::default();
        let long = "x".repeat(100);
        let stored = workers.hash(Password::new(long.clone())).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(workers.verify(Password::new(long.clone()), Some(stored.clone())).await.unwrap());
        assert!(!workers.verify(Password::new(format!("{long}y")), Some(stored.clone())).await.unwrap());
        assert!(!workers.verify(Password::new(long.to_uppercase()), Some(stored)).await.unwrap());
        assert!(!workers.verify(Password::new("nobody"), None).await.unwrap());
    }
}
