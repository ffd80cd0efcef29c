//! Money that goes back: out of a deposit, and payments that did not hold.
//!
//! What a payment that did not hold had paid is open again. What it had paid in is taken out of the deposit; where that has
//! been used meanwhile, the charges that were paid out of it are open again, the newest first; what even they do not cover
//! (the patient has had it back as money) is written off in the same transaction, and the audit log's entry says `lost`.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::Amount;
use domain::till::{ChargeState, Method};
use domain::{Permission, PersonId};
use store::{Error, transact};

use super::moves::{Moves, TillOn, What};
use super::rows::PaymentsOn;
use super::take::{At, By, about, changes, check_external, shift_for, told};
use super::{NewRefund, Payment, PaymentKind, PaymentState, RefundOutcome, ReturnReason};
use crate::acting::Acting;
use crate::audit::{Action, Draft};
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::changes::ChangeKind;
use crate::draw;
use crate::till::keys::{self, Asked};
use crate::till::requests::{NewRequest, RequestKind, RequestsOn};
use crate::till::shifts::invalid;
use crate::till::{Till, TillError};
use crate::visits;

/// Money that is to go back out of a deposit, checked by itself.
#[derive(Debug, Clone)]
pub(crate) struct Refunding {
    pub(crate) key: String,
    pub(crate) asked: String,
    pub(crate) patient: PersonId,
    pub(crate) method: Method,
    pub(crate) currency: domain::money::Currency,
    pub(crate) amount: Amount,
    pub(crate) external: Option<String>,
}

