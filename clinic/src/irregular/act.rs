//! Doing something without the card. One command does it: confirmation, reason, visit, entry, change.

use domain::visit::{BeganBy, OutOfCardCode, OutOfCardKind, SKEW_MS, VisitEnd};
use domain::{Permission, PersonId, UtcMillis};
use store::{Error, transact};

use super::rows::{Binding, IrregularOn, NewCase};
use super::{Case, Irregular, IrregularError};
use crate::acting::Acting;
use crate::audit::{Action, Draft, Log, Purpose};
use crate::break_glass::{REASON_MIN_CHARS, words};
use crate::changes::{Change, ChangeKind, Feed};
use crate::draw;
use crate::visits::{self, How, StartWords, Visit, VisitsOn};

/// What is to be done without the card.
#[derive(Clone)]
pub struct NewOutOfCard {
    /// The binding of the workstation, which must be that of who acts, and open.
    pub session: String,
    /// For which patient.
    pub patient: PersonId,
    /// Why.
    pub code: OutOfCardCode,
    /// Why, in words: 10 to 500 characters.
    pub words: String,
    /// The appointment that a visit takes.
    pub appointment: Option<String>,
}

impl std::fmt::Debug for NewOutOfCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewOutOfCard").field("patient", &self.patient).field("code", &self.code).finish_non_exhaustive()
    }
}

enum Found {
    Done(Box<(Case, Option<Visit>)>),
    Not(Why),
}

impl Found {
    fn parts(self) -> Result<(Case, Option<Visit>), IrregularError> {
        match self {
            Self::Done(parts) => Ok(*parts),
            Self::Not(why) => Err(why.into()),
        }
    }
}

#[derive(Clone, Copy)]
enum Why {
    NotFound,
    NotYours,
    NotBound,
    NotFresh,
    BadAppointment,
}

impl From<Why> for IrregularError {
    fn from(why: Why) -> Self {
        match why {
            Why::NotFound => Self::NotFound,
            Why::NotYours => Self::NotYours,
            Why::NotBound => Self::NotBound,
            Why::NotFresh => Self::NotFresh,
            Why::BadAppointment => Self::BadAppointment,
        }
    }
}

