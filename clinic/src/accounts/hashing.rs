//! How passwords are stored: Argon2id (19 MiB, 2 passes, 1 lane: the floor of OWASP's password storage advice, about
//! 15 ms of a core). Hashes of an earlier system by bcrypt, or by Argon2 with other parameters, are believed once and
//! then replaced.
//!
//! Whatever is asked, the work is the same (ASVS 6.3.8): a missing account, a closed one, one without a password and a
//! wrong password all cost one Argon2id; and while bcrypt hashes of an earlier system wait to be replaced, also one
//! bcrypt of the costliest of them.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::password::Password;
use super::{AccountError, secret};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A stored hash that asks for more than this is not computed: it would stall whoever signs in. 256 MiB.
const MEMORY_MAX_KIB: u32 = 256 * 1024;
/// As [`MEMORY_MAX_KIB`], in passes.
const PASSES_MAX: u32 = 16;
/// As [`MEMORY_MAX_KIB`], in lanes.
const LANES_MAX: u32 = 16;
/// Costs of bcrypt that are computed; 14 takes about a second.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// Bytes of a password that bcrypt looks at. A longer one is wrong: what was cut off could be anything.
const BCRYPT_MAX_BYTES: usize = 72;
/// Length of a bcrypt hash, in bytes.
const BCRYPT_HASH_BYTES: usize = 60;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the password is right.
    pub is_right: bool,
    /// The hash to store instead, when the password is right and the stored one is of an older kind.
    pub better: Option<String>,
    /// What it cost.
    pub work: Work,
}

/// Hashes that were computed to tell right from wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub argon2: u32,
    pub bcrypt: u32,
}

/// A hash that can be verified.
enum Stored<'a> {
    Argon2(Box<PasswordHash>),
    Bcrypt(&'a str),
}

/// The hash to store, in PHC form with its own random salt.
pub(super) fn hash(password: &Password) -> Result<String, AccountError> {
    let mut salt = [0_u8; 16];
    secret::fill(&mut salt)?;
    match engine()?.hash_password_with_salt(password.reveal().as_bytes(), &salt) {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => Err(AccountError::System(format!("hashing: {error}"))),
    }
}

/// Whether `password` belongs to `stored`. `oldest_cost` is the highest cost among bcrypt hashes still stored, if any.
pub(super) fn verify(
    password: &Password,
    stored: Option<&str>,
    oldest_cost: Option<u32>,
) -> Result<Verdict, AccountError> {
    let typed = password.reveal().as_bytes();
    let mut work = Work::default();
    let stored = stored.and_then(read);
    let with_bcrypt = match &stored {
        Some(Stored::Bcrypt(hash)) => {
            work.bcrypt += 1;
            Some(typed.len() <= BCRYPT_MAX_BYTES && bcrypt::verify(typed, hash).unwrap_or(false))
        }
        _ => None,
    };
    if let (None, Some(cost)) = (with_bcrypt, oldest_cost.filter(|cost| BCRYPT_COSTS.contains(cost))) {
        // Its result is of no use; black_box keeps it from being left out.
        std::hint::black_box(bcrypt::bcrypt(cost, [0; 16], b"nobody"));
        work.bcrypt += 1;
    }
    let known = match &stored {
        Some(Stored::Argon2(hash)) => Some(&**hash),
        Some(Stored::Bcrypt(_)) | None => None,
    };
    work.argon2 += 1;
    let with_argon2 = match known.or(NOBODY.as_ref()) {
        Some(hash) => engine()?.verify_password(typed, hash).is_ok() && known.is_some(),
        None => false,
    };
    let is_right = with_bcrypt.unwrap_or(with_argon2);
    let is_current = known.is_some_and(is_current);
    let better = if is_right && !is_current { Some(self::hash(password)?) } else { None };
    Ok(Verdict { is_right, better, work })
}

/// Whether a hash of an earlier system can be taken over.
pub(super) fn is_usable(stored: &str) -> bool {
    read(stored).is_some()
}

fn read(stored: &str) -> Option<Stored<'_>> {
    if let Some(cost) = bcrypt_cost(stored) {
        return BCRYPT_COSTS.contains(&cost).then_some(Stored::Bcrypt(stored));
    }
    let hash = PasswordHash::new(stored).ok()?;
    hash.hash.as_ref()?;
    hash.salt.as_ref()?;
    Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let bounded = params.m_cost() <= MEMORY_MAX_KIB && params.t_cost() <= PASSES_MAX && params.p_cost() <= LANES_MAX;
    bounded.then(|| Stored::Argon2(Box::new(hash)))
}

/// The cost of a bcrypt hash (`$2a$`, `$2b$`, `$2y$`); `None` if it is none.
fn bcrypt_cost(stored: &str) -> Option<u32> {
    let is_one = stored.len() == BCRYPT_HASH_BYTES
        && stored.is_ascii()
        && ["$2a$", "$2b$", "$2y$"].iter().any(|kind| stored.starts_with(kind))
        && stored.as_bytes().get(6) == Some(&b'$');
    is_one.then(|| stored.get(4..6)?.parse().ok()).flatten()
}

/// Whether a hash is as costly as a new one would be.
fn is_current(hash: &PasswordHash) -> bool {
    let Ok(params) = Params::try_from(hash) else { return false };
    Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id)
        && hash.version == Some(Version::V0x13.into())
        && params.m_cost() >= MEMORY_KIB
        && params.t_cost() >= PASSES
}

