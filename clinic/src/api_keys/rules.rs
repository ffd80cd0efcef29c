//! The rules of keys, as data: limits, and what can be wrong.

use domain::{Denied, Field, Permission};
use thiserror::Error;

/// A day in milliseconds.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest life of a key, in days.
pub const LIFE_MAX_DAYS: u16 = 365;
/// The life that is proposed, in days.
pub const LIFE_DAYS: u16 = 90;
/// Keys of one account that work at the same time, at most.
pub const KEYS_PER_ACCOUNT: i64 = 50;
/// Networks of one key, at most.
pub const NETWORKS_MAX: usize = 20;
/// Longest name of a key, in characters.
pub const NAME_MAX_CHARS: usize = 80;
/// What is for people only: no key makes accounts, roles or keys, opens the vault or breaks glass.
pub const NEVER: &[Permission] = &[
    Permission::OwnAccount,
    Permission::AccountEdit,
    Permission::RoleEdit,
    Permission::ApiKeyEdit,
    Permission::VaultManage,
    Permission::PersonErase,
    Permission::BreakGlassUse,
];

/// Why something about keys was not done.
#[derive(Debug, Error)]
pub enum ApiKeyError {
    /// A permission is missing.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The name is empty, too long or has control characters.
    #[error("a key's name has 1 to {NAME_MAX_CHARS} characters, all on one line")]
    BadName,
    /// The life is no whole number of days within the limit.
    #[error("a key works for 1 to {LIFE_MAX_DAYS} days")]
    BadLife,
    /// A key that may do nothing is of no use.
    #[error("a key needs at least one permission")]
    NoPermission,
    /// Something that no key may do.
    #[error("{0} is for people only; no key may do it")]
    Never(Permission),
    /// Something that its maker may not do.
    #[error("you cannot give {0}: you do not have it yourself")]
    Beyond(Permission),
    /// A zone where its maker may not do it.
    #[error("you cannot give {0} there: you do not have it in all of these zones yourself")]
    BeyondZone(Permission),
    /// A field that its maker does not see.
    #[error("you cannot give the field {0}: you do not see it yourself")]
    BeyondField(Field),
    /// More networks than anybody can keep an eye on.
    #[error("a key has at most {NETWORKS_MAX} networks; name a larger network instead")]
    TooManyNetworks,
    /// The account has enough keys.
    #[error("this account has {KEYS_PER_ACCOUNT} keys already; end one that is not needed")]
    TooMany,
    /// Under a broken glass rights are borrowed, and nothing lasting is made with them.
    #[error("while glass is broken no key can be made; end it first")]
    Glass,
    /// Only somebody who signed in can answer for a key.
    #[error("a key belongs to an account: sign in to make one")]
    NotAnAccount,
    /// There is no such key.
    #[error("there is no such key")]
    NoKey,
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The operating system gave no random bytes.
    #[error("the operating system refused: {0}")]
    System(String),
}

pub(super) fn check_name(name: &str) -> Result<String, ApiKeyError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX_CHARS || name.chars().any(char::is_control) {
        return Err(ApiKeyError::BadName);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_text_of_one_line() {
        assert_eq!(check_name(" Booking <site> ").unwrap(), "Booking <site>");
        for bad in ["", "  ", "a\nb", "a\u{1b}[31m", &"я".repeat(81)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
