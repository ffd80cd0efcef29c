//! What the desk hands over inside its own transaction: patients' taps, and bindings that began or ended.

use domain::policy::PassKind;
use domain::visit::{
    self, BeganBy, Bound, Candidate, Question, RETURN_MAX_MS, Refusal, Rules, Running, Scene, Tap, VisitEnd,
};
use domain::{PersonId, UtcMillis, ZoneId};
use store::Error;

use super::act::{self, How, Words};
use super::{OpenQuestion, PatientTap, SessionBound, SessionEnd, Visit, VisitOutcome, VisitsOn};
use crate::acting::Actor;
use crate::audit::{Action, Draft, Log, Outcome, Purpose};
use crate::changes::{Change, ChangeKind, Feed};
use crate::rows::optional;

/// Takes one tap of a patient's card: rows, entries of the audit log and changes. The caller commits it together with
/// its own cursor; taken twice it confirms.
///
/// # Errors
/// Engine errors, or a row that this version cannot read.
pub(crate) async fn take_patient_tap<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    rules: &Rules,
    tap: &PatientTap,
) -> Result<VisitOutcome, Error> {
    let patient = conn.survivor(tap.patient).await?;
    if matches!(tap.pass, PassKind::Visitor | PassKind::Contractor | PassKind::Vehicle) {
        return refuse(conn, tap, patient, Refusal::NotAPatient).await;
    }
    let here = conn.running_at(&tap.workstation).await?;
    // A visit that began under the other record of a merged patient is theirs.
    let whose = match &here {
        Some(visit) if visit.patient != patient => conn.survivor(visit.patient).await?,
        _ => patient,
    };
    let other = conn.running_of(patient).await?.filter(|visit| visit.workstation != tap.workstation);
    let (is_seen, candidates) = match &tap.bound {
        Some(bound) => {
            (conn.was_seen(&bound.session, patient).await?, candidates(conn, rules, patient, &tap.zone, tap.at).await?)
        }
        None => (false, Vec::new()),
    };
    let running_here = here.as_ref().map(|visit| Running { patient: whose, ..running(visit) });
    let running_other = other.as_ref().map(running);
    let scene = Scene {
        at: tap.at,
        patient,
        bound: tap.bound.as_ref(),
        here: running_here.as_ref(),
        elsewhere: running_other.as_ref(),
        is_seen,
        candidates: &candidates,
    };
    let decided = visit::decide(rules, &scene);
    let Some(bound) = &tap.bound else { return refuse(conn, tap, patient, Refusal::NoSpecialist).await };
    match (decided, here) {
        (Tap::Refused(why), _) => refuse(conn, tap, patient, why).await,
        (Tap::Confirmed, Some(visit)) => confirm(conn, tap, bound, &visit).await,
        (Tap::Ended, Some(visit)) => {
            let how = How { actor: Actor::Staff(bound.staff), now: tap.now, ..How::default() };
            act::end(conn, &visit, VisitEnd::TapOut, tap.at, &how).await?;
            Ok(VisitOutcome::Ended(visit.id))
        }
        // These two need a visit that runs here; without one there is nothing to do.
        (Tap::Confirmed | Tap::Ended, None) => refuse(conn, tap, patient, Refusal::NoSpecialist).await,
        (Tap::Ask(why), _) => {
            let question = question(tap, bound, patient, why, None);
            conn.ask(&question, tap.now).await?;
            let entry = draft(tap, bound, patient, Action::VisitStarted, Some(question.id.clone()));
            let detail = Some(format!("asked={why}{}", merged(tap, patient)));
            conn.append(&Draft { outcome: Outcome::Refused, detail, ..entry }).await?;
            asked(conn, tap, &question, why).await?;
            Ok(VisitOutcome::Asked(question.id))
        }
        (Tap::Start { here: end_here, elsewhere, appointment, ask }, here) => {
            let how = How { actor: Actor::Staff(bound.staff), now: tap.now, ..How::default() };
            let mut started = tap.at;
            if let (Some(visit), Some(why)) = (here, end_here) {
                started = started.max(act::end(conn, &visit, why, visit.suspended.unwrap_or(tap.at), &how).await?);
            }
            if let Some(visit) = other.filter(|_| elsewhere) {
                let (why, at) = act::elsewhere(&visit, tap.at);
                started = started.max(act::end(conn, &visit, why, at, &how).await?);
            }
            conn.unask(&tap.workstation).await?;
            let visit = Visit {
                id: tap.new_id.clone(),
                no: 0,
                patient,
                staff: bound.staff,
                workstation: tap.workstation.clone(),
                zone: tap.zone.clone(),
                session: bound.session.clone(),
                appointment,
                began_by: BeganBy::Card,
                started,
                ended: None,
                suspended: None,
            };
            let words = Words {
                clock_back_ms: started.since_ms(tap.at),
                merged_from: (patient != tap.patient).then_some(tap.patient),
                note: None,
                more: None,
            };
            act::start(conn, &visit, &how, words).await?;
            if let Some(why) = ask {
                let question = question(tap, bound, patient, why, Some(visit.id.clone()));
                conn.ask(&question, tap.now).await?;
                asked(conn, tap, &question, why).await?;
            }
            Ok(VisitOutcome::Started(visit.id))
        }
    }
}

