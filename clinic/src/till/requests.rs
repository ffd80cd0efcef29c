//! What one person asks for and another must allow: write-offs, and money given back. Allowing is doing: the same transaction
//! posts it. Nobody decides what they asked for themselves. Owns the table `till_request`; the reasons in words stand in the
//! audit log's entries only.

mod rows;

use std::collections::BTreeSet;

use domain::money::{Amount, Currency};
use domain::till::{ChargeState, Method};
use domain::{Permission, PersonId, UtcMillis, codes};
use store::{Error, transact};

use super::keys::{self, Asked};
use super::payments::back::{self, Refunding};
use super::payments::moves::{Moves, TillOn, What};
use super::payments::rows::PaymentsOn;
use super::payments::take::{At, By};
use super::shifts::invalid;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::changes::{Change, ChangeKind};
use crate::{draw, visits};

pub(crate) use rows::RequestsOn;
use rows::{RequestRow, select_request};

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
    /// The slip's number or the reference of the money back.
    pub external: Option<String>,
    /// The payment at a card terminal whose money is to go back to its card.
    pub refunds: Option<String>,
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

/// A request that is about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewRequest {
    pub(crate) id: String,
    pub(crate) kind: RequestKind,
    pub(crate) charge: Option<String>,
    pub(crate) reason: String,
    pub(crate) method: Option<Method>,
    /// Key, hash, patient, amount; for a refund also where to.
    pub(crate) refunding: Refunding,
}

/// Stores a request inside a transaction. That there is enough is asked again when it is decided.
pub(crate) async fn ask<C: TillOn + RequestsOn>(
    conn: &mut C,
    new: NewRequest,
    by: &By,
    at: &At,
) -> Result<Result<Request, TillError>, Error> {
    let given = new.refunding.patient;
    let Some(patient) = conn.survivors(&BTreeSet::from([given])).await?.into_values().next() else {
        return Ok(Err(TillError::NotFound));
    };
    if new.kind == RequestKind::Refund {
        if let Some(payment) = &new.refunding.refunds
            && let Err(error) = back::refundable(conn, payment, &new.refunding, patient).await?
        {
            return Ok(Err(error));
        }
        let key = (patient, new.refunding.currency);
        let account = conn.accounts(&BTreeSet::from([key])).await?.get(&key).copied().unwrap_or_default();
        let missing = new.refunding.amount.minus(account.deposit).unwrap_or(new.refunding.amount);
        if missing.is_positive() {
            return Ok(Err(domain::till::Refusal::Deposit { left: account.deposit, missing }.into()));
        }
    }
    let no = conn.next_no("till_request").await?;
    let charge = new.charge.as_ref().map(|charge| format!(" charge={charge}")).unwrap_or_default();
    let mut method = new.method.map(|method| format!(" method={method}")).unwrap_or_default();
    if let Some(payment) = &new.refunding.refunds {
        method.push_str(&format!(" refunds={payment}"));
    }
    let draft = Draft {
        subject: Some(patient),
        object: Some(new.id.clone()),
        purpose: Some(Purpose::Payment),
        detail: Some(format!(
            "request={} no={no} kind={}{charge}{method} minor={} currency={} reason={}",
            new.id,
            new.kind,
            new.refunding.amount.minor(),
            new.refunding.currency,
            new.reason,
        )),
        ..by.draft.clone()
    };
    let ask_entry = conn.append(&draft).await?;
    let request = Request {
        id: new.id,
        no,
        kind: new.kind,
        patient,
        charge: new.charge,
        currency: new.refunding.currency,
        amount: new.refunding.amount,
        method: new.method,
        external: new.refunding.external,
        refunds: new.refunding.refunds,
        reason: new.reason,
        state: RequestState::Asked,
        asked: at.now,
        asked_kind: by.kind.clone(),
        asked_by: by.id.clone(),
        ask_entry,
        decided: None,
        decided_kind: None,
        decided_by: None,
        decide_entry: None,
        payment: None,
    };
    conn.insert_request(&request, &new.refunding.key, &new.refunding.asked).await?;
    Ok(Ok(request))
}

