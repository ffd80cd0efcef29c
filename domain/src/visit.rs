//! Visits: what a patient's card at a workstation means. Pure: what is known comes in, what is to be done comes out; the
//! rows are `clinic::visits`'.
//!
//! # Rules
//! - A visit needs a specialist who is bound to the workstation and whose binding is usable; else the tap is refused.
//! - The tap of the patient whose visit runs here confirms it and changes nothing, unless a clinic lets a second tap
//!   end it ([`Rules::tap_out_ms`]).
//! - The tap of another patient ends the running visit and starts the next, at the time of the tap.
//! - One start for a patient and a binding. Whoever was seen in this binding already is asked about: two cards in the
//!   field of one reader must not make visits by turns.
//! - The appointment is taken when exactly one fits patient, specialist, room and time. It is never guessed: several, or
//!   one of another room or specialist, are asked about, and the visit waits; with none the visit starts and it is asked.
//! - A patient is at one place: starting here ends their visit elsewhere, unless that one began later than this tap.

use crate::codes;
use crate::ids::PersonId;
use crate::time::UtcMillis;

mod tap;
#[cfg(test)]
mod tests;

pub use tap::{Bound, Candidate, Fit, Running, Scene, Tap, candidates_fit, decide};

const MINUTE_MS: i64 = 60_000;
/// How far the clocks of two gateways may differ, in milliseconds: of two taps that are closer, the one that is taken in
/// later counts as the later one.
pub const SKEW_MS: i64 = 2_000;
/// Longest [`Rules::return_ms`]: an hour. Whoever comes back later begins anew.
pub const RETURN_MAX_MS: i64 = 60 * MINUTE_MS;
/// Longest [`Rules::longest_ms`]: a day. Questions about the past look no further back for visits that still ran.
pub const LONGEST_MAX_MS: i64 = 24 * 60 * MINUTE_MS;

codes! {
    /// What is done when the appointment is not clear.
    Unclear {
        /// The visit starts at once without an appointment, and it is asked.
        Start = "start",
        /// The visit waits for the answer.
        Wait = "wait",
    }
}

codes! {
    /// Why a tap of a patient's card at a workstation did nothing.
    Refusal {
        /// Nobody is bound to the workstation.
        NoSpecialist = "no_specialist",
        /// Somebody is bound, but the workstation is locked or waits for a second factor.
        DeskLocked = "desk_locked",
        /// The card is not a patient's.
        NotAPatient = "not_a_patient",
        /// The patient was seen elsewhere after this tap; it was delivered late.
        Overtaken = "overtaken",
    }
}

codes! {
    /// What a person must decide.
    Question {
        /// More than one appointment fits.
        Several = "several_appointments",
        /// No appointment fits.
        NoAppointment = "no_appointment",
        /// The appointment with this specialist is in another room.
        WrongRoom = "wrong_room",
        /// The appointment here and now is with another specialist.
        WrongSpecialist = "wrong_specialist",
        /// This patient was already seen by this specialist in this binding.
        SeenAlready = "seen_already",
    }
}

impl Question {
    /// Whether the answer needs words: going on is against what was planned.
    pub const fn needs_words(self) -> bool {
        matches!(self, Self::WrongRoom | Self::WrongSpecialist)
    }
}

codes! {
    /// How a visit began.
    BeganBy {
        /// By the patient's card.
        Card = "card",
        /// Without it, with a reason.
        OutOfCard = "out_of_card",
    }
}

codes! {
    /// Why a visit ended.
    VisitEnd {
        /// The specialist ended it.
        ByHand = "by_hand",
        /// The specialist ended it without the card that the clinic asks for, with a reason.
        OutOfCard = "out_of_card",
        /// The patient's card was held to the reader once more.
        TapOut = "tap_out",
        /// The next patient's card.
        NextPatient = "next_patient",
        /// The patient's card at another workstation.
        Elsewhere = "elsewhere",
        /// The specialist's binding ended and they did not come back in time.
        SessionEnded = "session_ended",
        /// It was longer than a visit may be; ended by the rule.
        RunOut = "run_out",
        /// It ran without the card, and the time for that was over.
        Expired = "expired",
        /// It was taken back: it never was.
        Cancelled = "cancelled",
    }
}

codes! {
    /// How far an appointment has come.
    AppointmentState {
        /// Asked for, not confirmed.
        Pending = "pending",
        /// Agreed.
        Booked = "booked",
        /// The patient is here: a visit took it.
        Arrived = "arrived",
        /// It took place.
        Fulfilled = "fulfilled",
        /// It was called off.
        Cancelled = "cancelled",
        /// The patient did not come.
        NoShow = "no_show",
    }
}

