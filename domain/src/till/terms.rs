//! Terms: who pays how, within which limit, from when until when; and which of several counts.

use thiserror::Error;

use crate::codes;
use crate::ids::PersonId;
use crate::money::{Amount, Currency};
use crate::schedule::LocalDate;

codes! {
    /// When a service is paid.
    Mode {
        /// Before it is rendered, each one.
        Prepaid = "prepaid",
        /// From what was paid in.
        Deposit = "deposit",
        /// After it was rendered, within limits.
        Postpaid = "postpaid",
    }
}

codes! {
    /// Whom terms are for, the most particular last: of terms of the same priority the later in this order counts.
    Scope {
        /// Everybody.
        Everybody = "everybody",
        /// The members of a group.
        Group = "group",
        /// Those insured or sent under a contract.
        Contract = "contract",
        /// One patient.
        Patient = "patient",
    }
}

/// Whom terms are for, with the id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Everybody.
    Everybody,
    /// A group or contract of this id: a payer.
    Payer(String),
    /// One patient.
    Patient(PersonId),
}

/// Terms, one version of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Their id.
    pub id: String,
    /// 1, 2, 3 …: each change is a new one.
    pub version: u32,
    /// Whom they are for.
    pub scope: Scope,
    /// Whom, by id.
    pub owner: Owner,
    /// When services are paid.
    pub mode: Mode,
    /// In which currency.
    pub currency: Currency,
    /// On postpaid terms: the most that one patient may owe. `None`: only the pot bounds it.
    pub limit: Option<Amount>,
    /// On postpaid terms: the payer whose shared pot what is owed counts against as well.
    pub pot: Option<String>,
    /// The scheme of discounts.
    pub scheme: Option<String>,
    /// The higher counts.
    pub priority: u32,
    /// The first day.
    pub from: LocalDate,
    /// The last day; `None`: until changed.
    pub until: Option<LocalDate>,
}

impl Terms {
    /// Whether they count on a day.
    pub fn is_valid_on(&self, day: LocalDate) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }

    /// Whether they make sense.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), TermsError> {
        if self.until.is_some_and(|until| until < self.from) {
            return Err(TermsError::EndsBeforeItBegins);
        }
        if self.limit.is_some_and(|limit| limit.minor() < 0) {
            return Err(TermsError::NegativeLimit);
        }
        let is_bounded = self.limit.is_some() || self.pot.is_some();
        match (self.mode, is_bounded) {
            (Mode::Postpaid, false) => Err(TermsError::NoLimit),
            (Mode::Prepaid | Mode::Deposit, true) => Err(TermsError::LimitWithoutUse),
            _ => Ok(()),
        }
    }
}

/// The terms that count on a day: of those valid, in the currency, the one of the highest priority; then the most
/// particular scope; then, so that the answer is always the same, the smallest id. `None`: there are none, and nothing
/// can be registered.
pub fn choose<'a>(all: impl IntoIterator<Item = &'a Terms>, currency: Currency, day: LocalDate) -> Option<&'a Terms> {
    all.into_iter()
        .filter(|terms| terms.currency == currency && terms.is_valid_on(day))
        .max_by(|a, b| (a.priority, a.scope).cmp(&(b.priority, b.scope)).then_with(|| b.id.cmp(&a.id)))
}

/// Why terms make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TermsError {
    /// The last day lies before the first.
    #[error("the last day lies before the first")]
    EndsBeforeItBegins,
    /// A limit below zero.
    #[error("a limit cannot be negative")]
    NegativeLimit,
    /// Postpaid without any limit.
    #[error("postpaid terms need a limit for each patient, or a shared pot, or both")]
    NoLimit,
    /// A limit where nothing is owed.
    #[error("only postpaid terms have a limit or a pot")]
    LimitWithoutUse,
}
