//! The rules of signing in, as data: limits, looks, and what can be wrong.

use domain::{Permission, Rights};
use thiserror::Error;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// How long an unused one-time link lives: a working day and the night after it (ASVS 6.4.1).
pub const LINK_LIFE_MS: i64 = 24 * HOUR_MS;
/// Fewest characters of a password (ASVS 6.2.1 asks for 8; staff accounts open more than a shop's).
pub const PASSWORD_MIN_CHARS: usize = 12;
/// Most characters of a password: enough for any sentence, bounded so that hashing is.
pub const PASSWORD_MAX_CHARS: usize = 256;
/// Longest sign-in name, in characters.
pub const LOGIN_MAX_CHARS: usize = 64;
/// Longest shown name, in characters.
pub const SHOWN_NAME_MAX_CHARS: usize = 80;
/// Wrong passwords before an account answers later and later.
pub const FREE_TRIES_PER_ACCOUNT: i64 = 5;
/// Wrong passwords before an address answers later and later: a clinic's people share few addresses.
pub const FREE_TRIES_PER_ADDRESS: i64 = 20;
/// Wrong passwords in a browser from which the account has signed in before.
pub const FREE_TRIES_PER_DEVICE: i64 = 10;
/// Wrong one-time codes before an account answers later and later.
pub const FREE_CODES: i64 = 5;
/// How long somebody has between password and second factor, in milliseconds.
pub const STEP_LIFE_MS: i64 = 10 * MINUTE_MS;
/// The first wait after the free tries; it doubles with each further failure.
pub const FIRST_WAIT_MS: i64 = 15 * SECOND_MS;
/// The longest wait: long enough against guessing (100 tries a day), short enough for who mistyped.
pub const LONGEST_WAIT_MS: i64 = 15 * MINUTE_MS;
/// Failures are forgotten after this long without another.
pub const FAILURES_FORGOTTEN_MS: i64 = 24 * HOUR_MS;
/// Most open sessions of one account; opening one more ends the oldest.
pub const SESSIONS_PER_ACCOUNT: i64 = 10;

/// How pages look for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Theme {
    /// As the computer says.
    System,
    /// Dark ink on light.
    Light,
    /// Light ink on dark.
    Dark,
}

impl Theme {
    /// All themes.
    pub const ALL: &'static [Self] = &[Self::System, Self::Light, Self::Dark];

    /// The stable code in the database and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads a code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|theme| theme.as_str() == code)
    }
}

domain::codes! {
    /// Who must give a second factor when signing in. Who has set one up is always asked for it.
    SecondFactor {
        /// Nobody must.
        Off = "off",
        /// Everybody who has power over people's data or over accounts: see [`SecondFactor::POWERS`].
        Roles = "roles",
        /// Everybody.
        All = "all",
    }
}

impl SecondFactor {
    /// With one of these, [`SecondFactor::Roles`] asks for a second factor.
    pub const POWERS: &'static [Permission] = &[
        Permission::PersonReveal,
        Permission::PersonErase,
        Permission::AccountEdit,
        Permission::RoleEdit,
        Permission::ApiKeyEdit,
        Permission::VaultManage,
        Permission::AuditSee,
        Permission::AuditExport,
        Permission::PrivacyManage,
        Permission::BreakGlassReview,
    ];

    /// Whether somebody with these rights must have one.
    pub fn is_needed(self, rights: &Rights) -> bool {
        match self {
            Self::Off => false,
            Self::Roles => Self::POWERS.iter().any(|power| rights.allows(*power)),
            Self::All => true,
        }
    }
}

/// How long a session lives, and what opens one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    /// A session unused for this long ends, in milliseconds.
    pub idle_ms: i64,
    /// A session ends this long after sign-in whatever is done with it, in milliseconds.
    pub absolute_ms: i64,
    /// For this long after giving the password, changes to accounts do not ask for it again, in milliseconds.
    pub fresh_ms: i64,
    /// Who must give a second factor.
    pub second_factor: SecondFactor,
}

impl Default for SessionRules {
    /// 15 minutes idle, 12 hours in all (a shift), 10 minutes fresh; a second factor for who sets one up.
    fn default() -> Self {
        let (idle_ms, absolute_ms, fresh_ms) = (15 * MINUTE_MS, 12 * HOUR_MS, 10 * MINUTE_MS);
        Self { idle_ms, absolute_ms, fresh_ms, second_factor: SecondFactor::Off }
    }
}

/// Why something about accounts was not done.
#[derive(Debug, Error)]
pub enum AccountError {
    /// The sign-in name is empty, too long or has characters that cannot be typed on every keyboard.
    #[error("a sign-in name has 1 to {LOGIN_MAX_CHARS} of the characters a-z, 0-9 and . _ @ -")]
    BadLogin,
    /// Somebody has this sign-in name already.
    #[error("this sign-in name is taken")]
    LoginTaken,
    /// The shown name is too long or has control characters.
    #[error("a shown name has at most {SHOWN_NAME_MAX_CHARS} characters and no control characters")]
    BadShownName,
    /// The password does not meet the rule.
    #[error("the password is refused: {0}")]
    BadPassword(#[from] super::PasswordRefused),
    /// The given current password is wrong.
    #[error("the password is wrong")]
    WrongPassword,
    /// Too many wrong passwords; try again after this many milliseconds.
    #[error("too many wrong passwords; try again in {wait_ms} ms")]
    Wait {
        /// How long to wait, in milliseconds.
        wait_ms: i64,
    },
    /// The password is right; now the second factor is needed, with this.
    #[error("a second factor is needed")]
    SecondStep(super::HalfToken),
    /// The one-time code is wrong or was used before.
    #[error("the code is wrong or used up")]
    WrongCode,
    /// So many people sign in at this moment that no more can wait; nothing was looked at.
    #[error("too many people are signing in; try again in {retry_ms} ms")]
    Busy {
        /// When to try again, in milliseconds.
        retry_ms: i64,
    },
    /// The second step took too long or was done already; sign in again.
    #[error("the second step has lapsed; sign in again")]
    StepSpent,
    /// This account must have a second factor; it cannot be removed, only set up anew.
    #[error("this account needs a second factor")]
    FactorNeeded,
    /// There is no second factor to work on.
    #[error("there is no second factor, or none is being set up")]
    NoFactor,
    /// A sealed value does not open.
    #[error(
        "table {table}, column {column}: the sealed value does not open; put back the file keys/accounts.key that \
         belongs to this database"
    )]
    Sealed {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The e-mail address cannot be one.
    #[error("this is not an e-mail address")]
    BadEmail,
    /// The link is unknown, used or older than [`LINK_LIFE_MS`].
    #[error("the sign-in link is used up, expired or unknown; ask for a new one")]
    LinkSpent,
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// The acting account may not do this.
    #[error(transparent)]
    Denied(#[from] domain::Denied),
    /// The roles asked for, or the rights of the account concerned, stand against it.
    #[error(transparent)]
    Role(#[from] crate::roles::RoleError),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A stored row does not read back.
    #[error("table {table}, column {column}: unreadable value; restore a backup or repair the row")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The operating system gave no random bytes, or a hash could not be computed.
    #[error("the operating system refused: {0}")]
    System(String),
}