impl Irregular {
    /// Starts a visit without the card: now, with this patient, at the workstation of the binding. What ran there ends.
    /// The visit of a patient that runs here already is returned as it is, without a case: there is nothing irregular.
    ///
    /// # Errors
    /// Everything of [`IrregularError`] but what is about reviews and names.
    pub async fn start(&self, acting: &Acting, new: NewOutOfCard) -> Result<(Option<Case>, Visit), IrregularError> {
        acting.must(Permission::DeskUse)?;
        let typed = words(&new.words, REASON_MIN_CHARS).ok_or(IrregularError::BadReason)?;
        let (now, how) = (self.clock.now(), How::by(acting, self.clock.now()));
        let (settings, actor) = (self.settings, acting.actor.clone());
        let (id, visit_id) = (draw::id()?, visits::new_id()?);
        let found = transact!(self.database, "irregular.start", |conn| {
            let own = conn.staff_of(&actor).await?;
            let bound = match may_act(conn.binding(&new.session).await?, own, now, settings.fresh_ms) {
                Ok(bound) => bound,
                Err(why) => return Ok(Found::Not(why)),
            };
            let patient = conn.survivor(new.patient).await?;
            if !conn.is_known(patient).await? || !domain::visit::may_be_seen_by(patient, bound.staff) {
                return Ok(Found::Not(Why::NotFound));
            }
            let here = conn.running_at(&bound.workstation).await?;
            if let Some(running) = here.as_ref().filter(|visit| visit.patient == patient && visit.staff == bound.staff)
            {
                return Ok(Found::Done(Box::new((nothing(&id, running, now), Some(running.clone())))));
            }
            if let Some(appointment) = &new.appointment {
                let Some(taken) = conn.appointment(appointment).await? else {
                    return Ok(Found::Not(Why::BadAppointment));
                };
                if conn.survivor(taken.patient).await? != patient || !taken.state.is_open() {
                    return Ok(Found::Not(Why::BadAppointment));
                }
            }
            let other = conn.running_of(patient).await?;
            let mut started = now;
            if let Some(visit) = here {
                let (why, at) = visits::why_next(&visit, now);
                started = started.max(visits::end(conn, &visit, why, at, &how).await?);
            }
            if let Some(visit) = other.filter(|visit| visit.workstation != bound.workstation) {
                // A clock of a reader may be ahead of ours; further than that it is a fault that ends nothing.
                let (why, at) = visits::elsewhere(&visit, now);
                started = started.max(visits::end(conn, &visit, why, at, &how).await?);
            }
            conn.unask(&bound.workstation).await?;
            let Some(zone) = bound.zone.clone() else { return Ok(Found::Not(Why::NotBound)) };
            let visit = Visit {
                id: visit_id.clone(),
                no: 0,
                patient,
                staff: bound.staff,
                workstation: bound.workstation.clone(),
                zone,
                session: new.session.clone(),
                appointment: new.appointment.clone(),
                began_by: BeganBy::OutOfCard,
                started,
                ended: None,
                suspended: None,
            };
            let start_words = StartWords {
                clock_back_ms: started.since_ms(now).max(0),
                merged_from: (patient != new.patient).then_some(new.patient),
                more: Some(format!("out_of_card={}", new.code)),
                ..StartWords::default()
            };
            let no = visits::start(conn, &visit, &how, start_words).await?;
            let visit = Visit { no, ..visit };
            let case = Case {
                id: id.clone(),
                kind: OutOfCardKind::Start,
                code: new.code,
                staff: Some(bound.staff),
                patient: Some(patient),
                visit: Some(visit.id.clone()),
                workstation: Some(bound.workstation.clone()),
                zone: Some(visit.zone.clone()),
                session: Some(new.session.clone()),
                source: None,
                entry: 0,
                at: now,
                expires: Some(now.plus_ms(settings.scope_ms)),
                ended: None,
                due: now.plus_ms(settings.review_ms),
                review: None,
            };
            let case = write(conn, case, &how, Some(typed.clone()), None).await?;
            Ok(Found::Done(Box::new((case, Some(visit)))))
        })?;
        match found.parts()? {
            // The entry's number is 0 only where nothing was written.
            (case, Some(visit)) => Ok(((case.entry != 0).then_some(case), visit)),
            (_, None) => Err(IrregularError::NotFound),
        }
    }

    /// Works on the record of one patient without a visit and without the card, for example after a telephone call.
    /// It counts for [`super::Settings::scope_ms`], or until [`Irregular::finish`].
    ///
    /// # Errors
    /// As [`Irregular::start`].
    pub async fn work(&self, acting: &Acting, new: NewOutOfCard) -> Result<Case, IrregularError> {
        acting.must(Permission::DeskUse)?;
        let typed = words(&new.words, REASON_MIN_CHARS).ok_or(IrregularError::BadReason)?;
        let (now, how) = (self.clock.now(), How::by(acting, self.clock.now()));
        let (settings, actor, id) = (self.settings, acting.actor.clone(), draw::id()?);
        let found = transact!(self.database, "irregular.work", |conn| {
            let own = conn.staff_of(&actor).await?;
            let bound = match may_act(conn.binding(&new.session).await?, own, now, settings.fresh_ms) {
                Ok(bound) => bound,
                Err(why) => return Ok(Found::Not(why)),
            };
            let patient = conn.survivor(new.patient).await?;
            if !conn.is_known(patient).await? || !domain::visit::may_be_seen_by(patient, bound.staff) {
                return Ok(Found::Not(Why::NotFound));
            }
            let case = Case {
                id: id.clone(),
                kind: OutOfCardKind::Work,
                code: new.code,
                staff: Some(bound.staff),
                patient: Some(patient),
                visit: None,
                workstation: Some(bound.workstation),
                zone: bound.zone,
                session: Some(new.session.clone()),
                source: None,
                entry: 0,
                at: now,
                expires: Some(now.plus_ms(settings.scope_ms)),
                ended: None,
                due: now.plus_ms(settings.review_ms),
                review: None,
            };
            let merged = (patient != new.patient).then_some(new.patient);
            let case = write(conn, case, &how, Some(typed.clone()), merged).await?;
            Ok(Found::Done(Box::new((case, None))))
        })?;
        Ok(found.parts()?.0)
    }