/// Does what a request asks for. Returns the payment, where there is one, and the number of the entry that says so.
async fn carry_out<C: TillOn>(
    conn: &mut C,
    request: &Request,
    by: &By,
    at: &At,
    key: &str,
) -> Result<Result<(Option<String>, u64), TillError>, Error> {
    let more = format!(" request={} no={} state=allowed", request.id, request.no);
    if request.kind == RequestKind::Refund {
        let Some(method) = request.method else { return Ok(Err(TillError::NotFound)) };
        let refunding = Refunding {
            key: key.to_owned(),
            asked: Asked::of("allowed").with(&request.id).hash(),
            patient: request.patient,
            method,
            currency: request.currency,
            amount: request.amount,
            external: request.external.clone(),
            refunds: request.refunds.clone(),
        };
        // Whoever asked hands it out, of their own drawer.
        let account = request.asked_by.clone().filter(|_| request.asked_kind == "account");
        let asker =
            By { kind: request.asked_kind.clone(), id: request.asked_by.clone(), account, draft: by.draft.clone() };
        let (payment, entry) = match back::refund(conn, &refunding, &asker, at, &more).await? {
            Ok(done) => done,
            Err(error) => return Ok(Err(error)),
        };
        return Ok(Ok((Some(payment.id), entry)));
    }
    let Some(id) = &request.charge else { return Ok(Err(TillError::NotFound)) };
    let ids = BTreeSet::from([id.clone()]);
    let charges = conn.charges_of(&ids).await?;
    let waiting = conn.waiting_for(&ids).await?.get(id).copied().unwrap_or_default();
    let Some(charge) = charges.get(id) else { return Ok(Err(TillError::NotFound)) };
    let left = charge.open().minus(waiting).unwrap_or_default();
    if charge.state != ChargeState::Rendered || request.amount > left {
        return Ok(Err(TillError::Changed));
    }
    let day = conn.posting_day(at.today).await?;
    let what = What { now: at.now, day, currency: request.currency, payment: None, shift: None };
    let mut moves = Moves::load(conn, what, charges, &[]).await?;
    if let Err(error) = moves.write_off(id, request.amount) {
        return Ok(Err(error));
    }
    let detail = format!("charge={id}{more} kind={} minor={}", request.kind, request.amount.minor());
    let entry = moves.write(conn, Draft { detail: Some(detail), ..by.draft.clone() }).await?;
    let changes: Vec<Change> = moves
        .patients()
        .into_iter()
        .map(|patient| Change {
            patient: Some(patient),
            reason: Some("written_off".to_owned()),
            ..Change::new(at.now, at.now, ChangeKind::TermsChanged)
        })
        .collect();
    conn.append_changes(&changes).await?;
    Ok(Ok((None, entry)))
}

