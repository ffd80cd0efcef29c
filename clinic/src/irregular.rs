//! What is done without the card: a visit started, worked on or ended, and a sign-in to the medical system. It works at
//! once, with a reason by code and in words, for one patient and a while, by somebody who has just shown who they are;
//! and it is looked at afterwards by somebody else.
//!
//! Owns the table `irregular`. The words stand in the entry of the audit log only, from where an erasure can blot them
//! out. Nobody reviews their own. May import `domain`, `store`, `visits`, the audit log, notices and the feed of changes.

mod act;
mod review;
mod rows;
mod sign_in;
mod tick;

use domain::visit::{IrregularVerdict, OutOfCardCode, OutOfCardKind};
use domain::{Clock, Denied, PersonId, PointId, UtcMillis, ZoneId};
use store::{Database, Error};
use thiserror::Error as ThisError;

use crate::visits::Visit;

pub use act::NewOutOfCard;
pub(crate) use act::{began, entry_of};
pub use review::{Counts, Filter, LIST_MAX, Position, Queue, Rate};
pub(crate) use rows::IrregularOn;
pub use sign_in::SignIn;
pub use tick::Ticked;

const MINUTE_MS: i64 = 60_000;

/// What a clinic has decided about work without the card. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Who does something without the card tapped or gave the PIN not longer ago than this. Default: 5 minutes.
    pub fresh_ms: i64,
    /// It counts for so long; a visit that then still runs ends. Default: 60 minutes.
    pub scope_ms: i64,
    /// It is to be reviewed within this time, or reviewers are told. Default: 72 hours.
    pub review_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { fresh_ms: 5 * MINUTE_MS, scope_ms: 60 * MINUTE_MS, review_ms: 72 * 60 * MINUTE_MS }
    }
}

/// Something that was done without the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its id.
    pub id: String,
    /// What.
    pub kind: OutOfCardKind,
    /// Why.
    pub code: OutOfCardCode,
    /// By whom; `None`: a sign-in of somebody who is not known here.
    pub staff: Option<PersonId>,
    /// For which patient.
    pub patient: Option<PersonId>,
    /// For which visit.
    pub visit: Option<String>,
    /// At which workstation.
    pub workstation: Option<PointId>,
    /// In which zone.
    pub zone: Option<ZoneId>,
    /// In which binding.
    pub session: Option<String>,
    /// The system that reported a sign-in.
    pub source: Option<String>,
    /// The entry of the audit log that holds the words.
    pub entry: u64,
    /// When.
    pub at: UtcMillis,
    /// Until when it counts; `None`: at once over.
    pub expires: Option<UtcMillis>,
    /// When it was over.
    pub ended: Option<UtcMillis>,
    /// By when it is to be reviewed.
    pub due: UtcMillis,
    /// The review.
    pub review: Option<Review>,
}

impl Case {
    /// Whether it waits for a review longer than it may.
    pub fn is_overdue(&self, now: UtcMillis) -> bool {
        self.review.is_none() && now > self.due
    }
}

/// What a review found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// When.
    pub at: UtcMillis,
    /// By whom: an account's id, or what else acted.
    pub by: String,
    /// What was found.
    pub verdict: IrregularVerdict,
    /// The entry of the audit log that holds the comment.
    pub entry: u64,
}

/// Why nothing was done.
#[derive(Debug, ThisError)]
pub enum IrregularError {
    /// No right.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No such case, visit or person, or it is over.
    #[error("there is no such case, visit or person, or it is over")]
    NotFound,
    /// It is another specialist's.
    #[error("this is another specialist's")]
    NotYours,
    /// The workstation is locked, or somebody else is bound to it.
    #[error("the workstation is locked or somebody else works there now; tap your card")]
    NotBound,
    /// The last tap or PIN is too long ago.
    #[error("tap your card or enter your PIN first: work without a patient's card needs a fresh confirmation")]
    NotFresh,
    /// The words are too short or too long.
    #[error("this needs a reason of 10 to 500 characters")]
    BadReason,
    /// The appointment is not open or not this patient's.
    #[error("this appointment is not open, or not this patient's")]
    BadAppointment,
    /// Nobody reviews their own.
    #[error("nobody reviews what they did themselves")]
    Own,
    /// It was reviewed already.
    #[error("it was reviewed already")]
    Reviewed,
    /// The name of the system or its id is empty, too long or has other characters than a name may have.
    #[error("{0} must have 1 to 200 characters without control characters")]
    BadName(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Work without the card, for pages and other systems. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Irregular {
    database: Database,
    clock: Clock,
    settings: Settings,
}

impl Irregular {
    /// Over a database, with what the clinic has decided.
    pub const fn new(database: Database, clock: Clock, settings: Settings) -> Self {
        Self { database, clock, settings }
    }

    /// What the clinic has decided.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// A case with its words, for who reviews it.
#[derive(Clone)]
pub struct Told {
    /// The case.
    pub case: Case,
    /// What was typed as the reason; `None`: it was blotted out.
    pub words: Option<String>,
    /// What the reviewer typed.
    pub comment: Option<String>,
    /// The visit, where there is one.
    pub visit: Option<Visit>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").field("case", &self.case).finish_non_exhaustive()
    }
}