    /// Ends work on a record that was begun with [`Irregular::work`], before its time.
    ///
    /// # Errors
    /// [`IrregularError::NotFound`] for a case that is over or of another kind, [`IrregularError::NotYours`]; engine
    /// errors.
    pub async fn finish(&self, acting: &Acting, id: &str) -> Result<Case, IrregularError> {
        acting.must(Permission::DeskUse)?;
        let (now, how) = (self.clock.now(), How::by(acting, self.clock.now()));
        let (actor, id) = (acting.actor.clone(), id.to_owned());
        let found = transact!(self.database, "irregular.finish", |conn| {
            let Some(case) = conn.case(&id).await?.filter(|case| case.kind == OutOfCardKind::Work) else {
                return Ok(Found::Not(Why::NotFound));
            };
            if conn.staff_of(&actor).await? != case.staff {
                return Ok(Found::Not(Why::NotYours));
            }
            if !over(conn, &case, now, "hand", &how).await? {
                return Ok(Found::Not(Why::NotFound));
            }
            Ok(Found::Done(Box::new((Case { ended: Some(now), ..case }, None))))
        })?;
        Ok(found.parts()?.0)
    }

    /// Ends a visit without the tap that the clinic asks for ([`domain::visit::Rules::end_needs_card`]).
    ///
    /// # Errors
    /// [`IrregularError::NotFound`] for a visit that is over, [`IrregularError::NotYours`],
    /// [`IrregularError::BadReason`]; engine errors.
    pub async fn end_visit(
        &self,
        acting: &Acting,
        visit: &str,
        code: OutOfCardCode,
        reason: &str,
    ) -> Result<(Case, Visit), IrregularError> {
        acting.must(Permission::DeskUse)?;
        let typed = words(reason, REASON_MIN_CHARS).ok_or(IrregularError::BadReason)?;
        let (now, how) = (self.clock.now(), How::by(acting, self.clock.now()));
        let (settings, actor) = (self.settings, acting.actor.clone());
        let (id, visit) = (draw::id()?, visit.to_owned());
        let found = transact!(self.database, "irregular.end_visit", |conn| {
            let Some(visit) = conn.visit(&visit).await?.filter(|visit| visit.ended.is_none()) else {
                return Ok(Found::Not(Why::NotFound));
            };
            if conn.staff_of(&actor).await? != Some(visit.staff) {
                return Ok(Found::Not(Why::NotYours));
            }
            let at = visit.suspended.unwrap_or(now);
            let ended = visits::end(conn, &visit, VisitEnd::OutOfCard, at, &how).await?;
            conn.unask_visit(&visit.id).await?;
            let case = Case {
                id: id.clone(),
                kind: OutOfCardKind::End,
                code,
                staff: Some(visit.staff),
                patient: Some(visit.patient),
                visit: Some(visit.id.clone()),
                workstation: Some(visit.workstation.clone()),
                zone: Some(visit.zone.clone()),
                session: Some(visit.session.clone()),
                source: None,
                entry: 0,
                at: now,
                expires: None,
                ended: Some(now),
                due: now.plus_ms(settings.review_ms),
                review: None,
            };
            let case = write(conn, case, &how, Some(typed.clone()), None).await?;
            let visit = Visit { ended: Some((ended, VisitEnd::OutOfCard)), suspended: None, ..visit };
            Ok(Found::Done(Box::new((case, Some(visit)))))
        })?;
        match found.parts()? {
            (case, Some(visit)) => Ok((case, visit)),
            (_, None) => Err(IrregularError::NotFound),
        }
    }
}

