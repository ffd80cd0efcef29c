//! Figures of the till for managers: what is owed and which limits are near their end, what was earned by what, which
//! discounts were given, and how old it is what nobody has paid. By pseudonym; no names. Reads only.

mod ageing;
mod exposure;
mod revenue;

use domain::PersonId;
use domain::money::Currency;
use domain::schedule::LocalDate;
use store::transact;

use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};

pub use ageing::{AGES, Ageing, AgeingLine, DEBTORS_MAX, Debtor};
pub use exposure::{
    Exposure, GroupExposure, NEAR_PER_CENT, OVERRIDES_MAX, OverrideLine, PATIENTS_MAX, PatientExposure,
};
pub use revenue::{DiscountLine, Given, LINES_MAX, Revenue, RevenueBy, RevenueLine};

/// Most days of one figure: ten years.
pub const DAYS_MAX: i32 = 3660;

/// Days of the clinic, both ends included, in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub from: LocalDate,
    /// The last day.
    pub until: LocalDate,
    /// In which currency; `None`: the clinic's.
    pub currency: Option<Currency>,
}

impl Days {
    /// Whether they make sense.
    fn check(&self) -> Result<(), TillError> {
        let problem = match self.until.0.checked_sub(self.from.0) {
            Some(days) if (0..DAYS_MAX).contains(&days) => return Ok(()),
            Some(days) if days < 0 => "the last day lies before the first".to_owned(),
            _ => format!("choose at most {DAYS_MAX} days"),
        };
        Err(TillError::Invalid { field: "until", problem })
    }
}

impl Till {
    /// Writes that figures were looked at that hold lines about single patients.
    async fn note_figures(&self, acting: &Acting, which: &'static str) -> Result<(), TillError> {
        let draft = Draft {
            object: Some(which.to_owned()),
            purpose: Some(Purpose::Payment),
            ..acting.draft(self.clock.now(), Action::AccountSeen)
        };
        transact!(self.database, "till.figures.look", |conn| {
            audit::record!(conn, &draft);
            Ok(())
        })?;
        Ok(())
    }
}

/// Reads the person of a row.
fn person(table: &'static str, text: &str) -> Result<PersonId, store::Error> {
    crate::rows::column(table, "person", text, str::parse)
}
