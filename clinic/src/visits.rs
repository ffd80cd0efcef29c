//! Visits: a patient with a specialist in a room, from the tap of the patient's card to the end. Rules are
//! `domain::visit`'s; here they become rows, entries of the audit log and changes, in one transaction.
//!
//! Owns the tables `visit` and `visit_question`. The desk hands over taps inside its own transaction
//! ([`take_patient_tap`], [`session_bound`], [`session_ended`]); what a specialist does on the page are commands of
//! [`Visits`]. Times are those of the tap at the reader. Never guesses an appointment. May import `domain`, `store`,
//! the audit log, the feed of changes and `appointments`.

mod act;
mod answer;
mod list;
mod read;
mod rows;
mod tap;
mod tick;

use domain::policy::PassKind;
use domain::visit::{BeganBy, Question, Refusal, Rules, VisitEnd};
use domain::{Clock, Denied, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, Error, Fault};
use thiserror::Error as ThisError;

pub use answer::Answer;
pub use list::{Filter, LIST_MAX, Page, Position};
pub use read::{Asked, of, running_at, running_of};
pub use tick::Ticked;

pub(crate) use act::{How, Words as StartWords, elsewhere, end, start, why_next};
pub(crate) use rows::{VisitRow, VisitsOn, select_visit};
pub(crate) use tap::{session_bound, session_ended, take_patient_tap};

/// A patient's card at a workstation's reader, as the desk found it: the pass is valid now, its holder is no staff
/// member here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientTap {
    /// At which workstation.
    pub workstation: PointId,
    /// The zone in which it stands.
    pub zone: ZoneId,
    /// Who is bound there, as of this transaction.
    pub bound: Option<domain::visit::Bound>,
    /// Whose card it is, as the pass says. Merged records are followed here.
    pub patient: PersonId,
    /// What kind of pass it is.
    pub pass: PassKind,
    /// When it was held to the reader.
    pub at: UtcMillis,
    /// Now.
    pub now: UtcMillis,
    /// The id that a visit gets if one starts: [`new_id`], drawn before the transaction.
    pub new_id: String,
}

/// What came of a patient's tap. Changes and entries of the audit log are written already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitOutcome {
    /// A visit started.
    Started(String),
    /// The visit that runs goes on; the chart is shown again.
    Confirmed(String),
    /// The visit that ran here was ended by this tap.
    Ended(String),
    /// A person must decide first; the id of the question.
    Asked(String),
    /// Nothing was done.
    Refused(Refusal),
}

/// A binding that began, or became usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBound {
    /// At which workstation.
    pub workstation: PointId,
    /// The binding.
    pub session: String,
    /// The specialist.
    pub staff: PersonId,
    /// When they tapped.
    pub at: UtcMillis,
    /// Now.
    pub now: UtcMillis,
}

/// A binding that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// At which workstation.
    pub workstation: PointId,
    /// The binding.
    pub session: String,
    /// When it ended.
    pub at: UtcMillis,
    /// Now.
    pub now: UtcMillis,
    /// Whether the specialist may come back to the same visit ([`Rules::return_ms`]): not when they ended their work,
    /// when another one took the workstation, or when their card was blocked.
    pub may_return: bool,
}

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// A UUID; also that of the encounter in the medical system.
    pub id: String,
    /// 1, 2, 3 … for people.
    pub no: u64,
    /// Whose.
    pub patient: PersonId,
    /// With whom.
    pub staff: PersonId,
    /// At which workstation.
    pub workstation: PointId,
    /// In which zone.
    pub zone: ZoneId,
    /// In which binding.
    pub session: String,
    /// The appointment that it took.
    pub appointment: Option<String>,
    /// How it began.
    pub began_by: BeganBy,
    /// When: the tap at the reader.
    pub started: UtcMillis,
    /// When it ended and why.
    pub ended: Option<(UtcMillis, VisitEnd)>,
    /// Since when the specialist is away from the desk; it ends then unless they come back.
    pub suspended: Option<UtcMillis>,
}

impl Visit {
    /// Milliseconds that it lasted, or has lasted until `now`.
    pub fn lasted_ms(&self, now: UtcMillis) -> i64 {
        self.ended.map_or(now, |(at, _)| at).since_ms(self.started).max(0)
    }

    /// Whether it was taken back.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.ended, Some((_, VisitEnd::Cancelled)))
    }
}

/// What a specialist must decide at a workstation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuestion {
    /// Its id, which the answer names.
    pub id: String,
    /// At which workstation.
    pub workstation: PointId,
    /// In which binding.
    pub session: String,
    /// Who is asked.
    pub staff: PersonId,
    /// About whom.
    pub patient: PersonId,
    /// In which zone.
    pub zone: ZoneId,
    /// What.
    pub why: Question,
    /// The visit that started already, where only the appointment is asked for.
    pub visit: Option<String>,
    /// When the card was held to the reader: the visit starts then.
    pub tapped: UtcMillis,
}

/// Why nothing was done.
#[derive(Debug, ThisError)]
pub enum VisitError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such visit or question, or it is over.
    #[error("there is no such visit or question, or it is over")]
    NotFound,
    /// It is another specialist's.
    #[error("this is another specialist's")]
    NotYours,
    /// The workstation is locked, or another one is bound to it now.
    #[error("the workstation is locked or somebody else works there now; tap your card")]
    NotBound,
    /// It needs words.
    #[error("this needs a reason of 10 to 500 characters")]
    ReasonWanted,
    /// Ending without the card needs a reason by code.
    #[error("hold the patient's card to the reader, or end it without the card and say why")]
    CardWanted,
    /// The appointment is not this patient's, or was taken or called off.
    #[error("this appointment is not open, or not this patient's")]
    BadAppointment,
    /// The patient's visit runs elsewhere and began later.
    #[error("the patient was seen elsewhere meanwhile")]
    Overtaken,
    /// Services of it are registered: what was rendered was rendered in a visit.
    #[error("services are registered in this visit; take them back first")]
    HasServices,
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Visits, for pages and other systems. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Visits {
    database: Database,
    clock: Clock,
    rules: Rules,
}

impl Visits {
    /// Over a database, with what the clinic has decided.
    pub const fn new(database: Database, clock: Clock, rules: Rules) -> Self {
        Self { database, clock, rules }
    }

    /// What the clinic has decided.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }
}

/// A new id of a visit: a UUID of version 4.
///
/// # Errors
/// [`Fault::Io`] when the operating system gives no random bytes.
pub fn new_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::new("drawing an id", Fault::Io))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string())
}