/// A binding began: the visit that waits for this specialist goes on with it, as long as time has not ended it
/// (`Visits::tick`); one of somebody else ends.
///
/// # Errors
/// Engine errors.
pub(crate) async fn session_bound<C: VisitsOn + Feed + Log>(conn: &mut C, bound: &SessionBound) -> Result<(), Error> {
    let Some(visit) = conn.running_at(&bound.workstation).await? else { return Ok(()) };
    if visit.session == bound.session {
        return Ok(());
    }
    let since = visit.suspended.unwrap_or(bound.at);
    if visit.staff == bound.staff && bound.at.since_ms(since) <= RETURN_MAX_MS {
        return conn.rebind(&visit.id, &bound.session).await;
    }
    let how = How { actor: Actor::System, now: bound.now, ..How::default() };
    act::end(conn, &visit, VisitEnd::SessionEnded, since, &how).await?;
    Ok(())
}

/// A binding ended: nothing is asked there any more, and its visit ends, or waits for the specialist for a while.
///
/// # Errors
/// Engine errors.
pub(crate) async fn session_ended<C: VisitsOn + Feed + Log>(conn: &mut C, ended: &SessionEnd) -> Result<(), Error> {
    conn.unask(&ended.workstation).await?;
    let Some(visit) = conn.running_at(&ended.workstation).await? else { return Ok(()) };
    if visit.session != ended.session {
        return Ok(());
    }
    let (at, _) = visit::end_of(visit.started, ended.at);
    if ended.may_return {
        return conn.suspend(&visit.id, visit.suspended.unwrap_or(at)).await;
    }
    let how = How { actor: Actor::System, now: ended.now, ..How::default() };
    act::end(conn, &visit, VisitEnd::SessionEnded, at, &how).await?;
    Ok(())
}

/// Open appointments of a patient near a time, with whether their room is this one.
///
/// # Errors
/// Engine errors.
pub(super) async fn candidates<C: VisitsOn>(
    conn: &mut C,
    rules: &Rules,
    patient: PersonId,
    zone: &ZoneId,
    at: UtcMillis,
) -> Result<Vec<Candidate>, Error> {
    let rows = conn.near(patient, at.plus_ms(-rules.late_ms), at.plus_ms(rules.early_ms)).await?;
    let is_elsewhere = |row: &super::rows::NearRow| row.zone.as_deref().is_some_and(|other| other != zone.as_str());
    let around = if rows.iter().any(is_elsewhere) { conn.around(zone).await? } else { Vec::new() };
    rows.into_iter()
        .map(|row| {
            let is_here = row.zone.as_ref().is_none_or(|own| own == zone.as_str() || around.contains(own));
            let staff = optional("appointment", "staff", row.staff.as_deref(), str::parse)?;
            Ok(Candidate { appointment: row.id, staff, is_here, starts: UtcMillis(row.starts_ms) })
        })
        .collect()
}

