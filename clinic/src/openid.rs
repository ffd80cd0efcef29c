//! Sign-in to other systems by card: the OpenID provider, and signed assertions for systems without OpenID.
//!
//! Owns the tables of migration `0017_openid.sql`. A sign-in is asked for by a browser at a workstation and answered by
//! who is bound to that workstation (`desk_session`): never by another's tap, never by a tap from before, never by a
//! password. Tokens and codes are random and stored as hashes; they count only while the session at the workstation has not
//! ended. Never opens a socket: what systems must be told waits in `openid_call` for the bridge. May import `domain`,
//! `store` and `clinic::jose`; reads the tables of the desk, writes none of them.

mod access;
mod ask;
mod assertion;
mod authenticate;
mod calls;
mod clients;
mod confirmations;

mod discovery;
mod end;
mod error;
mod keys;
mod on_behalf;
mod read;
mod rules;
mod secret;
mod step;
mod tidy;
mod tokens;
mod uris;

pub use access::Access;
pub use ask::{AskError, Asked, Handle};
pub use assertion::{Assertion, Vouched};
pub use authenticate::{Authenticated, Credentials};
pub use calls::{Call, CallKind, CallOutcome};
pub use clients::{Auth, Client, ClientError, Made, NewClient, Source, Strength, Subject};
pub use confirmations::{Confirmation, ConfirmationAsked, Started};
pub use end::{EndAsked, Ended};
pub use error::{Code, OpenIdError, Refusal};
pub use rules::{ConfiguredClient, Rules};
pub use secret::Token;
pub use step::{Step, WaitFor};
pub use tokens::{IdToken, Launch, TokenAnswer, TokenAsked};

use std::sync::Arc;

use domain::vault::BoxKey;
use domain::{Clock, UtcMillis};
use store::Database;

use secret::Sealer;

/// The provider of one site. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Provider {
    database: Database,
    clock: Clock,
    sealer: Sealer,
    rules: Arc<Rules>,
    keys: keys::Keys,
}

impl Provider {
    /// A provider on `database`. `key` seals private keys and what systems want back; all programs of a site have the
    /// same. Call [`Provider::tick`] at the start and every few minutes.
    pub fn new(database: Database, clock: Clock, key: BoxKey, rules: Rules) -> Self {
        let sealer = Sealer::new(key);
        let keys = keys::Keys::default();
        Self { database, clock, sealer, rules: Arc::new(rules), keys }
    }

    /// What it goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is due by time: keys are drawn and follow each other, systems of the configuration are written down, what has
    /// expired goes. Run it at the start and every few minutes; several programs may.
    ///
    /// # Errors
    /// The database, or no random bytes.
    pub async fn tick(&self) -> Result<(), OpenIdError> {
        self.rotate().await?;
        self.write_configured().await?;
        self.tidy().await
    }

    fn now(&self) -> UtcMillis {
        self.clock.now()
    }
}