/// Whether who acts is bound there, may use it, and has just shown who they are.
fn may_act(bound: Option<Binding>, own: Option<PersonId>, now: UtcMillis, fresh_ms: i64) -> Result<Binding, Why> {
    let bound = bound.ok_or(Why::NotBound)?;
    if own != Some(bound.staff) {
        return Err(Why::NotYours);
    }
    if !bound.is_usable {
        return Err(Why::NotBound);
    }
    let age = now.since_ms(bound.confirmed);
    // A confirmation of the future is a clock that is wrong by more than gateways may be.
    if age > fresh_ms || age < -SKEW_MS { Err(Why::NotFresh) } else { Ok(bound) }
}

/// Stands for "nothing was done without the card".
fn nothing(id: &str, visit: &Visit, now: UtcMillis) -> Case {
    Case {
        id: id.to_owned(),
        kind: OutOfCardKind::Start,
        code: OutOfCardCode::Other,
        staff: Some(visit.staff),
        patient: Some(visit.patient),
        visit: Some(visit.id.clone()),
        workstation: None,
        zone: None,
        session: None,
        source: None,
        entry: 0,
        at: now,
        expires: None,
        ended: None,
        due: now,
        review: None,
    }
}

/// Writes a case: entry of the audit log with the words, row, change.
pub(super) async fn write<C: IrregularOn + Feed + Log>(
    conn: &mut C,
    case: Case,
    how: &How,
    words: Option<String>,
    merged_from: Option<PersonId>,
) -> Result<Case, Error> {
    let entry = entry_of(&case, how, words, merged_from);
    let number = conn.append(&entry).await?;
    let case = Case { entry: number, ..case };
    conn.insert_case(&NewCase { case: case.clone(), external: None }).await?;
    conn.append_change(&began(&case, how.now)).await?;
    Ok(case)
}

/// The entry of the audit log of a case that begins, with the words.
pub(crate) fn entry_of(case: &Case, how: &How, words: Option<String>, merged_from: Option<PersonId>) -> Draft {
    let action = match case.kind {
        OutOfCardKind::SignIn => Action::IrregularSignIn,
        _ => Action::OutOfCard,
    };
    let mut detail = format!("started; kind={}; code={}", case.kind, case.code);
    if let Some(from) = merged_from {
        detail.push_str(&format!("; merged_from={from}"));
    }
    Draft { detail: Some(detail), note: words, ..draft(case, how, action) }
}

/// The change of a case that begins.
pub(crate) fn began(case: &Case, now: UtcMillis) -> Change {
    let kind = match case.kind {
        OutOfCardKind::SignIn => ChangeKind::IrregularSignIn,
        _ => ChangeKind::OutOfCard,
    };
    Change { detail: Some(format!("kind={}; case={}", case.kind, case.id)), ..change(case, kind, now) }
}

/// Ends a case that is open; whether it was.
pub(super) async fn over<C: IrregularOn + Feed + Log>(
    conn: &mut C,
    case: &Case,
    at: UtcMillis,
    why: &'static str,
    how: &How,
) -> Result<bool, Error> {
    if !conn.close_case(&case.id, at, why).await? {
        return Ok(false);
    }
    let entry = Draft { detail: Some(format!("ended; by={why}")), ..draft(case, how, Action::OutOfCard) };
    conn.append(&entry).await?;
    let detail = Some(format!("kind={}; case={}; ended", case.kind, case.id));
    conn.append_change(&Change { detail, ..change(case, ChangeKind::OutOfCard, how.now) }).await?;
    Ok(true)
}

fn draft(case: &Case, how: &How, action: Action) -> Draft {
    let purpose = match case.code {
        OutOfCardCode::Emergency => Purpose::Emergency,
        _ => Purpose::Treatment,
    };
    Draft {
        session: case.session.clone(),
        address: how.address.map(|address| address.to_string()),
        glass: how.glass.clone(),
        subject: case.patient.or(case.staff),
        object: Some(case.id.clone()),
        purpose: Some(purpose),
        ..Draft::new(how.now, how.actor.clone(), action)
    }
}

fn change(case: &Case, kind: ChangeKind, now: UtcMillis) -> Change {
    Change {
        reason: Some(case.code.to_string()),
        workstation: case.workstation.clone(),
        session: case.session.clone(),
        staff: case.staff,
        patient: case.patient,
        visit: case.visit.clone(),
        ..Change::new(now, case.at, kind)
    }
}