fn running(visit: &Visit) -> Running {
    Running {
        id: visit.id.clone(),
        patient: visit.patient,
        staff: visit.staff,
        session: visit.session.clone(),
        started: visit.started,
        suspended: visit.suspended,
    }
}

/// The id of a question is that which its visit will have: answered twice it starts once.
fn question(tap: &PatientTap, bound: &Bound, patient: PersonId, why: Question, visit: Option<String>) -> OpenQuestion {
    OpenQuestion {
        id: tap.new_id.clone(),
        workstation: tap.workstation.clone(),
        session: bound.session.clone(),
        staff: bound.staff,
        patient,
        zone: tap.zone.clone(),
        why,
        visit,
        tapped: tap.at,
    }
}

async fn asked<C: Feed>(conn: &mut C, tap: &PatientTap, question: &OpenQuestion, why: Question) -> Result<(), Error> {
    let change = Change {
        reason: Some(why.to_string()),
        workstation: Some(question.workstation.clone()),
        session: Some(question.session.clone()),
        staff: Some(question.staff),
        patient: Some(question.patient),
        visit: question.visit.clone(),
        detail: Some(format!("question={}", question.id)),
        ..Change::new(tap.now, tap.at, ChangeKind::ChoiceWanted)
    };
    conn.append_change(&change).await?;
    Ok(())
}

async fn confirm<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    tap: &PatientTap,
    bound: &Bound,
    visit: &Visit,
) -> Result<VisitOutcome, Error> {
    if visit.session != bound.session || visit.suspended.is_some() {
        conn.rebind(&visit.id, &bound.session).await?;
    }
    // The card is here now: what was open without it is over.
    let how = How { actor: Actor::Staff(bound.staff), now: tap.now, ..How::default() };
    act::end_out_of_card(conn, visit, tap.at, "card", &how).await?;
    let entry = draft(tap, bound, visit.patient, Action::ChartOpened, Some(visit.id.clone()));
    let detail = Some(format!("again; no={}{}", visit.no, merged(tap, visit.patient)));
    conn.append(&Draft { detail, ..entry }).await?;
    let change = Change {
        appointment: visit.appointment.clone(),
        session: Some(bound.session.clone()),
        ..act::change(visit, ChangeKind::VisitConfirmed, tap.now, tap.at)
    };
    conn.append_change(&change).await?;
    Ok(VisitOutcome::Confirmed(visit.id.clone()))
}

async fn refuse<C: Feed + Log>(
    conn: &mut C,
    tap: &PatientTap,
    patient: PersonId,
    why: Refusal,
) -> Result<VisitOutcome, Error> {
    let bound = tap.bound.as_ref();
    let entry = Draft {
        outcome: Outcome::Refused,
        session: bound.map(|bound| bound.session.clone()),
        subject: Some(patient),
        object: Some(tap.workstation.to_string()),
        purpose: Some(Purpose::Treatment),
        detail: Some(format!("reason={why}{}", merged(tap, patient))),
        ..Draft::new(tap.now, bound.map_or(Actor::System, |bound| Actor::Staff(bound.staff)), Action::VisitStarted)
    };
    conn.append(&entry).await?;
    let change = Change {
        reason: Some(why.to_string()),
        workstation: Some(tap.workstation.clone()),
        session: bound.map(|bound| bound.session.clone()),
        staff: bound.map(|bound| bound.staff),
        patient: Some(patient),
        ..Change::new(tap.now, tap.at, ChangeKind::TapRefused)
    };
    conn.append_change(&change).await?;
    Ok(VisitOutcome::Refused(why))
}

fn draft(tap: &PatientTap, bound: &Bound, patient: PersonId, action: Action, object: Option<String>) -> Draft {
    Draft {
        session: Some(bound.session.clone()),
        subject: Some(patient),
        object,
        purpose: Some(Purpose::Treatment),
        ..Draft::new(tap.now, Actor::Staff(bound.staff), action)
    }
}

/// The pseudonym on the card, where its record was merged into another.
fn merged(tap: &PatientTap, patient: PersonId) -> String {
    if patient == tap.patient { String::new() } else { format!("; merged_from={}", tap.patient) }
}
