//! Notices of payment services: money that came to the clinic's bank account without a cashier. Each is taken once, by source
//! and id. What says for whom it is becomes a payment; what does not is kept until somebody assigns it. Owns the table
//! `payment_notice`.

mod rows;
mod signature;

use std::collections::BTreeSet;

use domain::money::{Amount, Currency};
use domain::till::{ChargeState, Method};
use domain::{Permission, PersonId, UtcMillis, codes};
use store::{Error, Fault, read, transact};

use super::keys::Asked;
use super::payments::back::{Returning, take_back};
use super::payments::moves::TillOn;
use super::payments::take::{At, By, Wanted, check, check_external, take};
use super::payments::{NewPayment, PARTS_MAX, Payment, ReturnReason};
use super::shifts::invalid;
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Purpose};
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::{draw, visits};
use rows::{NoticeRow, NoticesOn, select_notice};
pub use signature::{BadSecret, NoticeSecret, PaymentService, Unbelieved};

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

codes! {
    /// Why a notice waits for somebody.
    NoticeProblem {
        /// It does not say for whom it is, or for somebody who is not known here.
        UnknownPatient = "unknown_patient",
        /// It takes back a payment that is not known here.
        UnknownPayment = "unknown_payment",
        /// It takes back another amount than that of the payment.
        OtherAmount = "other_amount",
        /// The payment was taken back before.
        TakenBack = "taken_back",
        /// The amount cannot be booked.
        Refused = "refused",
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
    /// Why it waits for somebody.
    pub problem: Option<NoticeProblem>,
    /// For a reversal: the service's id of the payment that is taken back.
    pub reverses: Option<String>,
    /// The payment that it became.
    pub payment: Option<String>,
    /// When it came.
    pub received: UtcMillis,
    /// When somebody dealt with it.
    pub handled: Option<UtcMillis>,
}

/// Most charges of one notice.
pub const NOTICE_CHARGES_MAX: usize = PARTS_MAX;

fn check_notice(new: &NewNotice) -> Result<(), TillError> {
    if !new.amount.is_positive() {
        return Err(invalid("amount", "an amount above zero"));
    }
    if new.external.is_empty() {
        return Err(invalid("id", "the id of the payment at the service"));
    }
    check_external(Some(&new.external))
        .map_err(|_| invalid("id", "1 to 64 visible ASCII characters without spaces"))?;
    check_external(new.of.as_deref()).map_err(|_| invalid("of", "1 to 64 visible ASCII characters without spaces"))?;
    if new.kind == NoticeKind::Reversed && new.of.is_none() {
        return Err(invalid("of", "the service's id of the payment that is taken back"));
    }
    if new.charges.len() > NOTICE_CHARGES_MAX {
        return Err(invalid("charges", "at most 500 charges"));
    }
    Ok(())
}

/// For whom money is: as it is said, or whose charges are named.
async fn patient_of<C: TillOn + NoticesOn>(conn: &mut C, new: &NewNotice) -> Result<Option<PersonId>, Error> {
    let mut found = None;
    if let Some(patient) = new.patient {
        found = conn.is_person(patient).await?.then_some(patient);
    } else if let Some((system, value)) = &new.record {
        found = conn.person_of_record(system, value).await?;
    } else if !new.charges.is_empty() {
        let ids: BTreeSet<String> = new.charges.iter().cloned().collect();
        let charges = conn.charges_of(&ids).await?;
        let of: BTreeSet<PersonId> = charges.values().map(|charge| charge.patient).collect();
        let left: BTreeSet<PersonId> = conn.survivors(&of).await?.into_values().collect();
        // Charges of two patients: a person must say whose money it is.
        found = left.first().copied().filter(|_| left.len() == 1);
    }
    match found {
        Some(person) => Ok(conn.survivors(&BTreeSet::from([person])).await?.into_values().next()),
        None => Ok(None),
    }
}

/// What of the money pays which charge: in the order in which they are named, each as far as it is open.
async fn spread<C: TillOn>(conn: &mut C, new: &NewNotice, patient: PersonId) -> Result<Vec<(String, Amount)>, Error> {
    let ids: BTreeSet<String> = new.charges.iter().cloned().collect();
    let charges = conn.charges_of(&ids).await?;
    let waiting = conn.waiting_for(&ids).await?;
    let of: BTreeSet<PersonId> = charges.values().map(|charge| charge.patient).collect();
    let left = conn.survivors(&of).await?;
    let (mut rest, mut parts, mut seen) = (new.amount, Vec::new(), BTreeSet::new());
    for id in &new.charges {
        let Some(charge) = charges.get(id).filter(|_| seen.insert(id)) else { continue };
        let is_theirs = left.get(&charge.patient) == Some(&patient) && charge.currency == new.currency;
        if !is_theirs || charge.state == ChargeState::Cancelled {
            continue;
        }
        let open = charge.open().minus(waiting.get(id).copied().unwrap_or_default()).unwrap_or_default();
        let part = open.min(rest);
        if part.is_positive() {
            rest = rest.minus(part).unwrap_or_default();
            parts.push((id.clone(), part));
        }
    }
    Ok(parts)
}

/// The payment that a notice becomes.
fn wanted(
    key: String,
    source: &str,
    external: &str,
    patient: PersonId,
    currency: Currency,
    amount: Amount,
    parts: Vec<(String, Amount)>,
) -> Result<Wanted, TillError> {
    let checked = check(NewPayment {
        key,
        patient: Some(patient),
        payer: None,
        method: Method::Transfer,
        currency,
        amount,
        parts,
        rest_to_deposit: true,
        terminal: None,
        external: Some(external.to_owned()),
    })?;
    Ok(Wanted { source: Some(source.to_owned()), ..checked })
}

/// The key under which a notice becomes a payment: once.
fn key_of(id: &str) -> String {
    format!("notice-{id}")
}

async fn become_payment<C: TillOn + NoticesOn>(
    conn: &mut C,
    new: &NewNotice,
    id: &str,
    by: &By,
    at: &At,
) -> Result<Result<Payment, NoticeProblem>, Error> {
    if new.kind == NoticeKind::Reversed {
        let of = new.of.clone().unwrap_or_default();
        let Some(old) = conn.payment_of_source(&new.source, &of).await? else {
            return Ok(Err(NoticeProblem::UnknownPayment));
        };
        if old.amount != new.amount || old.currency != new.currency {
            return Ok(Err(NoticeProblem::OtherAmount));
        }
        let key = key_of(id);
        let returning = Returning {
            asked: Asked::of("notice").with(&key).hash(),
            key,
            payment: old.id,
            reason: ReturnReason::ServiceReversed,
            told_by: Some((new.source.clone(), new.external.clone())),
        };
        return Ok(take_back(conn, &returning, by, at).await?.map_err(|error| match error {
            TillError::Changed => NoticeProblem::TakenBack,
            _ => NoticeProblem::Refused,
        }));
    }
    let Some(patient) = patient_of(conn, new).await? else { return Ok(Err(NoticeProblem::UnknownPatient)) };
    let parts = spread(conn, new, patient).await?;
    let wanted = wanted(key_of(id), &new.source, &new.external, patient, new.currency, new.amount, parts);
    let Ok(wanted) = wanted else { return Ok(Err(NoticeProblem::Refused)) };
    Ok(take(conn, &wanted, by, at).await?.map_err(|_| NoticeProblem::Refused))
}

impl Till {
    /// Takes a notice of a configured payment service, whose signature was checked. The same one again: the same answer, and
    /// nothing happens twice. What cannot become a payment is kept for somebody to assign: the money has come, whatever is
    /// wrong with what is said about it.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::PaymentTake`]; `Invalid`; `KeyReused` when the id came before with another
    /// content; the engine's.
    pub async fn take_notice(&self, acting: &Acting, new: NewNotice) -> Result<PaymentNotice, TillError> {
        acting.must(Permission::PaymentTake)?;
        check_notice(&new)?;
        let mut asked = Asked::of("notice")
            .with(new.kind)
            .with_some(new.of.as_deref())
            .with(new.currency)
            .with(new.amount.minor())
            .with_some(new.patient)
            .with_some(new.record.as_ref().map(|(system, _)| system))
            .with_some(new.record.as_ref().map(|(_, value)| value));
        for charge in &new.charges {
            asked = asked.with(charge);
        }
        let asked = asked.hash();
        let mut is_first = true;
        loop {
            let now = self.clock.now();
            let action = if new.kind == NoticeKind::Paid { Action::PaymentTaken } else { Action::PaymentReturned };
            let (by, kept) = (By::of(acting, now, action), acting.draft(now, Action::FeedTaken));
            let at = At { now, today: self.day_at(now), id: visits::new_id()? };
            let (new, asked, id) = (new.clone(), asked.clone(), draw::id()?);
            let done = transact!(self.database, "till.take_notice", |conn| {
                if let Some((notice, before)) = conn.notice_of(&new.source, &new.external).await? {
                    return Ok(if before == asked { Ok(notice) } else { Err(TillError::KeyReused) });
                }
                let became = become_payment(conn, &new, &id, &by, &at).await?;
                let (payment, problem) = match became {
                    Ok(payment) => (Some(payment), None),
                    Err(problem) => (None, Some(problem)),
                };
                let notice = PaymentNotice {
                    id: id.clone(),
                    source: new.source.clone(),
                    external: new.external.clone(),
                    kind: new.kind,
                    currency: new.currency,
                    amount: new.amount,
                    state: if payment.is_some() { NoticeState::Done } else { NoticeState::Unassigned },
                    problem,
                    reverses: new.of.clone(),
                    payment: payment.as_ref().map(|payment| payment.id.clone()),
                    received: now,
                    handled: payment.is_some().then_some(now),
                };
                let entry = match payment.and_then(|payment| payment.entry) {
                    Some(entry) => entry,
                    None => {
                        let problem = problem.map_or("none", NoticeProblem::as_str);
                        let draft = Draft {
                            object: Some(id.clone()),
                            purpose: Some(Purpose::Payment),
                            detail: Some(format!(
                                "notice={id} source={} kind={} minor={} currency={} state=unassigned problem={problem}",
                                new.source,
                                new.kind,
                                new.amount.minor(),
                                new.currency,
                            )),
                            ..kept.clone()
                        };
                        audit::record!(conn, &draft)
                    }
                };
                conn.insert_notice(&notice, &asked, entry).await?;
                Ok(Ok(notice))
            });
            match done {
                Err(error) if is_first && matches!(error.fault(), Fault::Conflict(_)) => is_first = false,
                done => return done?,
            }
        }
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
        acting.must(Permission::PaymentTake)?;
        let limit = if limit == 0 { NOTICES_MAX } else { limit.min(NOTICES_MAX) };
        let rows: Vec<NoticeRow> = read!(self.database, "till.payment_notices", |conn| {
            let mut select = sqlx::QueryBuilder::<Db>::new(select_notice!("WHERE 1 = 1"));
            if let Some(state) = state {
                select.push(" AND state = ").push_bind(state.as_str());
            }
            select.push(" ORDER BY received_ms DESC, id DESC LIMIT ").push_bind(i64::from(limit));
            Ok(select.build_query_as().fetch_all(&mut *conn).await?)
        })?;
        Ok(rows.into_iter().map(NoticeRow::read).collect::<Result<_, Error>>()?)
    }

    /// Says for whom an unassigned notice is: it becomes a payment for these charges, the rest a deposit. Doing the same
    /// again gives the same payment.
    ///
    /// # Errors
    /// As [`Till::pay`]; `NotFound` for one that was put aside; `Invalid` for a reversal, which is taken back at the payment.
    pub async fn assign_notice(
        &self,
        acting: &Acting,
        notice: &str,
        patient: PersonId,
        parts: Vec<(String, Amount)>,
    ) -> Result<Payment, TillError> {
        acting.must(Permission::PaymentTake)?;
        let now = self.clock.now();
        let by = By::of(acting, now, Action::PaymentTaken);
        let at = At { now, today: self.day_at(now), id: visits::new_id()? };
        let id = notice.to_owned();
        transact!(self.database, "till.assign_notice", |conn| {
            let Some(mut notice) = conn.notice(&id).await? else { return Ok(Err(TillError::NotFound)) };
            if notice.kind == NoticeKind::Reversed {
                return Ok(Err(invalid("notice", "a reversal is dealt with by taking the payment back")));
            }
            if notice.state == NoticeState::PutAside {
                return Ok(Err(TillError::NotFound));
            }
            let wanted = wanted(
                key_of(&notice.id),
                &notice.source,
                &notice.external,
                patient,
                notice.currency,
                notice.amount,
                parts.clone(),
            );
            let wanted = match wanted {
                Ok(wanted) => wanted,
                Err(error) => return Ok(Err(error)),
            };
            let payment = match take(conn, &wanted, &by, &at).await? {
                Ok(payment) => payment,
                // The key is the notice's own: it was assigned otherwise meanwhile.
                Err(TillError::KeyReused) => return Ok(Err(TillError::Changed)),
                Err(error) => return Ok(Err(error)),
            };
            if notice.state == NoticeState::Unassigned {
                notice.state = NoticeState::Done;
                notice.problem = None;
                notice.payment = Some(payment.id.clone());
                notice.handled = Some(now);
                conn.handle_notice(&notice, &by).await?;
            }
            Ok(Ok(payment))
        })?
    }

    /// Puts an unassigned notice aside: it is dealt with outside the till.
    ///
    /// # Errors
    /// `Denied` without [`domain::Permission::TillApprove`]; `NotFound` for one that is not unassigned; `ReasonWanted`.
    pub async fn put_notice_aside(
        &self,
        acting: &Acting,
        notice: &str,
        typed: &str,
    ) -> Result<PaymentNotice, TillError> {
        acting.must(Permission::TillApprove)?;
        let typed = words(typed, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?;
        let now = self.clock.now();
        let by = By::of(acting, now, Action::TillDecided);
        let id = notice.to_owned();
        transact!(self.database, "till.put_notice_aside", |conn| {
            let Some(mut notice) = conn.notice(&id).await? else { return Ok(Err(TillError::NotFound)) };
            if notice.state == NoticeState::PutAside {
                return Ok(Ok(notice));
            }
            if notice.state != NoticeState::Unassigned {
                return Ok(Err(TillError::NotFound));
            }
            notice.state = NoticeState::PutAside;
            notice.handled = Some(now);
            let draft = Draft {
                object: Some(notice.id.clone()),
                purpose: Some(Purpose::Payment),
                detail: Some(format!(
                    "notice={} source={} minor={} currency={} state=put_aside",
                    notice.id,
                    notice.source,
                    notice.amount.minor(),
                    notice.currency
                )),
                note: Some(typed.clone()),
                ..by.draft.clone()
            };
            audit::record!(conn, &draft);
            conn.handle_notice(&notice, &by).await?;
            Ok(Ok(notice))
        })?
    }
}
