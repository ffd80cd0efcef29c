//! The progressive scale of discounts: the rate of a charge follows from the sum of services rendered to this patient
//! before it. Deterministic: the same history gives the same discounts, line by line.
//!
//! The sum is that of net amounts, in the currency, of everything rendered to the patient and not taken back, in the order
//! of the ledger, without the charge itself. The rate of the step that this sum has reached counts for the whole charge;
//! a charge is never split between two steps.

use thiserror::Error;

use crate::codes;
use crate::money::Amount;

/// A whole, in hundredths of a per cent.
pub const WHOLE: u32 = 10_000;
/// Most steps of a scheme.
pub const STEPS_MAX: usize = 50;
/// Coarsest rounding: to 100,000 minor units.
pub const UNIT_MAX: i64 = 100_000;

codes! {
    /// How a discount that falls between two units is rounded.
    Rounding {
        /// To the nearer; the middle goes up (in the patient's favour).
        HalfUp = "half_up",
        /// To the nearer; the middle goes to the even one.
        HalfEven = "half_even",
        /// Down: never more than the rate says.
        Down = "down",
    }
}

/// From this sum on, this rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Of services rendered before.
    pub from: Amount,
    /// In hundredths of a per cent: 500 is 5 %. At most [`WHOLE`].
    pub rate: u32,
}

/// A scheme, one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheme {
    /// Its id.
    pub id: String,
    /// 1, 2, 3 …
    pub version: u32,
    /// Steps, the sums rising.
    pub steps: Vec<Step>,
    /// How to round.
    pub rounding: Rounding,
    /// To what: 1 is the minor unit, 100 a whole one of a currency with cents.
    pub unit: i64,
}

/// A discount and why it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discount {
    /// In hundredths of a per cent.
    pub rate: u32,
    /// How much.
    pub amount: Amount,
    /// The step that comes next, for people to see.
    pub next: Option<Step>,
}

impl Scheme {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not, with the number of the step where there is one.
    pub fn check(&self) -> Result<(), SchemeError> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(SchemeError::Steps);
        }
        if self.unit < 1 || self.unit > UNIT_MAX {
            return Err(SchemeError::Unit);
        }
        for (at, step) in self.steps.iter().enumerate() {
            if step.rate > WHOLE {
                return Err(SchemeError::Rate(at + 1));
            }
            let is_after = at == 0 || self.steps[at - 1].from < step.from;
            if step.from.minor() < 0 || !is_after {
                return Err(SchemeError::Order(at + 1));
            }
        }
        Ok(())
    }

    /// The discount on a price (for all pieces of a charge), after so much was rendered. Never more than the price;
    /// nothing on a price that is not positive.
    pub fn discount(&self, before: Amount, gross: Amount) -> Discount {
        let reached = self.steps.iter().rev().find(|step| step.from <= before);
        let next = self.steps.iter().find(|step| step.from > before).copied();
        let rate = reached.map_or(0, |step| step.rate);
        // 10^15 times 10^4 fits into 128 bits, and the result is never more than `gross`.
        let product = i128::from(gross.minor().max(0)) * i128::from(rate);
        let whole = i128::from(WHOLE) * i128::from(self.unit);
        let (quotient, rest) = (product / whole, product % whole);
        let up = match self.rounding {
            Rounding::Down => false,
            Rounding::HalfUp => rest * 2 >= whole,
            Rounding::HalfEven => rest * 2 > whole || (rest * 2 == whole && quotient % 2 == 1),
        };
        let rounded = (quotient + i128::from(up)) * i128::from(self.unit);
        let minor = i64::try_from(rounded).unwrap_or(i64::MAX).min(gross.minor().max(0));
        Discount { rate, amount: Amount::new(minor).unwrap_or(Amount::ZERO), next }
    }
}

/// Why a scheme makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SchemeError {
    /// None, or more than [`STEPS_MAX`].
    #[error("a scale has 1 to 50 steps")]
    Steps,
    /// The unit of rounding.
    #[error("rounding is to 1 to 100000 minor units")]
    Unit,
    /// More than 100 %.
    #[error("step {0}: a discount is at most 100 %")]
    Rate(usize),
    /// Sums that do not rise.
    #[error("step {0}: sums must rise from step to step and not be negative")]
    Order(usize),
}