impl Till {
    /// Asks for a write-off of what is open of a rendered charge. Repeating the key gives the same request.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `NotFound`, `Changed` when less is open or it is not rendered,
    /// `ReasonWanted`, `Invalid`, `KeyReused`.
    pub async fn ask_write_off(&self, acting: &Acting, new: NewWriteOff) -> Result<Request, TillError> {
        acting.must(Permission::PaymentTake)?;
        keys::check(&new.key)?;
        if !new.amount.is_positive() {
            return Err(invalid("amount", "an amount above zero"));
        }
        let typed = words(&new.words, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?;
        let asked = Asked::of("write_off").with(&new.charge).with(new.amount.minor()).with(new.reason).hash();
        let now = self.clock.now();
        let by = By::of(acting, now, Action::TillRequested);
        let by = By { draft: Draft { note: Some(typed), ..by.draft }, ..by };
        let at = At { now, today: self.day_at(now), id: draw::id()? };
        transact!(self.database, "till.ask_write_off", |conn| {
            if let Some((request, before)) = conn.request_of_key(&new.key).await? {
                return Ok(if before == asked { Ok(request) } else { Err(TillError::KeyReused) });
            }
            let found = conn.charges_of(&BTreeSet::from([new.charge.clone()])).await?;
            let Some(charge) = found.get(&new.charge) else { return Ok(Err(TillError::NotFound)) };
            let waiting = conn.waiting_for(&BTreeSet::from([charge.id.clone()])).await?;
            let waiting = waiting.get(&charge.id).copied().unwrap_or_default();
            if charge.state != ChargeState::Rendered || new.amount > charge.open().minus(waiting).unwrap_or_default() {
                return Ok(Err(TillError::Changed));
            }
            let request = NewRequest {
                id: at.id.clone(),
                kind: RequestKind::WriteOff,
                charge: Some(charge.id.clone()),
                reason: new.reason.as_str().to_owned(),
                method: None,
                refunding: Refunding {
                    key: new.key.clone(),
                    asked: asked.clone(),
                    patient: charge.patient,
                    method: Method::Deposit,
                    currency: charge.currency,
                    amount: new.amount,
                    external: None,
                    refunds: None,
                },
            };
            ask(conn, request, &by, &at).await
        })?
    }

    /// Allows or refuses a request; what is allowed is done in the same transaction. Deciding the same again gives what was
    /// decided.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillApprove`]; `OwnRequest`; `NotFound`; `Changed` when it was decided
    /// otherwise or there is less than asked for; `ReasonWanted`; `NoShift` when cash is to come out of the asker's drawer
    /// and it is closed; `Refused` when the deposit does not suffice any more; `Invalid` for money that is to go back at a
    /// terminal, which [`super::terminal::Terminals::decide_request`] allows.
    pub async fn decide_request(
        &self,
        acting: &Acting,
        id: &str,
        allow: bool,
        typed: &str,
    ) -> Result<Request, TillError> {
        acting.must(Permission::TillApprove)?;
        self.decide(acting, id, allow, typed, false).await
    }

    /// Decides; `asks` says whether a terminal is asked afterwards. Whether they may is asked by those who call it.
    pub(crate) async fn decide(
        &self,
        acting: &Acting,
        id: &str,
        allow: bool,
        typed: &str,
        asks: bool,
    ) -> Result<Request, TillError> {
        let typed = words(typed, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?;
        let now = self.clock.now();
        let by = By::of(acting, now, Action::TillDecided);
        let at = At { now, today: self.day_at(now), id: visits::new_id()? };
        let id = id.to_owned();
        transact!(self.database, "till.decide_request", |conn| {
            let Some(mut request) = conn.request(&id).await? else { return Ok(Err(TillError::NotFound)) };
            let verdict = if allow { RequestState::Allowed } else { RequestState::Refused };
            if request.state != RequestState::Asked {
                return Ok(if request.state == verdict { Ok(request) } else { Err(TillError::Changed) });
            }
            if request.asked_kind == by.kind && request.asked_by == by.id {
                return Ok(Err(TillError::OwnRequest));
            }
            if allow && !asks && request.refunds.is_some() {
                return Ok(Err(invalid("refunds", "a terminal is asked by the terminals of the till")));
            }
            let draft = Draft {
                subject: Some(request.patient),
                object: Some(request.id.clone()),
                purpose: Some(Purpose::Payment),
                note: Some(typed.clone()),
                ..by.draft.clone()
            };
            let entry = if allow {
                let by = By { draft, ..by.clone() };
                // The key of the payment is made of the request: the request is carried out once.
                let key = format!("request-{}", request.id);
                match carry_out(conn, &request, &by, &at, &key).await? {
                    Ok((payment, entry)) => {
                        request.payment = payment;
                        entry
                    }
                    Err(error) => return Ok(Err(error)),
                }
            } else {
                let detail = format!("request={} no={} kind={} state=refused", request.id, request.no, request.kind);
                audit::record!(conn, &Draft { detail: Some(detail), ..draft })
            };
            request.state = verdict;
            request.decided = Some(at.now);
            request.decided_kind = Some(by.kind.clone());
            request.decided_by.clone_from(&by.id);
            request.decide_entry = Some(entry);
            conn.decide(&request).await?;
            Ok(Ok(request))
        })?
    }

    /// Requests, newest first. The look is recorded, with the number of rows.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`] or [`domain::Permission::TillApprove`].
    pub async fn requests(&self, acting: &Acting, filter: &RequestFilter) -> Result<Vec<Request>, TillError> {
        acting.must(Permission::PaymentTake).or_else(|_| acting.must(Permission::TillApprove))?;
        let filter = filter.clone();
        let draft = acting.draft(self.clock.now(), Action::AccountSeen);
        let limit = if filter.limit == 0 { REQUESTS_MAX } else { filter.limit.min(REQUESTS_MAX) };
        Ok(transact!(self.database, "till.requests", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(select_request!("WHERE 1 = 1"));
            if let Some(state) = filter.state {
                select.push(" AND state = ").push_bind(state.as_str());
            }
            if let Some(kind) = filter.kind {
                select.push(" AND kind = ").push_bind(kind.as_str());
            }
            if let Some(patient) = filter.patient {
                select.push(" AND (patient = ").push_bind(patient.to_string());
                select.push(" OR patient IN (SELECT person FROM person_merge WHERE into_person = ");
                select.push_bind(patient.to_string()).push("))");
            }
            if let Some(before) = filter.before {
                select.push(" AND no < ").push_bind(before.cast_signed());
            }
            select.push(" ORDER BY no DESC LIMIT ").push_bind(i64::from(limit));
            let rows: Vec<RequestRow> = select.build_query_as().fetch_all(&mut *conn).await?;
            let draft = Draft {
                subject: filter.patient,
                purpose: Some(Purpose::Payment),
                detail: Some(format!("requests={}", rows.len())),
                ..draft.clone()
            };
            audit::record!(conn, &draft);
            rows.into_iter().map(RequestRow::read).collect::<Result<Vec<_>, Error>>()
        })?)
    }
}
