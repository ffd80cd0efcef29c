//! What an account is, and how its rows read back.

use std::fmt;

use domain::UtcMillis;

use crate::roles::{Grant, Held};

use super::{AccountError, Cabinet, LOGIN_MAX_CHARS, SHOWN_NAME_MAX_CHARS, Theme};

/// An account's id: 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// Reads an id from a form or path.
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text).then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn draw() -> Self {
        Self(random_id())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sign-in name: lower case, `a-z 0-9 . _ @ -`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login(String);

impl Login {
    /// Takes what was typed: surrounding spaces and case do not matter.
    pub fn new(typed: &str) -> Result<Self, AccountError> {
        let login = typed.trim().to_ascii_lowercase();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
        if login.is_empty() || login.len() > LOGIN_MAX_CHARS || !login.chars().all(allowed) {
            return Err(AccountError::BadLogin);
        }
        Ok(Self(login))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(redacted)")
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The id.
    pub id: AccountId,
    /// The sign-in name.
    pub login: Login,
    /// The name shown on pages; the sign-in name if none was given.
    pub shown_name: String,
    /// Language code, for example `en`.
    pub locale: String,
    /// How pages look.
    pub theme: Theme,
}

/// One line of the list of accounts.
#[derive(Debug, Clone)]
pub struct AccountSummary {
    /// The account.
    pub account: Account,
    /// Its roles.
    pub roles: Vec<Held>,
    /// When it was made.
    pub created_at: UtcMillis,
    /// Last sign-in.
    pub signed_in_at: Option<UtcMillis>,
    /// Since when it may not sign in.
    pub disabled_at: Option<UtcMillis>,
    /// Whether its password has been set.
    pub has_password: bool,
    /// Sessions open now.
    pub sessions: i64,
}

/// What is asked for a new account. Its password is set by its holder, by link.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The sign-in name.
    pub login: Login,
    /// The name shown; may be empty.
    pub shown_name: String,
    /// Its roles, at least one.
    pub roles: Vec<Grant>,
    /// Language code.
    pub locale: String,
}

/// One line of the log of accounts.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When.
    pub at: UtcMillis,
    /// The sign-in name of who did it, where somebody did.
    pub actor: Option<String>,
    /// What was done: a stable code, key of translations.
    pub action: String,
    /// The sign-in name of the account concerned.
    pub target: Option<String>,
    /// From which network address.
    pub address: Option<String>,
}

/// The columns that make an [`Account`]: id, login, shown_name, name_box, locale, theme.
pub(super) type AccountColumns = (String, String, String, Option<Vec<u8>>, String, String);

pub(super) fn account_from(cabinet: &Cabinet, row: AccountColumns) -> Result<Account, AccountError> {
    let (id, login, clear, sealed, locale, theme) = row;
    let bad = |column| AccountError::BadRow { table: "account", column };
    let login = Login::new(&login).map_err(|_| bad("login"))?;
    Ok(Account {
        shown_name: name_from(cabinet, &id, &login, clear, sealed)?,
        id: AccountId::parse(&id).ok_or(bad("id"))?,
        login,
        locale,
        theme: Theme::parse(&theme).ok_or(bad("theme"))?,
    })
}

/// The shown name: sealed, or still in the clear from an earlier version, or the sign-in name if none was given.
pub(super) fn name_from(
    cabinet: &Cabinet,
    id: &str,
    login: &Login,
    clear: String,
    sealed: Option<Vec<u8>>,
) -> Result<String, AccountError> {
    let name = match sealed {
        Some(sealed) => cabinet.open_text("account", "name_box", id, sealed)?,
        None => clear,
    };
    Ok(if name.is_empty() { login.to_string() } else { name })
}

/// Seals a shown name; nothing for an empty one.
pub(super) fn seal_name(cabinet: &Cabinet, id: &str, name: &str) -> Result<Option<Vec<u8>>, AccountError> {
    if name.is_empty() { Ok(None) } else { cabinet.seal("account", "name_box", id, name.as_bytes()).map(Some) }
}

pub(super) fn check_shown_name(name: &str) -> Result<String, AccountError> {
    let name = name.trim();
    if name.chars().count() > SHOWN_NAME_MAX_CHARS || name.chars().any(char::is_control) {
        return Err(AccountError::BadShownName);
    }
    Ok(name.to_owned())
}

pub(super) fn check_locale(code: &str) -> String {
    let plain = code.len() <= 8 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if plain && !code.is_empty() { code.to_ascii_lowercase() } else { "en".to_owned() }
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// 128 random bits as a row's id. Not a secret.
pub(crate) fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    if super::secret::fill(&mut bytes).is_err() {
        // Without random bytes no token can be drawn either, so nothing is lost by an id that will collide.
        tracing::error!("system.random.failed");
    }
    super::secret::to_hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_names_are_plain_and_case_does_not_matter() {
        assert_eq!(Login::new("  Guard.07 ").unwrap().as_str(), "guard.07");
        for bad in ["", " ", "a b", "a\nb", "<b>", "петро", &"a".repeat(65)] {
            assert!(Login::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shown_names_are_bounded_text() {
        assert_eq!(check_shown_name(" Іваненко <img> ").unwrap(), "Іваненко <img>");
        assert!(check_shown_name("a\nb").is_err());
        assert!(check_shown_name(&"я".repeat(81)).is_err());
    }
}
