//! Payments: money that comes from a patient or a payer for services or as a deposit, goes back from a deposit, or turns out
//! not to have come. One payment is one transaction: its row and parts, the balances and pots it gives back, the charges it
//! settles, its entry of the audit log, its postings and its change.
//!
//! Owns the tables `payment` and `payment_part`. A payment at a card terminal is stored as waiting before the terminal is
//! asked ([`super::terminal`]), and what it is to pay is kept for it until the terminal has answered: nobody else can pay the
//! same meanwhile. Never removes anything: what did not hold gets a payment of the kind `returned` the other way round.

pub(crate) mod back;
pub(crate) mod moves;
pub(crate) mod rows;
pub(crate) mod take;

use domain::money::{Amount, Currency};
use domain::schedule::LocalDate;
use domain::till::Method;
use domain::{Permission, PersonId, UtcMillis, codes};
use store::transact;

use super::requests::Request;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use rows::{PaymentRow, PaymentsOn, select_payment, with_parts};

/// Most charges of one payment.
pub const PARTS_MAX: usize = 500;
/// Longest slip number or reference of a transfer, in bytes.
pub const EXTERNAL_MAX_BYTES: usize = 64;
/// Most payments read at once.
pub const PAYMENTS_MAX: u32 = 500;

codes! {
    /// What a payment is.
    PaymentKind {
        /// Money came, for services or as a deposit.
        Paid = "paid",
        /// Money went back to the patient from the deposit.
        Refunded = "refunded",
        /// A payment before did not hold, or was taken back: the other way round.
        Returned = "returned",
    }
}

codes! {
    /// How far a payment has come.
    PaymentState {
        /// The terminal is asked and has not answered yet.
        Waiting = "waiting",
        /// It is done; it has a number.
        Done = "done",
        /// It did not come about.
        Failed = "failed",
        /// It was done and taken back afterwards; another payment says so.
        Returned = "returned",
    }
}

codes! {
    /// Why a payment did not come about.
    PaymentFault {
        /// The bank or the terminal declined.
        Declined = "declined",
        /// The cashier or the patient broke it off.
        Cancelled = "cancelled",
        /// The terminal was never asked: nothing was taken.
        NotAsked = "not_asked",
        /// The terminal could not do it.
        Broken = "broken",
    }
}

codes! {
    /// Why a payment is taken back.
    ReturnReason {
        /// The bank took the card payment back.
        CardReversed = "card_reversed",
        /// The transfer bounced or was called back.
        TransferBounced = "transfer_bounced",
        /// The cashier made a mistake: wrong amount, wrong patient, wrong method.
        Mistake = "mistake",
        /// The payment service took it back.
        ServiceReversed = "service_reversed",
        /// Something else; the words say what.
        Other = "other",
    }
}

codes! {
    /// Why money is given back from a deposit.
    RefundReason {
        /// The patient wants it back.
        Wish = "wish",
        /// A service was taken back.
        ServiceCancelled = "service_cancelled",
        /// Too much was paid.
        Overpaid = "overpaid",
        /// Something else; the words say what.
        Other = "other",
    }
}

