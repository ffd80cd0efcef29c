//! One tap of a patient's card: what is known, and what follows. A function without state.

use super::{Question, Refusal, Rules, SKEW_MS, Unclear, VisitEnd, may_be_seen_by};
use crate::ids::PersonId;
use crate::time::UtcMillis;

/// Who is bound to the workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The binding.
    pub session: String,
    /// The specialist.
    pub staff: PersonId,
    /// Whether the workstation can be used: not locked, and no second factor is wanted.
    pub is_usable: bool,
}

/// A visit that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its id.
    pub id: String,
    /// Whose.
    pub patient: PersonId,
    /// With whom.
    pub staff: PersonId,
    /// In which binding.
    pub session: String,
    /// Since when.
    pub started: UtcMillis,
    /// When the binding ended, if it has; the visit ends then unless the specialist comes back.
    pub suspended: Option<UtcMillis>,
}

/// How an appointment of the patient fits a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Specialist, room and time.
    Whole,
    /// Specialist and time, another room.
    OtherRoom,
    /// Time, another specialist.
    OtherSpecialist,
}

/// An appointment of the patient near the time of the tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub appointment: String,
    /// With whom; `None`: anybody.
    pub staff: Option<PersonId>,
    /// Whether its room is this one, lies around it, or is not told.
    pub is_here: bool,
    /// When it begins.
    pub starts: UtcMillis,
}

/// Everything that a tap is decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene<'a> {
    /// When the card was held to the reader.
    pub at: UtcMillis,
    /// Whose card it is.
    pub patient: PersonId,
    /// Who is bound to the workstation.
    pub bound: Option<&'a Bound>,
    /// The visit that runs at this workstation.
    pub here: Option<&'a Running>,
    /// The visit of this patient that runs at another workstation.
    pub elsewhere: Option<&'a Running>,
    /// Whether a visit of this patient already began in this binding.
    pub is_seen: bool,
    /// Open appointments of the patient near this time.
    pub candidates: &'a [Candidate],
}

/// What follows from a tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tap {
    /// Nothing.
    Refused(Refusal),
    /// The visit that runs here is this patient's. It goes on; if it was of an earlier binding of the same specialist,
    /// it belongs to this one now.
    Confirmed,
    /// The visit that runs here is this patient's and ends.
    Ended,
    /// The visit waits for an answer; what runs goes on.
    Ask(Question),
    /// A visit starts.
    Start {
        /// Why the visit that ran here ends, if one did.
        here: Option<VisitEnd>,
        /// Whether the patient's visit elsewhere ends.
        elsewhere: bool,
        /// The appointment that it takes.
        appointment: Option<String>,
        /// What is asked meanwhile.
        ask: Option<Question>,
    },
}

/// Decides one tap.
pub fn decide(rules: &Rules, scene: &Scene<'_>) -> Tap {
    let Some(bound) = scene.bound else { return Tap::Refused(Refusal::NoSpecialist) };
    if !bound.is_usable {
        return Tap::Refused(Refusal::DeskLocked);
    }
    if !may_be_seen_by(scene.patient, bound.staff) {
        return Tap::Refused(Refusal::NotAPatient);
    }
    if let Some(here) = scene.here.filter(|here| here.patient == scene.patient && here.staff == bound.staff) {
        let is_over = rules.tap_out_ms.is_some_and(|after| scene.at.since_ms(here.started) >= after);
        return if is_over { Tap::Ended } else { Tap::Confirmed };
    }
    if scene.elsewhere.is_some_and(|other| other.started.since_ms(scene.at) > SKEW_MS) {
        return Tap::Refused(Refusal::Overtaken);
    }
    if scene.is_seen {
        return Tap::Ask(Question::SeenAlready);
    }
    let (appointment, ask) = match choose(rules, scene, bound.staff) {
        (_, Some((question, Unclear::Wait))) => return Tap::Ask(question),
        (appointment, ask) => (appointment, ask.map(|(question, _)| question)),
    };
    Tap::Start { here: why_here_ends(scene, bound), elsewhere: scene.elsewhere.is_some(), appointment, ask }
}

/// Why the visit that runs here ends when another one starts.
fn why_here_ends(scene: &Scene<'_>, bound: &Bound) -> Option<VisitEnd> {
    let here = scene.here?;
    let is_left_over = here.suspended.is_some() || here.staff != bound.staff;
    Some(if is_left_over { VisitEnd::SessionEnded } else { VisitEnd::NextPatient })
}

/// The appointment, or what is asked and whether the visit waits for the answer.
fn choose(rules: &Rules, scene: &Scene<'_>, staff: PersonId) -> (Option<String>, Option<(Question, Unclear)>) {
    let mut whole = Vec::new();
    let (mut other_room, mut other_specialist) = (false, false);
    for candidate in scene.candidates {
        match candidates_fit(rules, scene.at, staff, candidate) {
            Some(Fit::Whole) => whole.push(candidate),
            Some(Fit::OtherRoom) => other_room = true,
            Some(Fit::OtherSpecialist) => other_specialist = true,
            None => {}
        }
    }
    match whole.as_slice() {
        [one] => (Some(one.appointment.clone()), None),
        [_, _, ..] => (None, Some((Question::Several, rules.on_several))),
        [] if other_room => (None, Some((Question::WrongRoom, rules.on_wrong))),
        [] if other_specialist => (None, Some((Question::WrongSpecialist, rules.on_wrong))),
        [] => (None, Some((Question::NoAppointment, rules.on_none))),
    }
}

/// How an appointment fits; `None`: it is not of this time.
pub fn candidates_fit(rules: &Rules, at: UtcMillis, staff: PersonId, candidate: &Candidate) -> Option<Fit> {
    let late = at.since_ms(candidate.starts);
    if late > rules.late_ms || late < -rules.early_ms {
        return None;
    }
    Some(match candidate.staff {
        Some(other) if other != staff => Fit::OtherSpecialist,
        _ if !candidate.is_here => Fit::OtherRoom,
        _ => Fit::Whole,
    })
}
