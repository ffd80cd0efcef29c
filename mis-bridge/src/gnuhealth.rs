//! GNU Health 5 (trytond 7): signs doctors in by an assertion, writes what their cards did as them, and reads staff,
//! patients and appointments.
//!
//! Owns: the sessions of doctors there, which end with their work at the desk; how a visit and a charge look there. Never holds a
//! password, never writes as somebody else, never guesses an appointment. The module `deploy/gnuhealth` on the other side
//! accepts the assertions and keeps each visit once. May import `http`, `delivery`, `clinic`, `domain`.

mod charges;
mod feed;
mod invoices;
mod lines;
mod rpc;
mod sessions;
mod visits;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use clinic::changes::ChangeKind;
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use crate::delivery::{Deliver, Delivered, Fact};
use crate::http::Client;
use sessions::Sessions;

pub use feed::{FeedSettings, run as run_feed};
pub use lines::Lines;
pub use rpc::RpcError;

/// Makes a signed assertion for a login, good once and for half a minute; the error says why there is none.
pub type Assertions =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Zeroizing<String>, String>> + Send>> + Send + Sync>;

/// How to reach it.
#[derive(Clone)]
pub struct Settings {
    /// The name in our configuration: the system of its ids for people, and the feed of its appointments.
    pub name: String,
    /// The server, `https://gnuhealth.clinic.example`.
    pub url: Url,
    /// The database there.
    pub database: String,
    /// The code of a product: each visit gets a health service with it, as a draft. None: no services.
    pub service: Option<String>,
    /// Whether services of the till become lines of health services there. Yes; products have the codes of services.
    pub charges: bool,
    /// The language of their descriptions. `en`.
    pub language: String,
    /// As which user invoices are made there of what was paid; none are made without.
    pub invoices: Option<String>,
}

impl Settings {
    /// What is told to it.
    pub fn wants(&self) -> Vec<ChangeKind> {
        use ChangeKind as K;
        let mut wants = vec![K::SessionOpened, K::SessionEnded, K::VisitStarted, K::VisitEnded, K::VisitCancelled];
        if self.charges {
            wants.extend([K::ChargeRendered, K::ChargeCancelled]);
            if self.invoices.is_some() {
                wants.extend([K::PaymentTaken, K::PaymentReturned]);
            }
        }
        wants
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The address and the name of the database make no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the address of GNU Health needs a host and, after it, the name of a database")]
pub struct BadAddress;

/// A GNU Health that is told of visits.
pub struct GnuHealth {
    settings: Settings,
    sessions: Sessions,
}

impl GnuHealth {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn new(settings: Settings, http: Client, assertions: Assertions) -> Result<Self, BadAddress> {
        let rpc = rpc::Rpc::new(http, &settings.url, &settings.database).ok_or(BadAddress)?;
        Ok(Self { settings, sessions: Sessions::new(rpc, assertions) })
    }
}

impl Deliver for GnuHealth {
    async fn deliver(&self, fact: &Fact) -> Delivered {
        match self.tell(fact).await {
            Ok(()) => Delivered::Done,
            Err(failed) => failed.delivered(),
        }
    }
}