/// Gives money back inside a transaction. `more` is said in the audit log's entry beside the payment.
pub(crate) async fn refund<C: TillOn>(
    conn: &mut C,
    refund: &Refunding,
    by: &By,
    at: &At,
    more: &str,
) -> Result<Result<Payment, TillError>, Error> {
    let Some(patient) = conn.survivors(&BTreeSet::from([refund.patient])).await?.into_values().next() else {
        return Ok(Err(TillError::NotFound));
    };
    let shift = match shift_for(conn, by, refund.method, refund.currency).await? {
        Ok(shift) => shift,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(shift) = shift.as_ref().filter(|_| refund.method == Method::Cash)
        && conn.cash_of(&shift.id).await? < refund.amount
    {
        return Ok(Err(invalid("amount", "there is not so much cash in the drawer")));
    }
    let day = conn.posting_day(at.today).await?;
    let mut payment = Payment {
        id: at.id.clone(),
        no: None,
        kind: PaymentKind::Refunded,
        method: refund.method,
        state: PaymentState::Done,
        patient: Some(patient),
        payer: None,
        currency: refund.currency,
        amount: refund.amount,
        parts: Vec::new(),
        deposit: refund.amount,
        shift: shift.map(|shift| shift.id),
        source: None,
        external: refund.external.clone(),
        reverses: None,
        actor_kind: by.kind.clone(),
        actor: by.id.clone(),
        begun: at.now,
        done: Some(at.now),
        day: Some(day),
        fault: None,
        entry: None,
    };
    let what = What {
        now: at.now,
        day,
        currency: payment.currency,
        payment: Some(payment.id.clone()),
        shift: payment.shift.clone(),
    };
    let mut moves = Moves::load(conn, what, BTreeMap::new(), &[patient]).await?;
    if let Err(error) = moves.refund(patient, refund.method, refund.amount) {
        return Ok(Err(error));
    }
    payment.no = Some(conn.next_no("payment").await?);
    let draft = Draft { detail: Some(format!("{}{more}", told(&payment))), ..about(&payment, by.draft.clone()) };
    payment.entry = Some(moves.write(conn, draft).await?);
    conn.insert_payment(&payment, &refund.key, &refund.asked).await?;
    conn.append_changes(&changes(&payment, ChangeKind::PaymentTaken, &moves, at.now)).await?;
    Ok(Ok(payment))
}

/// What is taken back, why, and under which key.
#[derive(Debug, Clone)]
pub(crate) struct Returning {
    pub(crate) key: String,
    pub(crate) asked: String,
    pub(crate) payment: String,
    pub(crate) reason: ReturnReason,
    /// The payment service that tells it, and its id of the reversal.
    pub(crate) told_by: Option<(String, String)>,
}

/// Takes a payment back inside a transaction.
pub(crate) async fn take_back<C: TillOn>(
    conn: &mut C,
    returning: &Returning,
    by: &By,
    at: &At,
) -> Result<Result<Payment, TillError>, Error> {
    if let Some((payment, asked)) = conn.payment_of_key(&returning.key).await? {
        return Ok(if asked == returning.asked { Ok(payment) } else { Err(TillError::KeyReused) });
    }
    let Some(mut old) = conn.payment_of_id(&returning.payment).await? else { return Ok(Err(TillError::NotFound)) };
    if old.kind == PaymentKind::Returned || old.state != PaymentState::Done {
        return Ok(Err(TillError::Changed));
    }
    if old.method == Method::Cash {
        // Cash goes back out of the drawer into which it came, and only while it is open.
        let shift = match &old.shift {
            Some(shift) => conn.shift(shift).await?,
            None => None,
        };
        let Some(shift) = shift.filter(|shift| shift.closed.is_none()) else {
            return Ok(Err(invalid(
                "payment",
                "its drawer is closed; take the service back and give money back instead",
            )));
        };
        if by.account.as_ref() == Some(&shift.account) {
            return Ok(Err(TillError::OwnRequest));
        }
        if old.kind == PaymentKind::Paid && conn.cash_of(&shift.id).await? < old.amount {
            return Ok(Err(invalid("payment", "there is not so much cash in the drawer")));
        }
    }
    let day = conn.posting_day(at.today).await?;
    let what =
        What { now: at.now, day, currency: old.currency, payment: Some(at.id.clone()), shift: old.shift.clone() };
    let patient = match old.patient {
        Some(patient) => conn.survivors(&BTreeSet::from([patient])).await?.into_values().next(),
        None => None,
    };
    let ids: BTreeSet<String> = old.parts.iter().map(|(charge, _)| charge.clone()).collect();
    let charges = conn.charges_of(&ids).await?;
    let patients: Vec<PersonId> = patient.into_iter().collect();
    let mut moves = Moves::load(conn, what, charges, &patients).await?;
    let mut parts = match undo(&mut moves, &old, patient) {
        Ok(parts) => parts,
        Err(error) => return Ok(Err(error)),
    };
    let (opened, lost) = match moves.cover(conn).await? {
        Ok(covered) => covered,
        Err(error) => return Ok(Err(error)),
    };
    for (charge, amount) in opened {
        let part: &mut Amount = parts.entry(charge).or_default();
        *part = part.plus(amount).unwrap_or(*part);
    }
    let sum = parts.values().try_fold(Amount::ZERO, |sum, part| sum.plus(*part)).unwrap_or_default();
    let mut parts: Vec<(String, Amount)> = parts.into_iter().collect();
    parts.sort_by_key(|(charge, _)| moves.charge(charge).map(|charge| charge.no));
    let (source, external) = returning.told_by.clone().unzip();
    let mut payment = Payment {
        id: at.id.clone(),
        no: None,
        kind: PaymentKind::Returned,
        method: old.method,
        state: PaymentState::Done,
        patient,
        payer: old.payer.clone(),
        currency: old.currency,
        amount: old.amount,
        parts,
        deposit: old.amount.minus(sum).unwrap_or_default(),
        shift: old.shift.clone().filter(|_| old.method == Method::Cash),
        source,
        external,
        reverses: Some(old.id.clone()),
        actor_kind: by.kind.clone(),
        actor: by.id.clone(),
        begun: at.now,
        done: Some(at.now),
        day: Some(day),
        fault: None,
        entry: None,
    };
    payment.no = Some(conn.next_no("payment").await?);
    let detail = format!("{} reason={} lost={}", told(&payment), returning.reason, lost.minor());
    let draft = Draft { detail: Some(detail), ..about(&payment, by.draft.clone()) };
    payment.entry = Some(moves.write(conn, draft).await?);
    conn.insert_payment(&payment, &returning.key, &returning.asked).await?;
    old.state = PaymentState::Returned;
    conn.update_payment(&old).await?;
    conn.append_changes(&changes(&payment, ChangeKind::PaymentReturned, &moves, at.now)).await?;
    Ok(Ok(payment))
}

/// The other way round what a payment did. Charges that are open again, and how much of each.
fn undo(moves: &mut Moves, old: &Payment, patient: Option<PersonId>) -> Result<BTreeMap<String, Amount>, TillError> {
    let mut opened = BTreeMap::new();
    if old.kind == PaymentKind::Refunded {
        let patient = patient.ok_or(TillError::NotFound)?;
        moves.unrefund(patient, old.method, old.amount)?;
        return Ok(opened);
    }
    for (id, part) in &old.parts {
        let charge = moves.charge(id).ok_or(TillError::NotFound)?;
        let owner = moves.patient_of(charge);
        // What was paid for a charge that was taken back afterwards has become a deposit.
        let held = if charge.state == ChargeState::Cancelled { Amount::ZERO } else { charge.paid };
        let now_open = held.min(*part);
        if now_open.is_positive() {
            moves.unpay_charge(id, old.method, now_open)?;
            opened.insert(id.clone(), now_open);
        }
        let rest = part.minus(now_open).unwrap_or_default();
        if rest.is_positive() && old.method != Method::Deposit {
            moves.unpay_in(owner, old.method, rest)?;
        }
    }
    if let Some(patient) = patient.filter(|_| old.deposit.is_positive()) {
        moves.unpay_in(patient, old.method, old.deposit)?;
    }
    Ok(opened)
}

impl Till {
    /// Gives money back from a deposit: at once up to [`crate::till::Rules::refund_alone_max`], otherwise by asking.
    ///
    /// # Errors
    /// As [`Till::pay`]; `ReasonWanted`; `Refused` when the deposit does not suffice; `Invalid` when there is not so much
    /// cash in the drawer.
    pub async fn refund(&self, acting: &Acting, new: NewRefund) -> Result<RefundOutcome, TillError> {
        acting.must(Permission::PaymentTake)?;
        keys::check(&new.key)?;
        if !new.amount.is_positive() {
            return Err(invalid("amount", "an amount above zero"));
        }
        if new.method == Method::Deposit {
            return Err(invalid("method", "cash, card or transfer: the money leaves the deposit"));
        }
        check_external(new.external.as_deref())?;
        let typed = words(&new.words, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?;
        let asked = Asked::of("refund")
            .with(new.patient)
            .with(new.method)
            .with(new.currency)
            .with(new.amount.minor())
            .with_some(new.external.as_deref())
            .with(new.reason)
            .hash();
        let now = self.clock.now();
        let is_alone = new.currency == self.rules.currency && new.amount <= self.rules.refund_alone_max;
        let by = By::of(acting, now, if is_alone { Action::PaymentReturned } else { Action::TillRequested });
        let by = By { draft: Draft { note: Some(typed), ..by.draft }, ..by };
        let at = At { now, today: self.day_at(now), id: visits::new_id()? };
        let request = draw::id()?;
        let refunding = Refunding {
            key: new.key,
            asked,
            patient: new.patient,
            method: new.method,
            currency: new.currency,
            amount: new.amount,
            external: new.external,
        };
        let reason = new.reason;
        transact!(self.database, "till.refund", |conn| {
            if let Some((payment, before)) = conn.payment_of_key(&refunding.key).await? {
                let is_same = before == refunding.asked;
                return Ok(if is_same { Ok(RefundOutcome::Paid(payment)) } else { Err(TillError::KeyReused) });
            }
            if let Some((request, before)) = conn.request_of_key(&refunding.key).await? {
                let is_same = before == refunding.asked;
                return Ok(if is_same { Ok(RefundOutcome::Asked(request)) } else { Err(TillError::KeyReused) });
            }
            if !conn.is_person(refunding.patient).await? {
                return Ok(Err(TillError::NotFound));
            }
            if is_alone {
                let more = format!(" reason={reason}");
                let done = refund(conn, &refunding, &by, &at, &more).await?;
                return Ok(done.map(RefundOutcome::Paid));
            }
            let new = NewRequest {
                id: request.clone(),
                kind: RequestKind::Refund,
                charge: None,
                reason: reason.as_str().to_owned(),
                method: Some(refunding.method),
                refunding: refunding.clone(),
            };
            let done = crate::till::requests::ask(conn, new, &by, &at).await?;
            Ok(done.map(RefundOutcome::Asked))
        })?
    }

    /// Takes a payment back that did not hold: its charges are open again; what it paid in is taken out of the deposit, and
    /// where that was used, what was paid out of it is open again. Cash is handed out of the drawer that took it, by
    /// somebody else's permission and only while that drawer is open. Repeating the key gives the same payment.
    ///
    /// # Errors
    /// As [`Till::pay`]; needs [`domain::Permission::TillApprove`]; `Changed` when it was taken back already, failed or
    /// waits; `OwnRequest` for cash that one has taken oneself; `ReasonWanted`.
    pub async fn return_payment(
        &self,
        acting: &Acting,
        key: &str,
        payment: &str,
        reason: ReturnReason,
        typed: &str,
    ) -> Result<Payment, TillError> {
        acting.must(Permission::TillApprove)?;
        keys::check(key)?;
        let typed = words(typed, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?;
        let now = self.clock.now();
        let by = By::of(acting, now, Action::PaymentReturned);
        let by = By { draft: Draft { note: Some(typed), ..by.draft }, ..by };
        let at = At { now, today: self.day_at(now), id: visits::new_id()? };
        let returning = Returning {
            key: key.to_owned(),
            asked: Asked::of("return").with(payment).with(reason).hash(),
            payment: payment.to_owned(),
            reason,
            told_by: None,
        };
        transact!(self.database, "till.return_payment", |conn| { take_back(conn, &returning, &by, &at).await })?
    }
}
