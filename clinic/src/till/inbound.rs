//! Notices of payment services: money that came to the clinic's bank account without a cashier. Each is taken once, by source
//! and id. What says for whom it is becomes a payment; what does not is kept until somebody assigns it. Owns the table
//! `payment_notice`.

use domain::money::{Amount, Currency};
use domain::{PersonId, UtcMillis, codes};

use super::payments::Payment;
use super::{Till, TillError};
use crate::acting::Acting;

/// Most notices read at once.
pub const NOTICES_MAX: u32 = 500;

codes! {
    /// What a payment service tells.
    NoticeKind {
        /// Money came.
        Paid = "paid",
        /// Money that had come was taken back.
        Reversed = "reversed",
    }
}

codes! {
    /// What became of a notice.
    NoticeState {
        /// It became a payment, or took one back.
        Done = "done",
        /// Nobody knows for whom it is: somebody must assign it.
        Unassigned = "unassigned",
        /// Somebody has put it aside: it is dealt with outside the till.
        PutAside = "put_aside",
    }
}

/// Something that a payment service tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// The configured name of the service.
    pub source: String,
    /// Its id of the payment (of the reversal, for one).
    pub external: String,
    /// What it tells.
    pub kind: NoticeKind,
    /// For a reversal: its id of the payment that is taken back.
    pub of: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// For whom, as a person's id here.
    pub patient: Option<PersonId>,
    /// For whom, as a record number: the system that gave it, and the number.
    pub record: Option<(String, String)>,
    /// For which charges, by id, in the order in which they are paid; what is left becomes the deposit.
    pub charges: Vec<String>,
}

/// A notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentNotice {
    /// Its id here.
    pub id: String,
    /// The service.
    pub source: String,
    /// The service's id.
    pub external: String,
    /// What it tells.
    pub kind: NoticeKind,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// What became of it.
    pub state: NoticeState,
    /// The payment that it became.
    pub payment: Option<String>,
    /// When it came.
    pub received: UtcMillis,
    /// When somebody dealt with it.
    pub handled: Option<UtcMillis>,
}

impl Till {
    /// Takes a notice of a configured payment service, whose signature was checked. The same one again: the same answer.
    ///
    /// # Errors
    /// `Invalid`, `KeyReused` when the id came before with another content, the engine's.
    pub async fn take_notice(&self, new: NewNotice) -> Result<PaymentNotice, TillError> {
        let _ = new;
        Err(TillError::Busy)
    }

    /// Notices, newest first.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`].
    pub async fn payment_notices(
        &self,
        acting: &Acting,
        state: Option<NoticeState>,
        limit: u32,
    ) -> Result<Vec<PaymentNotice>, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = (state, limit);
        Ok(Vec::new())
    }

    /// Says for whom an unassigned notice is: it becomes a payment for these charges, the rest a deposit.
    ///
    /// # Errors
    /// As [`Till::pay`].
    pub async fn assign_notice(
        &self,
        acting: &Acting,
        notice: &str,
        patient: PersonId,
        parts: Vec<(String, Amount)>,
    ) -> Result<Payment, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = (notice, patient, parts);
        Err(TillError::Busy)
    }

    /// Puts an unassigned notice aside: it is dealt with outside the till.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillApprove`]; `NotFound`; `ReasonWanted`.
    pub async fn put_notice_aside(
        &self,
        acting: &Acting,
        notice: &str,
        words: &str,
    ) -> Result<PaymentNotice, TillError> {
        acting.must(domain::Permission::TillApprove)?;
        let _ = (notice, words);
        Err(TillError::Busy)
    }
}