/// A hash that no password has: verified when there is no account.
static NOBODY: LazyLock<Option<PasswordHash>> =
    LazyLock::new(|| engine().ok()?.hash_password_with_salt(b"nobody", b"tapward-nobody--").ok());

fn engine() -> Result<Argon2<'static>, AccountError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| AccountError::System(format!("hash parameters: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPED: &str = "a quiet morning in Kyiv";

    fn judge(typed: &str, stored: Option<&str>, oldest: Option<u32>) -> Verdict {
        verify(&Password::new(typed), stored, oldest).unwrap()
    }

    fn bcrypt_of(typed: &str, cost: u32) -> String {
        bcrypt::hash_with_salt(typed, cost, [7; 16]).unwrap().to_string()
    }

    #[test]
    fn a_hash_fits_its_password_only_and_nothing_is_cut() {
        let long = "x".repeat(127);
        let stored = hash(&Password::new(long.clone())).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let verdict = judge(&long, Some(&stored), None);
        assert!(verdict.is_right && verdict.better.is_none(), "{verdict:?}");
        assert!(!judge(&format!("{long}y"), Some(&stored), None).is_right);
        assert!(!judge(&long[1..], Some(&stored), None).is_right);
        assert!(!judge(&long.to_uppercase(), Some(&stored), None).is_right);
        assert!(!judge("nobody", None, None).is_right);
    }

    #[test]
    fn bcrypt_hashes_of_an_earlier_system_are_believed_and_replaced() {
        for kind in ["2a", "2b", "2y"] {
            let stored = bcrypt_of(TYPED, 4).replacen("2b", kind, 1);
            let verdict = judge(TYPED, Some(&stored), Some(4));
            assert!(verdict.is_right, "{kind}");
            let better = verdict.better.unwrap();
            assert!(better.starts_with("$argon2id$"));
            assert!(judge(TYPED, Some(&better), None).is_right);
            assert!(!judge("another password", Some(&stored), Some(4)).is_right);
        }
        // The implementation in OpenBSD, by way of jBCrypt's vectors.
        let vector = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
        assert!(
            judge(
                "abcdefghijklmnopqrstuvwxyz",
                Some("$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC"),
                None
            )
            .is_right
        );
        assert!(judge("abc", Some(vector), None).is_right);
    }

    #[test]
    fn a_password_that_bcrypt_would_cut_is_wrong() {
        let long = "y".repeat(80);
        let stored = bcrypt_of(&long, 4);
        assert!(bcrypt::verify(&long, &stored).unwrap(), "bcrypt itself looks at 72 bytes only");
        assert!(!judge(&long, Some(&stored), Some(4)).is_right);
        assert!(!judge(&"y".repeat(73), Some(&stored), Some(4)).is_right);
        let fits = "z".repeat(72);
        assert!(judge(&fits, Some(&bcrypt_of(&fits, 4)), Some(4)).is_right);
    }

    #[test]
    fn a_strange_hash_is_no_password_and_never_stalls_or_panics() {
        let good = bcrypt_of(TYPED, 4);
        let mut strange = vec![
            String::new(),
            good[..59].to_owned(),
            good.replacen("$04$", "$31$", 1),
            good.replacen("$04$", "$15$", 1),
            good.replacen("$04$", "$0x$", 1),
            good.replacen("2b", "2x", 1),
            format!("$2b$04${}é", "a".repeat(51)),
            format!("{}é", &good[..58]),
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo".to_owned(),
            "$argon2id$v=19$m=19456,t=4000000,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo".to_owned(),
            "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
            "$6$salt$hash".to_owned(),
            TYPED.to_owned(),
        ];
        for at in 0..good.len() {
            strange.push(format!("{}\u{fffd}{}", &good[..at], &good[(at + 3).min(good.len())..]));
        }
        for stored in strange {
            assert!(!judge(TYPED, Some(&stored), None).is_right, "{stored}");
            assert_eq!(is_usable(&stored), read(&stored).is_some());
        }
        assert!(is_usable(&good) && !is_usable("$6$salt$hash"));
    }

    #[test]
    fn a_weaker_argon2_hash_is_replaced() {
        let weak = Argon2::new(Algorithm::Argon2i, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let stored = weak.hash_password_with_salt(TYPED.as_bytes(), b"0123456789abcdef").unwrap().to_string();
        let verdict = judge(TYPED, Some(&stored), None);
        assert!(verdict.is_right && verdict.better.is_some_and(|better| better.starts_with("$argon2id$v=19$m=19456")));
    }

    #[test]
    fn nobody_and_a_wrong_password_cost_the_same_work() {
        let argon2 = hash(&Password::new(TYPED)).unwrap();
        let bcrypt = bcrypt_of(TYPED, 4);
        for oldest in [None, Some(4)] {
            let nobody = judge("wrong password", None, oldest).work;
            let wrong = judge("wrong password", Some(&argon2), oldest).work;
            let right = judge(TYPED, Some(&argon2), oldest).work;
            assert_eq!((nobody, wrong), (wrong, right), "{oldest:?}");
            assert_eq!(judge("wrong password", Some("unreadable"), oldest).work, nobody);
        }
        assert_eq!(judge("wrong password", Some(&bcrypt), Some(4)).work, judge("x", None, Some(4)).work);
    }
}
