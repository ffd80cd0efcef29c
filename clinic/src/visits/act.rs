//! Starting and ending a visit inside a transaction: row, appointment, entry of the audit log, change. The one way in
//! which visits start and end, whoever asks for it.

use std::net::IpAddr;

use domain::visit::{self, AppointmentState, BeganBy, VisitEnd};
use domain::{PersonId, UtcMillis};
use store::Error;

use super::{Visit, VisitsOn};
use crate::acting::{Acting, Actor};
use crate::audit::{Action, Draft, Log, Purpose};
use crate::changes::{Change, ChangeKind, Feed};

/// Who does it and when.
#[derive(Debug, Clone)]
pub(crate) struct How {
    pub actor: Actor,
    pub address: Option<IpAddr>,
    pub glass: Option<String>,
    pub now: UtcMillis,
}

impl Default for How {
    fn default() -> Self {
        Self { actor: Actor::System, address: None, glass: None, now: UtcMillis(0) }
    }
}

impl How {
    pub(crate) fn by(acting: &Acting, now: UtcMillis) -> Self {
        Self { actor: acting.actor.clone(), address: acting.address, glass: acting.glass.clone(), now }
    }

    fn draft(&self, visit: &Visit, action: Action) -> Draft {
        Draft {
            session: Some(visit.session.clone()),
            address: self.address.map(|address| address.to_string()),
            glass: self.glass.clone(),
            subject: Some(visit.patient),
            object: Some(visit.id.clone()),
            purpose: Some(Purpose::Treatment),
            ..Draft::new(self.now, self.actor.clone(), action)
        }
    }
}

/// What else the entry about a start says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    pub clock_back_ms: i64,
    pub merged_from: Option<PersonId>,
    pub note: Option<String>,
    pub more: Option<String>,
}

/// Starts a visit; no other may run at its workstation or of its patient.
pub(crate) async fn start<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    visit: &Visit,
    how: &How,
    words: Words,
) -> Result<u64, Error> {
    let no = conn.insert_visit(visit).await?;
    let mut detail = format!("no={no}; zone={}; by={}", visit.zone, visit.began_by);
    if words.clock_back_ms > 0 {
        detail.push_str(&format!("; clock_back_ms={}", words.clock_back_ms));
    }
    if let Some(from) = words.merged_from {
        detail.push_str(&format!("; merged_from={from}"));
    }
    if let Some(more) = words.more {
        detail.push_str(&format!("; {more}"));
    }
    let entry = Draft { detail: Some(detail), note: words.note, ..how.draft(visit, Action::VisitStarted) };
    conn.append(&entry).await?;
    if let Some(appointment) = &visit.appointment {
        arrive(conn, visit, appointment, how.now).await?;
    }
    let change = Change {
        reason: Some(visit.began_by.to_string()),
        detail: Some(format!("no={no}")),
        ..change(visit, ChangeKind::VisitStarted, how.now, visit.started)
    };
    conn.append_change(&change).await?;
    Ok(no)
}

/// The visit takes an appointment: its patient has arrived.
pub(crate) async fn arrive<C: VisitsOn + Feed>(
    conn: &mut C,
    visit: &Visit,
    appointment: &str,
    now: UtcMillis,
) -> Result<(), Error> {
    conn.move_appointment(appointment, AppointmentState::Arrived, Some(visit.started), now).await?;
    appointment_changed(conn, visit, appointment, AppointmentState::Arrived, now, visit.started).await
}

async fn appointment_changed<C: Feed>(
    conn: &mut C,
    visit: &Visit,
    appointment: &str,
    state: AppointmentState,
    now: UtcMillis,
    happened: UtcMillis,
) -> Result<(), Error> {
    let change = Change {
        reason: Some(state.to_string()),
        appointment: Some(appointment.to_owned()),
        ..change(visit, ChangeKind::AppointmentChanged, now, happened)
    };
    conn.append_change(&change).await?;
    Ok(())
}

/// Ends a visit that runs and returns when it ended: never before it started.
pub(crate) async fn end<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    visit: &Visit,
    why: VisitEnd,
    at: UtcMillis,
    how: &How,
) -> Result<UtcMillis, Error> {
    end_with(conn, visit, why, at, how, None).await
}

/// As [`end`], with what a person typed as the reason.
pub(crate) async fn end_with<C: VisitsOn + Feed + Log>(
    conn: &mut C,
    visit: &Visit,
    why: VisitEnd,
    at: UtcMillis,
    how: &How,
    note: Option<String>,
) -> Result<UtcMillis, Error> {
    let (at, clock_back_ms) = visit::end_of(visit.started, at);
    if !conn.close_visit(&visit.id, at, why).await? {
        return Ok(at);
    }
    end_out_of_card(conn, visit, at, "visit", how).await?;
    let mut detail = format!("no={}; reason={why}; at={at}", visit.no);
    if clock_back_ms > 0 {
        detail.push_str(&format!("; clock_back_ms={clock_back_ms}"));
    }
    conn.append(&Draft { detail: Some(detail), note, ..how.draft(visit, Action::VisitEnded) }).await?;
    let is_cancelled = why == VisitEnd::Cancelled;
    if let Some(appointment) = &visit.appointment {
        let state = if is_cancelled { AppointmentState::Booked } else { AppointmentState::Fulfilled };
        conn.move_appointment(appointment, state, None, how.now).await?;
        appointment_changed(conn, visit, appointment, state, how.now, at).await?;
    }
    let kind = if is_cancelled { ChangeKind::VisitCancelled } else { ChangeKind::VisitEnded };
    let change = Change { reason: Some(why.to_string()), ..change(visit, kind, how.now, at) };
    conn.append_change(&change).await?;
    Ok(at)
}

/// What was open without the card for this visit is over; the log says so.
pub(crate) async fn end_out_of_card<C: VisitsOn + Log>(
    conn: &mut C,
    visit: &Visit,
    at: UtcMillis,
    why: &'static str,
    how: &How,
) -> Result<(), Error> {
    if visit.began_by != BeganBy::OutOfCard {
        return Ok(());
    }
    for id in conn.close_out_of_card(&visit.id, at, why).await? {
        let entry =
            Draft { object: Some(id), detail: Some(format!("ended; by={why}")), ..how.draft(visit, Action::OutOfCard) };
        conn.append(&entry).await?;
    }
    Ok(())
}

/// Why and when a visit ends whose patient was seen elsewhere at `at`.
pub(crate) fn elsewhere(visit: &Visit, at: UtcMillis) -> (VisitEnd, UtcMillis) {
    match visit.suspended {
        Some(since) => (VisitEnd::SessionEnded, since),
        None => (VisitEnd::Elsewhere, at),
    }
}

/// Why and when a visit ends when another patient's begins at its workstation.
pub(crate) fn why_next(visit: &Visit, at: UtcMillis) -> (VisitEnd, UtcMillis) {
    match visit.suspended {
        Some(since) => (VisitEnd::SessionEnded, since),
        None => (VisitEnd::NextPatient, at),
    }
}

/// A change about a visit.
pub(crate) fn change(visit: &Visit, kind: ChangeKind, now: UtcMillis, happened: UtcMillis) -> Change {
    Change {
        workstation: Some(visit.workstation.clone()),
        session: Some(visit.session.clone()),
        staff: Some(visit.staff),
        patient: Some(visit.patient),
        visit: Some(visit.id.clone()),
        appointment: visit.appointment.clone(),
        ..Change::new(now, happened, kind)
    }
}
