//! Rendering what was ordered and paid: the money that was held for it becomes revenue, in one transaction with the charge,
//! its entry of the audit log and the change.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use domain::till::{ChargeState, EntryKind, Mode, posting};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, Fault, transact};

use super::batch::{PlacesOn, change_of};
use super::charge::Charge;
use super::decide::{No, Session, is_of_day};
use super::keys::{self, Asked};
use super::ledger::{LedgerOn, NewEntry};
use super::resolve::ResolveOn;
use super::rows::{ChargesOn, RENDERED, detail};
use super::{Till, TillError, day_in};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Log, Outcome, Purpose};
use crate::changes::{Change, ChangeKind, Feed};
use crate::visits::{Visit, VisitsOn};

/// Whether this binding is that of who acts, in force and not locked.
pub(super) fn own_session(session: Option<&Session>, own: Option<PersonId>) -> Result<&Session, No> {
    let session = session.filter(|session| session.is_usable).ok_or(No::NotBound)?;
    if own == Some(session.staff) { Ok(session) } else { Err(No::NotTheirs) }
}

/// Whether the patient of an order is with this specialist. What is given at the patient's home, and what was ordered
/// without a visit and is reviewed for that, needs no visit.
async fn is_here<C: PlacesOn + ResolveOn + VisitsOn>(
    conn: &mut C,
    charge: &Charge,
    patient: PersonId,
    staff: PersonId,
    (zone, now): (Tz, UtcMillis),
) -> Result<bool, Error> {
    let Some(visit) = &charge.visit else { return Ok(true) };
    let visits = conn.visits_of(&BTreeSet::from([visit.clone()])).await?;
    let is_with = |visit: &Visit| visit.staff == staff && is_of_day(visit, zone, day_in(zone, now));
    if visits.values().any(is_with) || conn.running_of(patient).await?.as_ref().is_some_and(is_with) {
        return Ok(true);
    }
    let services = conn.prices(&BTreeSet::from([charge.service.clone()]), now).await?;
    Ok(services.values().any(|service| service.at_home))
}

impl Till {
    /// A paid order is rendered, by the specialist of the session where there is one. What was ordered in a visit is rendered
    /// at a workstation only while its patient is there with the card: in that visit, or in a later one of the specialist.
    /// Rendering what is rendered already gives it back as it is.
    ///
    /// # Errors
    /// [`TillError::Refused`] with `NotPaid`; [`TillError::NotFound`] for one that is not there or was taken back;
    /// [`TillError::NotTheirs`] for a session of another specialist; [`TillError::Invalid`] with the field `visit` when the
    /// patient is not there; [`TillError::KeyReused`]; [`TillError::Denied`];
    /// the database.
    pub async fn render(
        &self,
        acting: &Acting,
        key: String,
        charge: &str,
        session: Option<String>,
    ) -> Result<Charge, TillError> {
        acting.must(Permission::ServiceRegister)?;
        keys::check(&key)?;
        let (acting, id) = (acting.clone(), charge.to_owned());
        let asked = Asked::of(RENDERED).with(acting.actor.kind()).with_some(acting.actor.id()).with(&id).hash();
        let (now, zone) = (self.clock.now(), self.zone);
        let outcome = transact!(self.database, "till.render", |conn| {
            conn.take_turn().await?;
            if let Some((before, kind, charge)) = conn.act(&key).await? {
                let is_same = before == asked && kind == RENDERED && charge == id;
                let known = if is_same { conn.by_id(&id).await? } else { None };
                return Ok(known.ok_or(No::KeyReused));
            }
            let Some(charge) = conn.by_id(&id).await? else { return Ok(Err(No::NotFound)) };
            let mut place = None;
            if let Some(session) = &session {
                let own = conn.staff_of(&acting.actor).await?;
                let known = conn.sessions_of(&BTreeSet::from([session.clone()])).await?;
                match own_session(known.get(session), own) {
                    Ok(session) => place = Some(session.clone()),
                    Err(no) => return Ok(Err(no)),
                }
            }
            match charge.state {
                ChargeState::Rendered => return Ok(Ok(charge)),
                ChargeState::Cancelled => return Ok(Err(No::NotFound)),
                ChargeState::Ordered => {}
            }
            let patient = conn.survivor(charge.patient).await?;
            if let Some(place) = &place
                && !is_here(conn, &charge, patient, place.staff, (zone, now)).await?
            {
                return Ok(Err(No::NotHere));
            }
            let account_key = (patient, charge.currency);
            let accounts = conn.accounts(&BTreeSet::from([account_key])).await?;
            let account = accounts.get(&account_key).copied().unwrap_or_default();
            let draft = |action| Draft {
                session: session.clone().or_else(|| acting.session.clone()),
                subject: Some(patient),
                object: Some(charge.id.clone()),
                purpose: Some(Purpose::Treatment),
                ..acting.draft(now, action)
            };
            let after = match domain::till::render(charge.price.net, charge.paid, &account) {
                Ok(after) => after,
                Err(refusal) => {
                    let words = format!("charge={}; no={}; code={}", charge.id, charge.no, refusal.code());
                    let refused = draft(Action::ServiceRefused);
                    conn.append(&Draft { outcome: Outcome::Refused, detail: Some(words), ..refused }).await?;
                    let told = change_of(&charge, session.clone(), ChangeKind::ChargeRefused, now);
                    conn.append_change(&Change { reason: Some(refusal.code().to_owned()), detail: None, ..told })
                        .await?;
                    return Ok(Err(No::Refused(refusal)));
                }
            };
            let mut done = Charge {
                patient,
                state: ChargeState::Rendered,
                rendered: Some(now),
                day: conn.posting_day(day_in(zone, now)).await?,
                ..charge.clone()
            };
            if let Some(place) = &place {
                done.staff = Some(place.staff);
                done.workstation = Some(place.workstation.clone());
                done.zone.clone_from(&place.zone);
                done.card = place.card;
            }
            conn.save_accounts(&BTreeMap::from([(account_key, after)])).await?;
            let postings = posting::rendered(Mode::Prepaid, done.price.net, done.price.discount.amount);
            let entry = Draft { detail: Some(detail(&done, "", &postings)), ..draft(Action::ServiceRegistered) };
            let number = conn.append(&entry).await?;
            if !conn.update_rendered(&done).await? {
                // Somebody came between; the transaction is run again.
                return Err(Error::new("till.render", Fault::Busy));
            }
            conn.insert_act(&key, &asked, RENDERED, &done.id, number, now).await?;
            if !postings.is_empty() {
                conn.post(&[NewEntry {
                    kind: EntryKind::Rendered,
                    at: now,
                    day: done.day,
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
            conn.append_change(&change_of(&done, session.clone(), ChangeKind::ChargeRendered, now)).await?;
            Ok(Ok(done))
        })?;
        Ok(outcome?)
    }
}
