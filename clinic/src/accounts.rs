//! Who may sign in to the pages: accounts, passwords, second factors, sessions, one-time links and the throttle of
//! guessing.
//!
//! Owns the tables of migration `0002_accounts.sql` and those beginning with `account` of
//! `0009_factors_and_notices.sql`, and nothing else. Never stores a password, a session token, a link or a code in the
//! clear: a password becomes an Argon2id hash, a token its SHA-256; names, addresses and the secrets of second factors
//! are sealed. Every change writes its entry of the audit log in the same transaction. The checks of who may do what
//! live here, not in the pages, so that another program meets the same rules. May import `domain` and `store`.

mod account;
mod cabinet;
mod device;
mod digits;
mod email;
mod factor;
mod hashing;
mod import;
mod password;
mod rules;
mod second;
mod secret;
mod session;
mod sign_in;
mod staff;
mod throttle;
mod welcome;
mod workers;

pub(crate) use account::random_id;
pub use account::{Account, AccountId, AccountSummary, LogLine, Login, NewAccount};
pub(crate) use cabinet::Cabinet;
pub use device::{DEVICE_LIFE_MS, DEVICES_PER_ACCOUNT};
pub use email::{Email, EmailState};
pub use factor::{Enrolment, RECOVERY_CODES, RecoveryCode};
#[doc(hidden)]
pub use factor::{code_at, code_of_key};
pub use import::{ImportProblem, ImportReport};
pub use password::{Password, PasswordRefused};
pub use rules::*;
pub use second::{FactorState, Step};
pub use secret::{DeviceToken, HalfToken, LinkToken, SessionToken};
pub use session::{OpenSession, Session, SessionId, Visitor};
pub use welcome::{LinkPurpose, LinkState};
pub use workers::{PLACES, PasswordWorkers};

use domain::vault::BoxKey;
use domain::{Clock, UtcMillis};
use store::Database;

use crate::acting::Actor;
use crate::audit::{Action, Draft, Outcome};

/// The commands of this module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Accounts {
    database: Database,
    clock: Clock,
    rules: SessionRules,
    workers: PasswordWorkers,
    cabinet: Cabinet,
    site: std::sync::Arc<str>,
}

impl Accounts {
    /// Accounts in `database`. `site` is a word that a password must not be made of; `key` seals names, addresses and
    /// secrets of second factors.
    pub fn new(database: Database, clock: Clock, rules: SessionRules, site: &str, key: BoxKey) -> Self {
        let (workers, cabinet) = (PasswordWorkers::default(), Cabinet::new(key));
        Self { database, clock, rules, workers, cabinet, site: site.into() }
    }

    /// The rules in force.
    pub fn rules(&self) -> SessionRules {
        self.rules
    }

    /// The words that a password of this account must not be made of.
    fn about<'a>(&'a self, login: &'a Login, shown_name: &'a str) -> [&'a str; 4] {
        [login.as_str(), shown_name, &self.site, "tapward"]
    }

    /// Checks a password by the rule and computes its hash, away from the tasks that answer requests.
    async fn new_hash(
        &self,
        place: &std::sync::Arc<workers::Place>,
        password: Password,
        about: [&str; 4],
    ) -> Result<String, AccountError> {
        let about = about.map(str::to_owned);
        let work = move || {
            password.check(&about.each_ref().map(String::as_str))?;
            hashing::hash(&password)
        };
        self.workers.run(place, work).await
    }
}

/// An entry about an account by its own holder, from where they are.
fn own_entry(now: UtcMillis, action: Action, account: &str, session: Option<&str>, visitor: &Visitor) -> Draft {
    Draft {
        session: session.map(str::to_owned),
        address: Some(visitor.address.to_string()),
        object: Some(account.to_owned()),
        ..Draft::new(now, Actor::Account(account.to_owned()), action)
    }
}

/// An entry about a sign-in that failed. It names the account only if there is one: a name that nobody has may be a
/// mistyped password.
fn failed_entry(now: UtcMillis, account: Option<&str>, visitor: &Visitor, detail: &str) -> Draft {
    Draft {
        address: Some(visitor.address.to_string()),
        object: account.map(str::to_owned),
        outcome: Outcome::Failed,
        detail: Some(detail.to_owned()),
        ..Draft::new(now, Actor::Anybody, Action::SignInFailed)
    }
}