/// Money that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayment {
    /// The caller's key, unique for ever: 8 to 100 visible ASCII characters.
    pub key: String,
    /// Whose charges are paid, or whose deposit grows.
    pub patient: Option<PersonId>,
    /// The group or contract that pays charges of its members; exactly one of this and [`Self::patient`].
    pub payer: Option<String>,
    /// How.
    pub method: Method,
    /// In which currency.
    pub currency: Currency,
    /// How much altogether.
    pub amount: Amount,
    /// Charges, and how much of each; at most [`PARTS_MAX`], none for a pure deposit.
    pub parts: Vec<(String, Amount)>,
    /// Whether what the parts leave becomes the patient's deposit. Otherwise the parts must be the whole amount.
    pub rest_to_deposit: bool,
    /// The card terminal to ask ([`super::terminal::Terminals::pay`]); `None` with [`Method::Card`]: the cashier has typed
    /// the slip's number.
    pub terminal: Option<String>,
    /// The slip's number of a card payment by hand, or the reference of a transfer. Never personal data.
    pub external: Option<String>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id, a UUID.
    pub id: String,
    /// The number of its receipt, without gaps; only what is done has one.
    pub no: Option<u64>,
    /// What it is.
    pub kind: PaymentKind,
    /// How the money moved.
    pub method: Method,
    /// How far it has come.
    pub state: PaymentState,
    /// Whose.
    pub patient: Option<PersonId>,
    /// The payer, where one paid.
    pub payer: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// How much; always positive, the kind says in which direction.
    pub amount: Amount,
    /// Which charges it pays (or no longer pays), by id, and how much of each.
    pub parts: Vec<(String, Amount)>,
    /// What went into the deposit, or came out of it: the amount less the parts.
    pub deposit: Amount,
    /// The shift of the cashier.
    pub shift: Option<String>,
    /// The terminal or payment service.
    pub source: Option<String>,
    /// Its id there, a slip's number, or the reference of a transfer.
    pub external: Option<String>,
    /// The payment that this one takes back.
    pub reverses: Option<String>,
    /// The payment at a card terminal whose money this one sends back to its card.
    pub refunds: Option<String>,
    /// The kind of who took it: `account`, `api_key`, `peer` …
    pub actor_kind: String,
    /// Their id.
    pub actor: Option<String>,
    /// When it began.
    pub begun: UtcMillis,
    /// When it was done, or failed.
    pub done: Option<UtcMillis>,
    /// The clinic's day it counts to, once done.
    pub day: Option<LocalDate>,
    /// Why it failed.
    pub fault: Option<PaymentFault>,
    /// The number of its entry in the audit log, once done.
    pub entry: Option<u64>,
}

/// Money that is to be given back from a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefund {
    /// As of [`NewPayment`].
    pub key: String,
    /// Whose deposit.
    pub patient: PersonId,
    /// How: cash from the cashier's drawer, back to a card, by transfer. Not [`Method::Deposit`].
    pub method: Method,
    /// In which currency.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// The slip's number of the card terminal or the reference of the transfer.
    pub external: Option<String>,
    /// The payment at a card terminal whose money goes back to its card ([`super::terminal::Terminals::refund`]), with
    /// [`Method::Card`]; `None`: the money is given back by hand.
    pub refunds: Option<String>,
    /// Why.
    pub reason: RefundReason,
    /// Why, in words: 10 to 500 characters. They stand in the audit log only.
    pub words: String,
}

/// What became of the wish to give money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// It was given back; or, still waiting, its terminal is asked.
    Paid(Payment),
    /// It is more than one may give back alone: somebody else must allow it.
    Asked(Request),
}

/// Which payments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Of this patient.
    pub patient: Option<PersonId>,
    /// Of this payer.
    pub payer: Option<String>,
    /// Of this kind.
    pub kind: Option<PaymentKind>,
    /// By this method.
    pub method: Option<Method>,
    /// In this state.
    pub state: Option<PaymentState>,
    /// In this shift.
    pub shift: Option<String>,
    /// Begun on or after this day of the clinic.
    pub from: Option<LocalDate>,
    /// Begun on or before this day.
    pub until: Option<LocalDate>,
    /// With this receipt number.
    pub no: Option<u64>,
    /// Older than this one: where the page before ended.
    pub before: Option<(UtcMillis, String)>,
    /// At most so many, at most [`PAYMENTS_MAX`]; 0 means that.
    pub limit: u32,
}

