//! Money that goes back: out of a deposit, and payments that did not hold.
//!
//! What a payment that did not hold had paid is open again. What it had paid in is taken out of the deposit; where that has
//! been used meanwhile, the charges that were paid out of it are open again, the newest first; what even they do not cover
//! (the patient has had it back as money) is written off in the same transaction, and the audit log's entry says `lost`.

use std::collections::{BTreeMap, BTreeSet};

use domain::money::Amount;
use domain::schedule::LocalDate;
use domain::till::{ChargeState, Method};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, transact};

use super::moves::{Moves, TillOn, What};
use super::rows::PaymentsOn;
use super::take::{At, By, about, answered, changes, check_external, shift_for, told};
use super::{NewRefund, Payment, PaymentFault, PaymentKind, PaymentState, RefundOutcome, ReturnReason};
use crate::acting::Acting;
use crate::audit::{Action, Draft};
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::changes::{Change, ChangeKind};
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
    /// The payment at a terminal whose money goes back to its card.
    pub(crate) refunds: Option<String>,
}

/// The payment at a terminal whose money goes back to its card: of this patient, and with so much left of it.
pub(crate) async fn refundable<C: TillOn>(
    conn: &mut C,
    payment: &str,
    refund: &Refunding,
    patient: PersonId,
) -> Result<Result<Payment, TillError>, Error> {
    let Some(old) = conn.payment_of_id(payment).await? else { return Ok(Err(TillError::NotFound)) };
    let Some(payer) = old.patient else { return Ok(Err(TillError::NotTheirs)) };
    if conn.survivors(&BTreeSet::from([payer])).await?.into_values().next() != Some(patient) {
        return Ok(Err(TillError::NotTheirs));
    }
    if old.kind != PaymentKind::Paid || old.method != Method::Card || old.source.is_none() {
        return Ok(Err(invalid("refunds", "money goes back only to a card that has paid at a terminal")));
    }
    if refund.method != Method::Card || refund.external.is_some() {
        return Ok(Err(invalid(
            "method",
            "what goes back at the terminal is a card payment; it gives the slip itself",
        )));
    }
    if old.currency != refund.currency {
        return Ok(Err(invalid("currency", "the payment was in another currency")));
    }
    let left = old.amount.minus(conn.refunded_of(&old.id).await?).unwrap_or_default();
    if old.state != PaymentState::Done || refund.amount > left {
        return Ok(Err(TillError::Changed));
    }
    Ok(Ok(old))
}