impl AppointmentState {
    /// Whether a visit may take it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Booked | Self::Arrived)
    }
}

codes! {
    /// Why something was done without the card. The list is fixed, so that it can be counted.
    OutOfCardCode {
        /// The patient forgot the card.
        Forgotten = "card_forgotten",
        /// The card is lost or was not given yet.
        Lost = "card_lost",
        /// The reader does not work.
        Reader = "reader_broken",
        /// There was no time for a card.
        Emergency = "emergency",
        /// At the patient's home.
        HomeCall = "home_call",
        /// By telephone or video.
        Telephone = "telephone",
        /// Something else, in words.
        Other = "other",
    }
}

codes! {
    /// What was done without the card.
    OutOfCardKind {
        /// A visit was started.
        Start = "start",
        /// The record of one patient was worked on without a visit.
        Work = "work",
        /// A visit was ended.
        End = "end",
        /// A service was registered for a patient without a visit.
        Service = "service",
        /// Somebody signed in to the medical system.
        SignIn = "sign_in",
    }
}

codes! {
    /// What a review of something done without the card found.
    IrregularVerdict {
        /// It was in order.
        Regular = "regular",
        /// It was not as it should be, without harm intended: to be talked about.
        Irregular = "irregular",
        /// The possibility was misused.
        Misuse = "misuse",
    }
}

/// What a clinic has decided about visits. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// A patient may come so much earlier than the appointment begins. Default: 60 minutes.
    pub early_ms: i64,
    /// And so much later than it begins. Default: 60 minutes.
    pub late_ms: i64,
    /// When no appointment fits. Default: start and ask.
    pub on_none: Unclear,
    /// When several fit. Default: wait.
    pub on_several: Unclear,
    /// When the one that fits is of another room or specialist. Default: wait.
    pub on_wrong: Unclear,
    /// A second tap of the running visit's patient ends it, if it comes so long after the start; `None`: never, which
    /// is the default, so that a card touched by chance ends nothing.
    pub tap_out_ms: Option<i64>,
    /// After a binding ended the visit still runs for so long and goes on if the same specialist is back at this
    /// workstation by then; otherwise it ended when the binding did. Default: 5 minutes.
    pub return_ms: i64,
    /// A visit that is longer is ended by the rule, as if it had been so long. Default: 4 hours.
    pub longest_ms: i64,
    /// A question that nobody answers is dropped after so long. Default: 30 minutes.
    pub question_ms: i64,
    /// Whether ending a visit by hand, without a tap of the patient's card, needs a reason. Default: no.
    pub end_needs_card: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            early_ms: 60 * MINUTE_MS,
            late_ms: 60 * MINUTE_MS,
            on_none: Unclear::Start,
            on_several: Unclear::Wait,
            on_wrong: Unclear::Wait,
            tap_out_ms: None,
            return_ms: 5 * MINUTE_MS,
            longest_ms: 240 * MINUTE_MS,
            question_ms: 30 * MINUTE_MS,
            end_needs_card: false,
        }
    }
}

impl Rules {
    /// What makes no sense in these rules, in words; `None` if nothing.
    pub fn problem(&self) -> Option<&'static str> {
        let times = [self.early_ms, self.late_ms, self.return_ms, self.longest_ms, self.question_ms];
        if times.iter().any(|ms| *ms < 0) || self.tap_out_ms.is_some_and(|ms| ms < 0) {
            return Some("a time of the rules of visits is negative");
        }
        if self.early_ms > LONGEST_MAX_MS || self.late_ms > LONGEST_MAX_MS {
            return Some("a patient comes at most 24 hours early or late");
        }
        if self.return_ms > RETURN_MAX_MS {
            return Some("a specialist comes back to a visit within an hour at most");
        }
        if !(MINUTE_MS..=LONGEST_MAX_MS).contains(&self.longest_ms) {
            return Some("the longest visit is of 1 minute to 24 hours");
        }
        None
    }
}

/// The end of a visit that began at `started`, when `at` is what a clock said: never before the start. The second value
/// is by how much a clock had gone back, if it had.
pub fn end_of(started: UtcMillis, at: UtcMillis) -> (UtcMillis, i64) {
    (at.max(started), started.since_ms(at).max(0))
}

/// A specialist's own record is not a patient's at their own desk.
pub fn may_be_seen_by(patient: PersonId, staff: PersonId) -> bool {
    patient != staff
}
