//! What a specialist does with visits on the page of their workstation: answers what is asked, ends a visit, takes one
//! back. Each is checked against the binding: whoever is not bound to the workstation does nothing there.

use domain::visit::{BeganBy, SKEW_MS, VisitEnd};
use domain::{Permission, UtcMillis};
use store::transact;

use super::act::{self, How, Words};
use super::rows::Taken;
use super::{OpenQuestion, Visit, VisitError, Visits, VisitsOn};
use crate::acting::Acting;
use crate::audit::{self, Action, Draft, Outcome, Purpose};
use crate::break_glass::{REASON_MIN_CHARS, words};

/// A chosen appointment begins within so much of the tap: a day.
const CHOSEN_WITHIN_MS: i64 = 24 * 60 * 60 * 1000;

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This appointment, by its id.
    Appointment(String),
    /// A visit without an appointment.
    Without,
    /// No visit: the card was held to the reader by mistake.
    Nothing,
}

/// What a transaction found.
enum Found {
    Done(Option<Visit>),
    Not(Why),
}

/// Why nothing was done, inside a transaction.
enum Why {
    NotFound,
    NotYours,
    NotBound,
    ReasonWanted,
    CardWanted,
    BadAppointment,
    Overtaken,
    HasServices,
}

impl From<Why> for VisitError {
    fn from(why: Why) -> Self {
        match why {
            Why::NotFound => Self::NotFound,
            Why::NotYours => Self::NotYours,
            Why::NotBound => Self::NotBound,
            Why::ReasonWanted => Self::ReasonWanted,
            Why::CardWanted => Self::CardWanted,
            Why::BadAppointment => Self::BadAppointment,
            Why::Overtaken => Self::Overtaken,
            Why::HasServices => Self::HasServices,
        }
    }
}

impl Visits {
    /// Answers what is asked at a workstation. The visit starts at the time of the tap that was asked about. `reason` is
    /// what the specialist typed; it is needed where [`domain::visit::Question::needs_words`], and for the appointment of another
    /// specialist.
    ///
    /// # Errors
    /// [`VisitError::NotFound`] for a question that is over, [`VisitError::NotYours`], [`VisitError::NotBound`],
    /// [`VisitError::ReasonWanted`], [`VisitError::BadAppointment`], [`VisitError::Overtaken`]; engine errors.
    pub async fn answer(
        &self,
        acting: &Acting,
        question: &str,
        answer: Answer,
        reason: Option<&str>,
    ) -> Result<Option<Visit>, VisitError> {
        acting.must(Permission::DeskUse)?;
        let note = reason.and_then(|typed| words(typed, REASON_MIN_CHARS));
        let (id, now, how) = (question.to_owned(), self.clock.now(), How::by(acting, self.clock.now()));
        let actor = acting.actor.clone();
        let found = transact!(self.database, "visits.answer", |conn| {
            let Some(question) = conn.question(&id).await? else { return Ok(Found::Not(Why::NotFound)) };
            if !is_theirs(conn.staff_of(&actor).await?, question.staff) {
                return Ok(Found::Not(Why::NotYours));
            }
            if !conn.is_usable(&question.session).await? {
                return Ok(Found::Not(Why::NotBound));
            }
            let mut chosen = None;
            if let Answer::Appointment(appointment) = &answer {
                let Some(taken) = conn.appointment(appointment).await? else {
                    return Ok(Found::Not(Why::BadAppointment));
                };
                let whose = conn.survivor(taken.patient).await?;
                if whose != question.patient || !taken.state.is_open() || !is_near(&taken, question.tapped) {
                    return Ok(Found::Not(Why::BadAppointment));
                }
                if note.is_none() && taken.staff.is_some_and(|staff| staff != question.staff) {
                    return Ok(Found::Not(Why::ReasonWanted));
                }
                chosen = Some(appointment.clone());
            }
            let goes_on = answer != Answer::Nothing;
            if goes_on && question.visit.is_none() && question.why.needs_words() && note.is_none() {
                return Ok(Found::Not(Why::ReasonWanted));
            }
            if !goes_on {
                conn.unask(&question.workstation).await?;
                let entry = answered(&question, &how, "nothing", note.clone());
                audit::record!(conn, &Draft { outcome: Outcome::Refused, ..entry });
                return Ok(Found::Done(None));
            }
            if let Some(started) = &question.visit {
                conn.unask(&question.workstation).await?;
                let Some(mut visit) = conn.visit(started).await? else { return Ok(Found::Not(Why::NotFound)) };
                let said = if chosen.is_some() { "appointment" } else { "without" };
                let entry = answered(&question, &how, said, note.clone());
                audit::record!(conn, &entry);
                if let Some(appointment) = chosen
                    && visit.appointment.is_none()
                    && visit.ended.is_none()
                {
                    conn.link_appointment(&visit.id, Some(&appointment)).await?;
                    visit.appointment = Some(appointment.clone());
                    act::arrive(conn, &visit, &appointment, now).await?;
                }
                return Ok(Found::Done(Some(visit)));
            }
            let here = conn.running_at(&question.workstation).await?;
            if let Some(running) = here.as_ref().filter(|visit| visit.patient == question.patient) {
                conn.unask(&question.workstation).await?;
                return Ok(Found::Done(Some(running.clone())));
            }
            let other = conn.running_of(question.patient).await?;
            if other.as_ref().is_some_and(|visit| visit.started.since_ms(question.tapped) > SKEW_MS) {
                return Ok(Found::Not(Why::Overtaken));
            }
            let mut started = question.tapped;
            if let Some(visit) = here {
                let (why, at) = act::why_next(&visit, question.tapped);
                started = started.max(act::end(conn, &visit, why, at, &how).await?);
            }
            if let Some(visit) = other {
                let (why, at) = act::elsewhere(&visit, question.tapped);
                started = started.max(act::end(conn, &visit, why, at, &how).await?);
            }
            conn.unask(&question.workstation).await?;
            let visit = Visit {
                id: question.id.clone(),
                no: 0,
                patient: question.patient,
                staff: question.staff,
                workstation: question.workstation.clone(),
                zone: question.zone.clone(),
                session: question.session.clone(),
                appointment: chosen,
                began_by: BeganBy::Card,
                started,
                ended: None,
                suspended: None,
            };
            let words = Words {
                clock_back_ms: started.since_ms(question.tapped),
                note: note.clone(),
                more: Some(format!("answered={}", question.why)),
                ..Words::default()
            };
            let no = act::start(conn, &visit, &how, words).await?;
            Ok(Found::Done(Some(Visit { no, ..visit })))
        })?;
        match found {
            Found::Done(visit) => Ok(visit),
            Found::Not(why) => Err(why.into()),
        }
    }

