//! Shifts: a cashier at a drawer, from its opening with change to its closing with what was counted. One open at a drawer, one
//! of a cashier. Owns the table `till_shift`.

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Method;
use domain::{UtcMillis, codes};

use super::{Till, TillError};
use crate::acting::Acting;

/// Longest name of a drawer, in bytes.
pub const DRAWER_MAX_BYTES: usize = 40;
/// Most shifts read at once.
pub const SHIFTS_MAX: u32 = 500;

codes! {
    /// Why a drawer, or the slips of the terminal, are not what they should be.
    DifferenceReason {
        /// A mistake when giving change.
        Change = "change",
        /// A mistake when counting.
        Counting = "counting",
        /// A false note or coin.
        Counterfeit = "counterfeit",
        /// A slip is missing or too much, or the terminal says something else.
        Slips = "slips",
        /// Nobody knows.
        Unexplained = "unexplained",
        /// Something else; the words say what.
        Other = "other",
    }
}

/// A shift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Its id.
    pub id: String,
    /// Its number, without gaps.
    pub no: u64,
    /// The drawer's name.
    pub drawer: String,
    /// The account of the cashier.
    pub account: String,
    /// The currency of the drawer.
    pub currency: Currency,
    /// When it was opened.
    pub opened: UtcMillis,
    /// Change that was put in.
    pub float: Amount,
    /// What should have been in it when it was closed.
    pub expected: Option<Amount>,
    /// What was counted.
    pub counted: Option<Amount>,
    /// What the card slips should have summed up to.
    pub card_expected: Option<Amount>,
    /// What they did.
    pub card: Option<Amount>,
    /// Why there was a difference.
    pub reason: Option<DifferenceReason>,
    /// When it was closed.
    pub closed: Option<UtcMillis>,
    /// The account that closed it.
    pub closed_by: Option<String>,
    /// The number of the audit log's entry of its opening.
    pub entry: u64,
}

/// A shift to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShift {
    /// The caller's key, as of [`super::payments::NewPayment`].
    pub key: String,
    /// The drawer's name: 1 to [`DRAWER_MAX_BYTES`] bytes.
    pub drawer: String,
    /// Its currency; `None`: the clinic's.
    pub currency: Option<Currency>,
    /// Change that is put in from the safe; not negative.
    pub float: Amount,
}

/// How a shift is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The caller's key.
    pub key: String,
    /// Which shift.
    pub shift: String,
    /// What was counted; not negative.
    pub counted: Amount,
    /// What the card slips of the shift sum up to: payments less what was given back.
    pub card: Amount,
    /// Why there is a difference, where there is one.
    pub reason: Option<DifferenceReason>,
    /// The reason in words, where there is a difference: 10 to 500 characters.
    pub words: String,
}

/// What a method brought and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodTotals {
    /// Which.
    pub method: Method,
    /// In which currency.
    pub currency: Currency,
    /// How many payments, back and forth.
    pub count: u64,
    /// What came.
    pub taken: Amount,
    /// What went back.
    pub given: Amount,
}

/// A shift with its sums as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftTotals {
    /// The shift.
    pub shift: Shift,
    /// The cash that should be in the drawer now; of a closed one, what should have been.
    pub cash: Amount,
    /// What the card slips should sum up to.
    pub card: Amount,
    /// By method.
    pub methods: Vec<MethodTotals>,
    /// Payments that still wait for a terminal: it cannot be closed before they are settled.
    pub waiting: u64,
}

/// Which shifts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShiftFilter {
    /// Of this account.
    pub account: Option<String>,
    /// At this drawer.
    pub drawer: Option<String>,
    /// Open ones only, or closed ones only.
    pub open: Option<bool>,
    /// Opened on or after this day of the clinic.
    pub from: Option<LocalDate>,
    /// Opened on or before this day.
    pub until: Option<LocalDate>,
    /// Those with smaller numbers: where the page before ended.
    pub before: Option<u64>,
    /// At most so many, at most [`SHIFTS_MAX`]; 0 means that.
    pub limit: u32,
}

impl Till {
    /// Opens a drawer for the account that acts.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `Changed` when the drawer or the cashier has an open shift;
    /// `Invalid`, `KeyReused`.
    pub async fn open_shift(&self, acting: &Acting, new: NewShift) -> Result<Shift, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = new;
        Err(TillError::Busy)
    }

    /// Closes a drawer: one's own, or another's with [`domain::Permission::TillClose`].
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `ReasonWanted` when there is a difference without reason and words, `Changed` while a payment of
    /// it waits for a terminal, `Invalid`, `KeyReused`.
    pub async fn close_shift(&self, acting: &Acting, closing: Closing) -> Result<Shift, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = closing;
        Err(TillError::Busy)
    }

    /// The open shift of the account that acts.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; the engine's.
    pub async fn shift_of(&self, acting: &Acting) -> Result<Option<Shift>, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        Ok(None)
    }

    /// A shift and its sums: one's own, or another's with [`domain::Permission::TillClose`].
    ///
    /// # Errors
    /// `Denied`, `NotFound`, the engine's.
    pub async fn shift_totals(&self, acting: &Acting, shift: &str) -> Result<ShiftTotals, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = shift;
        Err(TillError::NotFound)
    }

    /// Shifts, newest first: one's own, or all with [`domain::Permission::TillClose`].
    ///
    /// # Errors
    /// `Denied`; the engine's.
    pub async fn shifts(&self, acting: &Acting, filter: &ShiftFilter) -> Result<Vec<Shift>, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = filter;
        Ok(Vec::new())
    }
}
