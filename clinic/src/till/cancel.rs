//! Taking a charge back: what it posted is posted the other way round, what was paid for it becomes the patient's deposit,
//! and what it took of a limit or a pot is there again, at once.

use std::collections::{BTreeMap, BTreeSet};

use domain::Permission;
use domain::till::{Account, ChargeState, EntryKind, posting};
use store::{Error, Fault, transact};

use super::batch::change_of;
use super::charge::{CancelReason, Charge};
use super::decide::No;
use super::keys::{self, Asked};
use super::ledger::{LedgerOn, NewEntry, Pot};
use super::rows::{CANCELLED, ChargesOn, detail};
use super::{Till, TillError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Log, Purpose};
use crate::break_glass::{REASON_MIN_CHARS, words as read_words};
use crate::changes::{Change, ChangeKind, Feed};
use crate::visits::VisitsOn;

/// Why nothing was taken back.
enum Not {
    No(No),
    ReasonWanted,
}

impl Till {
    /// Takes a charge back: whoever registered it and the specialist whose it is, on the same day, as long as that day is not
    /// closed; others and later with [`Permission::TillApprove`]. What was paid for it becomes the patient's deposit. Taking
    /// back what was taken back gives it as it is.
    ///
    /// Words are wanted (10 to 500 characters) for [`CancelReason::Other`], from others, and later; else they may be empty.
    ///
    /// # Errors
    /// [`TillError::NotFound`]; [`TillError::NotTheirs`] for another's or an older one without the permission to approve;
    /// [`TillError::ReasonWanted`]; [`TillError::KeyReused`]; [`TillError::Denied`]; the database.
    pub async fn cancel(
        &self,
        acting: &Acting,
        key: String,
        charge: &str,
        reason: CancelReason,
        words: &str,
    ) -> Result<Charge, TillError> {
        let may_approve = acting.rights.allows(Permission::TillApprove);
        if !may_approve {
            acting.must(Permission::ServiceRegister)?;
        }
        keys::check(&key)?;
        let typed = match words.trim() {
            "" => None,
            words => Some(read_words(words, REASON_MIN_CHARS).ok_or(TillError::ReasonWanted)?),
        };
        if typed.is_none() && reason == CancelReason::Other {
            return Err(TillError::ReasonWanted);
        }
        let (acting, id) = (acting.clone(), charge.to_owned());
        let actor = acting.actor.id().map(|id| id.into_owned());
        let asked =
            Asked::of(CANCELLED).with(acting.actor.kind()).with_some(actor.as_deref()).with(&id).with(reason).hash();
        let (now, zone) = (self.clock.now(), self.zone);
        let outcome = transact!(self.database, "till.cancel", |conn| {
            conn.take_turn().await?;
            if let Some((before, kind, charge)) = conn.act(&key).await? {
                let is_same = before == asked && kind == CANCELLED && charge == id;
                let known = if is_same { conn.by_id(&id).await? } else { None };
                return Ok(known.ok_or(Not::No(No::KeyReused)));
            }
            let Some(charge) = conn.by_id(&id).await? else { return Ok(Err(Not::No(No::NotFound))) };
            if charge.state == ChargeState::Cancelled {
                return Ok(Ok(charge));
            }
            let own = conn.staff_of(&acting.actor).await?;
            let is_own = (acting.actor.kind() == charge.actor_kind && actor == charge.actor)
                || own.is_some_and(|own| charge.staff == Some(own));
            let day = conn.posting_day(super::day_in(zone, now)).await?;
            // A day that was closed is over, whatever the clock says.
            let is_of_today = charge.day >= day;
            if !(is_own && is_of_today) {
                if !may_approve {
                    return Ok(Err(Not::No(No::NotTheirs)));
                }
                if typed.is_none() {
                    return Ok(Err(Not::ReasonWanted));
                }
            }
            let patient = conn.survivor(charge.patient).await?;
            let account_key = (patient, charge.currency);
            let accounts = conn.accounts(&BTreeSet::from([account_key])).await?;
            let account = accounts.get(&account_key).copied().unwrap_or_default();
            let Some(after) = without(&account, &charge) else { return Err(too_much()) };
            let is_rendered = charge.state == ChargeState::Rendered;
            let postings = posting::cancelled(
                is_rendered,
                charge.price.net,
                charge.price.discount.amount,
                charge.paid,
                charge.written_off,
            );
            let Ok(postings) = postings else { return Err(too_much()) };
            conn.save_accounts(&BTreeMap::from([(account_key, after)])).await?;
            if let Some(payer) = charge.pot.clone().filter(|_| is_rendered && charge.open().is_positive()) {
                let pot_key = (payer, charge.currency);
                let pots = conn.pots(&BTreeSet::from([pot_key.clone()])).await?;
                if let Some(pot) = pots.get(&pot_key) {
                    let used = pot.used.minus(charge.open()).ok_or_else(too_much)?;
                    conn.save_pots(&BTreeMap::from([(pot_key, Pot { used, ..*pot })]), now).await?;
                }
            }
            let done =
                Charge { state: ChargeState::Cancelled, cancelled: Some((now, reason.to_string())), ..charge.clone() };
            let entry = Draft {
                subject: Some(patient),
                object: Some(charge.id.clone()),
                purpose: Some(Purpose::Payment),
                detail: Some(detail(&done, &format!("; reason={reason}"), &postings)),
                note: typed.clone(),
                ..acting.draft(now, Action::ServiceCancelled)
            };
            let number = conn.append(&entry).await?;
            if !conn.update_cancelled(&done).await? {
                // Somebody came between; the transaction is run again.
                return Err(Error::new("till.cancel", Fault::Busy));
            }
            conn.insert_act(&key, &asked, CANCELLED, &done.id, number, now).await?;
            if !postings.is_empty() {
                conn.post(&[NewEntry {
                    kind: EntryKind::Cancelled,
                    at: now,
                    day,
                    currency: done.currency,
                    patient: Some(patient),
                    charge: Some(done.id.clone()),
                    payment: None,
                    shift: None,
                    audit: number,
                    postings,
                }])
                .await?;
            }
            let told = change_of(&done, None, ChangeKind::ChargeCancelled, now);
            let told = Change { patient: Some(patient), reason: Some(reason.to_string()), ..told };
            conn.append_change(&told).await?;
            Ok(Ok(done))
        })?;
        outcome.map_err(|not| match not {
            Not::No(no) => no.into(),
            Not::ReasonWanted => TillError::ReasonWanted,
        })
    }
}

/// What a balance cannot be: a charge and its account contradict each other.
fn too_much() -> Error {
    Error::bad_row("charge", "paid_minor", "more was paid and written off than the charge is")
}

/// The account when a charge is taken back.
fn without(account: &Account, charge: &Charge) -> Option<Account> {
    let (net, paid) = (charge.price.net, charge.paid);
    if charge.state == ChargeState::Ordered {
        return Some(Account { held: account.held.minus(paid)?, deposit: account.deposit.plus(paid)?, ..*account });
    }
    // Only what is postpaid is owed at first; but a payment that did not hold opens an order or a deposit's charge again.
    Some(Account {
        owed: account.owed.minus(charge.open())?,
        deposit: account.deposit.plus(paid)?,
        rendered: account.rendered.minus(net)?,
        ..*account
    })
}
