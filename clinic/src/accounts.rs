//! Who may sign in to the pages: accounts, passwords, sessions, one-time links and the throttle of guessing.
//!
//! Owns the tables of migration `0002_accounts.sql` and nothing else. Never stores a password, a session token or a
//! link in clear: a password becomes an Argon2id hash, a token its SHA-256. Every change writes its line of
//! `account_log` in the same transaction. The checks of who may do what live here, not in the pages, so that another
//! program meets the same rules. May import `domain` and `store`.

mod account;
mod password;
mod rules;
mod secret;
mod session;
mod staff;
mod throttle;
mod welcome;

pub(crate) use account::random_id;
pub use account::{Account, AccountId, AccountSummary, LogLine, Login, NewAccount};
pub use password::{Password, PasswordRefused, PasswordWorkers};
pub use rules::*;
pub use secret::{DeviceToken, HalfToken, LinkToken, SessionToken};
pub use session::{OpenSession, Session, SessionId, Visitor};
pub use welcome::{LinkPurpose, LinkState};

use domain::Clock;
use store::Database;

/// The commands of this module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    database: Database,
    clock: Clock,
    rules: SessionRules,
    workers: PasswordWorkers,
    site: std::sync::Arc<str>,
}

impl Accounts {
    /// Accounts in `database`. `site` is a word that a password must not be made of.
    pub fn new(database: Database, clock: Clock, rules: SessionRules, site: &str) -> Self {
        Self { database, clock, rules, workers: PasswordWorkers::default(), site: site.into() }
    }

    /// The rules in force.
    pub fn rules(&self) -> SessionRules {
        self.rules
    }
}

/// Writes one line of the log inside a transaction: actor, action, target, address, detail.
macro_rules! log_line {
    ($conn:expr, $now:expr, $actor:expr, $action:expr, $target:expr, $address:expr, $detail:expr) => {
        store::sqlx::query(
            "INSERT INTO account_log (id, at, actor, action, target, address, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind($crate::accounts::account::random_id())
        .bind($now.0)
        .bind($actor)
        .bind($action)
        .bind($target)
        .bind($address)
        .bind($detail)
        .execute(&mut *$conn)
        .await?
    };
}
use log_line;