impl Till {
    /// One payment. The look is recorded.
    ///
    /// # Errors
    /// [`TillError::Denied`] without [`domain::Permission::ChargeSee`], [`TillError::NotFound`], the engine's.
    pub async fn payment(&self, acting: &Acting, id: &str) -> Result<Payment, TillError> {
        acting.must(Permission::ChargeSee)?;
        let (id, draft) = (id.to_owned(), acting.draft(self.clock.now(), Action::AccountSeen));
        transact!(self.database, "till.payment", |conn| {
            let Some(payment) = conn.payment_of_id(&id).await? else { return Ok(Err(TillError::NotFound)) };
            let draft = Draft {
                subject: payment.patient,
                object: Some(payment.id.clone()),
                purpose: Some(Purpose::Payment),
                ..draft.clone()
            };
            audit::record!(conn, &draft);
            Ok(Ok(payment))
        })?
    }

    /// Payments, newest first. The look is recorded, with the number of rows.
    ///
    /// # Errors
    /// [`TillError::Denied`] without [`domain::Permission::ChargeSee`], the engine's.
    pub async fn payments(&self, acting: &Acting, filter: &PaymentFilter) -> Result<Vec<Payment>, TillError> {
        acting.must(Permission::ChargeSee)?;
        let filter = filter.clone();
        let draft = acting.draft(self.clock.now(), Action::AccountSeen);
        let limit = if filter.limit == 0 { PAYMENTS_MAX } else { filter.limit.min(PAYMENTS_MAX) };
        let (from, until) = (filter.from.map(|day| self.start_of(day).0), filter.until.map(|day| self.end_of(day).0));
        let payments = transact!(self.database, "till.payments", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(select_payment!("WHERE 1 = 1"));
            if let Some(patient) = filter.patient {
                select.push(" AND (patient = ").push_bind(patient.to_string());
                select.push(" OR patient IN (SELECT person FROM person_merge WHERE into_person = ");
                select.push_bind(patient.to_string()).push("))");
            }
            if let Some(payer) = &filter.payer {
                select.push(" AND payer = ").push_bind(payer);
            }
            if let Some(kind) = filter.kind {
                select.push(" AND kind = ").push_bind(kind.as_str());
            }
            if let Some(method) = filter.method {
                select.push(" AND method = ").push_bind(method.as_str());
            }
            if let Some(state) = filter.state {
                select.push(" AND state = ").push_bind(state.as_str());
            }
            if let Some(shift) = &filter.shift {
                select.push(" AND shift = ").push_bind(shift);
            }
            if let Some(no) = filter.no {
                select.push(" AND no = ").push_bind(no.cast_signed());
            }
            if let Some(from) = from {
                select.push(" AND begun_ms >= ").push_bind(from);
            }
            if let Some(until) = until {
                select.push(" AND begun_ms < ").push_bind(until);
            }
            if let Some((at, id)) = &filter.before {
                select.push(" AND (begun_ms < ").push_bind(at.0);
                select.push(" OR (begun_ms = ").push_bind(at.0);
                select.push(" AND id < ").push_bind(id).push("))");
            }
            select.push(" ORDER BY begun_ms DESC, id DESC LIMIT ").push_bind(i64::from(limit));
            let rows: Vec<PaymentRow> = select.build_query_as().fetch_all(&mut *conn).await?;
            let mut parts: Vec<(String, String, i64)> = Vec::new();
            if !rows.is_empty() {
                let mut select = sqlx::QueryBuilder::<Db>::new(
                    "SELECT payment_part.payment, payment_part.charge, payment_part.minor FROM payment_part
                     JOIN charge ON charge.id = payment_part.charge WHERE payment_part.payment IN (",
                );
                let mut list = select.separated(", ");
                for row in &rows {
                    list.push_bind(&row.id);
                }
                select.push(") ORDER BY charge.no");
                parts = select.build_query_as().fetch_all(&mut *conn).await?;
            }
            let draft = Draft {
                subject: filter.patient,
                purpose: Some(Purpose::Payment),
                detail: Some(format!("payments={}", rows.len())),
                ..draft.clone()
            };
            audit::record!(conn, &draft);
            with_parts(rows, parts)
        })?;
        Ok(payments)
    }
}