/// Gives money back inside a transaction, or, where it goes back at a terminal, sets it aside and stores the payment as
/// waiting. `more` is said in the audit log's entry beside the payment; its number is returned with the payment.
pub(crate) async fn refund<C: TillOn>(
    conn: &mut C,
    refund: &Refunding,
    by: &By,
    at: &At,
    more: &str,
) -> Result<Result<(Payment, u64), TillError>, Error> {
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
    let mut source = None;
    if let Some(old) = &refund.refunds {
        source = match refundable(conn, old, refund, patient).await? {
            Ok(old) => old.source,
            Err(error) => return Ok(Err(error)),
        };
    }
    let waits = refund.refunds.is_some();
    let day = conn.posting_day(at.today).await?;
    let mut payment = Payment {
        id: at.id.clone(),
        no: None,
        kind: PaymentKind::Refunded,
        method: refund.method,
        state: if waits { PaymentState::Waiting } else { PaymentState::Done },
        patient: Some(patient),
        payer: None,
        currency: refund.currency,
        amount: refund.amount,
        parts: Vec::new(),
        deposit: refund.amount,
        shift: shift.map(|shift| shift.id),
        source,
        external: refund.external.clone(),
        reverses: None,
        refunds: refund.refunds.clone(),
        actor_kind: by.kind.clone(),
        actor: by.id.clone(),
        begun: at.now,
        done: (!waits).then_some(at.now),
        day: (!waits).then_some(day),
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
    let moved = match waits {
        true => moves.set_aside(patient, refund.amount),
        false => moves.refund(patient, refund.method, refund.amount),
    };
    if let Err(error) = moved {
        return Ok(Err(error));
    }
    if !waits {
        payment.no = Some(conn.next_no("payment").await?);
    }
    let draft = Draft { detail: Some(format!("{}{more}", told(&payment))), ..about(&payment, by.draft.clone()) };
    let entry = moves.write(conn, draft).await?;
    payment.entry = (!waits).then_some(entry);
    conn.insert_payment(&payment, &refund.key, &refund.asked).await?;
    let told = match waits {
        // Nothing has come or gone yet; but less is in the deposit.
        true => vec![account_changed(patient, at.now)],
        false => changes(&payment, ChangeKind::PaymentTaken, &moves, at.now),
    };
    conn.append_changes(&told).await?;
    Ok(Ok((payment, entry)))
}

fn account_changed(patient: PersonId, now: UtcMillis) -> Change {
    Change {
        patient: Some(patient),
        reason: Some("payment".to_owned()),
        ..Change::new(now, now, ChangeKind::TermsChanged)
    }
}

/// What became of money that was to go back at a terminal: it has gone, or is in the deposit again.
pub(crate) async fn settle_refund<C: TillOn>(
    conn: &mut C,
    mut payment: Payment,
    outcome: &Result<String, PaymentFault>,
    draft: Draft,
    now: UtcMillis,
    today: LocalDate,
) -> Result<Result<Payment, TillError>, Error> {
    if let Ok(external) = outcome {
        answered(conn, &mut payment, external).await?;
    }
    let Some(given) = payment.patient else { return Ok(Err(TillError::NotFound)) };
    let Some(patient) = conn.survivors(&BTreeSet::from([given])).await?.into_values().next() else {
        return Ok(Err(TillError::NotFound));
    };
    let day = conn.posting_day(today).await?;
    let what =
        What { now, day, currency: payment.currency, payment: Some(payment.id.clone()), shift: payment.shift.clone() };
    let mut moves = Moves::load(conn, what, BTreeMap::new(), &[patient]).await?;
    let moved = match outcome {
        Ok(_) => moves.send_back(patient, payment.method, payment.amount),
        Err(_) => moves.release(patient, payment.amount),
    };
    if let Err(error) = moved {
        return Ok(Err(error));
    }
    payment.done = Some(now);
    let mut detail = String::new();
    match outcome {
        Ok(_) => {
            payment.no = Some(conn.next_no("payment").await?);
            payment.state = PaymentState::Done;
            payment.day = Some(day);
        }
        Err(fault) => {
            payment.state = PaymentState::Failed;
            payment.fault = Some(*fault);
            detail = format!(" fault={fault}");
        }
    }
    let detail = Some(format!("{}{detail}", told(&payment)));
    let draft = Draft { detail, action: Action::PaymentReturned, ..about(&payment, draft) };
    payment.entry = Some(moves.write(conn, draft).await?);
    conn.update_payment(&payment).await?;
    let told = match outcome {
        Ok(_) => changes(&payment, ChangeKind::PaymentTaken, &moves, now),
        Err(_) => vec![account_changed(patient, now)],
    };
    conn.append_changes(&told).await?;
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
        refunds: None,
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
    /// cash in the drawer. [`NewRefund::refunds`] must be empty here.
    pub async fn refund(&self, acting: &Acting, new: NewRefund) -> Result<RefundOutcome, TillError> {
        acting.must(Permission::PaymentTake)?;
        if new.refunds.is_some() {
            return Err(invalid("refunds", "a terminal is asked by the terminals of the till"));
        }
        self.give_back(acting, new).await
    }

    /// Gives back, sets aside for a terminal, or asks for it. Whether they may is asked by those who call it.
    pub(crate) async fn give_back(&self, acting: &Acting, new: NewRefund) -> Result<RefundOutcome, TillError> {
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
            .with_some(new.refunds.as_deref())
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
            refunds: new.refunds,
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
                return Ok(done.map(|(payment, _)| RefundOutcome::Paid(payment)));
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