    /// Ends a visit by hand: one's own, or anybody's for who manages workstations. Ending one that is over changes
    /// nothing and returns it.
    ///
    /// # Errors
    /// [`VisitError::NotFound`], [`VisitError::NotYours`], [`VisitError::CardWanted`] where the clinic asks for the card;
    /// engine errors.
    pub async fn end(&self, acting: &Acting, visit: &str) -> Result<Visit, VisitError> {
        self.close(acting, visit, VisitEnd::ByHand, None).await
    }

    /// Takes a visit back: it never was. The appointment is open again. It needs a reason.
    ///
    /// # Errors
    /// [`VisitError::NotFound`], also for one that was taken back already; [`VisitError::NotYours`],
    /// [`VisitError::ReasonWanted`]; engine errors.
    pub async fn cancel(&self, acting: &Acting, visit: &str, reason: &str) -> Result<Visit, VisitError> {
        acting.must(Permission::DeskUse)?;
        let note = words(reason, REASON_MIN_CHARS).ok_or(VisitError::ReasonWanted)?;
        self.close(acting, visit, VisitEnd::Cancelled, Some(note)).await
    }

    async fn close(
        &self,
        acting: &Acting,
        visit: &str,
        why: VisitEnd,
        note: Option<String>,
    ) -> Result<Visit, VisitError> {
        acting.must(Permission::DeskUse)?;
        let manages = acting.rights.allows(Permission::DeskManage);
        let needs_card = self.rules.end_needs_card && why == VisitEnd::ByHand && !manages;
        let (id, now, how) = (visit.to_owned(), self.clock.now(), How::by(acting, self.clock.now()));
        let actor = acting.actor.clone();
        let found = transact!(self.database, "visits.close", |conn| {
            let Some(visit) = conn.visit(&id).await? else { return Ok(Found::Not(Why::NotFound)) };
            if !manages && !is_theirs(conn.staff_of(&actor).await?, visit.staff) {
                return Ok(Found::Not(Why::NotYours));
            }
            let is_over = visit.ended.is_some();
            if is_over && (why != VisitEnd::Cancelled || visit.is_cancelled()) {
                return Ok(if visit.is_cancelled() { Found::Not(Why::NotFound) } else { Found::Done(Some(visit)) });
            }
            if needs_card {
                return Ok(Found::Not(Why::CardWanted));
            }
            if why == VisitEnd::Cancelled && conn.has_services(&visit.id).await? {
                return Ok(Found::Not(Why::HasServices));
            }
            let ended = match visit.ended {
                Some((at, _)) => {
                    conn.reopen_to_cancel(&visit.id).await?;
                    at
                }
                None => visit.suspended.unwrap_or(now),
            };
            let ended = act::end_with(conn, &visit, why, ended, &how, note.clone()).await?;
            conn.unask_visit(&visit.id).await?;
            Ok(Found::Done(Some(Visit { ended: Some((ended, why)), suspended: None, ..visit })))
        })?;
        match found {
            Found::Done(Some(visit)) => Ok(visit),
            Found::Done(None) => Err(VisitError::NotFound),
            Found::Not(why) => Err(why.into()),
        }
    }
}

/// Whether it is this staff member's.
fn is_theirs(own: Option<domain::PersonId>, staff: domain::PersonId) -> bool {
    own == Some(staff)
}

fn is_near(taken: &Taken, tapped: UtcMillis) -> bool {
    taken.starts.since_ms(tapped).abs() <= CHOSEN_WITHIN_MS
}

/// The entry about an answer that starts nothing.
fn answered(question: &OpenQuestion, how: &How, said: &str, note: Option<String>) -> Draft {
    Draft {
        session: Some(question.session.clone()),
        address: how.address.map(|address| address.to_string()),
        glass: how.glass.clone(),
        subject: Some(question.patient),
        object: Some(question.visit.clone().unwrap_or_else(|| question.id.clone())),
        purpose: Some(Purpose::Treatment),
        detail: Some(format!("answered={}; with={said}", question.why)),
        note,
        ..Draft::new(how.now, how.actor.clone(), Action::VisitStarted)
    }
}
