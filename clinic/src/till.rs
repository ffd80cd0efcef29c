//! The till: services and their prices, terms and limits, charges, payments, drawers, and the ledger under it all. Rules are
//! `domain::till`'s; here they become rows, entries of the audit log, changes and postings, in one transaction.
//!
//! Owns the tables `service`, `price`, `price_version`, `payer`, `payer_member`, `pot`, `discount_scheme`, `terms`,
//! `limit_override`, `till_balance`, `charge`, `ledger`, `till_shift`, `till_day`, `payment`, `payment_part`, `till_request`
//! and `reconciliation`. One module a capability.
//!
//! Nothing here is ever deleted; what was wrong is posted the other way round. May import `domain`, `store`, the audit log,
//! the feed of changes and visits.

pub(crate) mod absorb;
pub mod account;
mod batch;
pub mod books;
mod cancel;
mod charge;
pub mod check;
pub mod counter;
pub mod days;
mod decide;
pub mod figures;
pub mod inbound;
mod keys;
pub(crate) mod ledger;
mod looks;
mod member_list;
mod offer;
mod office;
mod overrides;
mod payers;
pub mod payments;
mod price_import;
mod price_list;
mod prices;
pub mod recalculate;
pub mod reconcile;
mod registrar;
mod render;
pub mod requests;
pub(crate) mod resolve;
pub(crate) mod rows;
mod schemes;
mod services;
pub mod shifts;
pub mod statement;
pub mod terminal;
mod terms;

use std::sync::Arc;

use chrono_tz::Tz;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Refusal;
use domain::{Clock, Denied, UtcMillis};
use store::{Database, Error};
use thiserror::Error as ThisError;

pub use charge::{CHARGES_MAX, CancelReason, Charge, NewCharge};
pub use member_list::{MEMBERS_COLUMN, MEMBERS_COLUMNS, MembersReport};
pub use offer::{Left, OFFERS_MAX, Offer, Offers, PotLeft};
pub use office::{CODE_MAX_CHARS, Made, NAME_MAX_CHARS, REASON_CHARS, WORD_MAX_CHARS, read_currency};
pub use overrides::{
    NewOverride, OPEN_MAX, OVERRIDES_PAGE_MAX, Override, OverrideFilter, OverrideOwner, OverrideReason, OverrideTarget,
};
pub use payers::{MEMBERS_PAGE_MAX, Member, NewPayer, PAYERS_MAX, Payer, PayerKind, PotState};
pub use price_import::{ListLine, ListReport, ListState, Take};
pub use price_list::{
    FREE, LIST_COLUMN, LIST_COLUMNS, LIST_MAX_BYTES, LIST_ROWS_MAX, ListFault, ListFaultKind, ListFaults, NONE,
    price as read_price, price_text,
};
pub use prices::{NewPrice, PRICES_MAX, PriceNow, PriceSet, PriceVersion};
pub use registrar::{BATCH_MAX, WAITING_MAX};
pub use schemes::{Explained, NewScheme, StoredScheme, explain};
pub use services::{LANGUAGES_MAX, NewService, SERVICES_MAX, SERVICES_PAGE_MAX, Service, ServiceFilter, ServiceLine};
pub use terms::{NewTerms, PRIORITY_MAX, StoredTerms, TermsAnswer, Why, overlaps};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// How the clinic keeps its till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The clinic's currency: that of prices and terms unless they say otherwise.
    pub currency: Currency,
    /// The most that one override may add to a limit.
    pub override_max: Amount,
    /// How long an override may last, in milliseconds.
    pub override_longest_ms: i64,
    /// Money given back up to this sum needs nobody else's permission. Zero: always.
    pub refund_alone_max: Amount,
    /// A service without a visit is registered at a workstation only if who is bound there tapped or gave the PIN not longer
    /// ago than this, in milliseconds. Default: 5 minutes.
    pub fresh_ms: i64,
    /// What was registered without a visit is to be reviewed within this time, in milliseconds. Default: 72 hours.
    pub review_ms: i64,
}

impl Rules {
    /// Careful rules in a currency: overrides of at most 1,000 units and a day, every refund with permission.
    pub fn of(currency: Currency) -> Self {
        let thousand = Amount::new(1000 * currency.unit()).unwrap_or(Amount::ZERO);
        Self {
            currency,
            override_max: thousand,
            override_longest_ms: 24 * HOUR_MS,
            refund_alone_max: Amount::ZERO,
            fresh_ms: HOUR_MS / 12,
            review_ms: 72 * HOUR_MS,
        }
    }
}

/// The till, for pages, the API and programs. Cheap to clone; clones share one registrar.
#[derive(Debug, Clone)]
pub struct Till {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) zone: Tz,
    pub(crate) rules: Rules,
    registrar: Arc<registrar::Registrar>,
    looks: Arc<looks::Looks>,
}

impl Till {
    /// Over `database`; days are those of `zone`.
    pub fn new(database: Database, clock: Clock, zone: Tz, rules: Rules) -> Self {
        Self { database, clock, zone, rules, registrar: Arc::default(), looks: Arc::default() }
    }

    /// How the clinic keeps its till.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The clinic's day at an instant.
    pub fn day_at(&self, at: UtcMillis) -> LocalDate {
        day_in(self.zone, at)
    }

    /// The clinic's day now.
    pub fn today(&self) -> LocalDate {
        self.day_at(self.clock.now())
    }
}

/// The day of an instant in a zone.
pub(crate) fn day_in(zone: Tz, at: UtcMillis) -> LocalDate {
    at.to_chrono().map_or(LocalDate(0), |utc| LocalDate::from_chrono(utc.with_timezone(&zone).date_naive()))
}

/// Why nothing was done.
#[derive(Debug, ThisError)]
pub enum TillError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Limits, deposit, price or terms do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such thing, or it is over.
    #[error("there is no such entry, or it is over")]
    NotFound,
    /// It belongs to another patient, specialist or cashier.
    #[error("this is somebody else's")]
    NotTheirs,
    /// The same key was used for something else before.
    #[error("this key was used for another request; use a new one")]
    KeyReused,
    /// It changed since it was shown: somebody else was quicker.
    #[error("this has changed meanwhile; look again")]
    Changed,
    /// Something is wrong with what was given: the name of the field and what to do.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong, in words for people who know the API.
        problem: String,
    },
    /// A reason in words is needed.
    #[error("this needs a reason of 10 to 500 characters")]
    ReasonWanted,
    /// Nobody may allow what they asked for themselves.
    #[error("somebody else must decide this")]
    OwnRequest,
    /// No drawer is open for this cashier.
    #[error("open your drawer first")]
    NoShift,
    /// Too much is waiting; nothing was done.
    #[error("the till is busy; try again")]
    Busy,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}
