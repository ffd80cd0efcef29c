//! What a feed can tell, one type for each kind. Ids, names, cards and logins print nothing of themselves.

use std::fmt;

use domain::card::CardNumber;
use domain::policy::PassKind;
use domain::vault::{PassportChange, Secret};
use domain::{CategoryId, ConditionId, PointId, Shipped, Spoken, UtcMillis, ZoneId, codes};

use super::FeedError;
use crate::people::Reference;

/// Most cards, aliases or zones of one record.
pub const LIST_MAX: usize = 32;

codes! {
    /// What a feed tells of.
    FeedKind {
        /// Employees.
        Staff = "staff",
        /// Patients.
        Patients = "patients",
        /// Rooms and desks.
        Workplaces = "workplaces",
        /// Appointments.
        Appointments = "appointments",
        /// What visits are for, and where that is done.
        Purposes = "purposes",
        /// Whether a person's contract, training and the like hold.
        Conditions = "conditions",
        /// Orders about a person.
        Messages = "messages",
    }
}

/// A configured system that tells us something. Also the `system` of its ids among a person's aliases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(String);

impl Source {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
    ///
    /// # Errors
    /// [`FeedError::Source`].
    pub fn new(name: &str) -> Result<Self, FeedError> {
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(sound) {
            return Err(FeedError::Source(name.chars().take(64).collect()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a system calls a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alias {
    /// Which system; `None`: the one that tells.
    pub system: Option<String>,
    /// Its id of the person.
    pub value: Reference,
}

impl Alias {
    /// The source's own id.
    pub const fn own(value: Reference) -> Self {
        Self { system: None, value }
    }
}

/// A card of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRecord {
    /// Its number.
    pub number: CardNumber,
    /// `None`: `staff` for staff, `patient` for patients.
    pub kind: Option<PassKind>,
    /// First instant at which it is valid; `None`: the record's, if it has one.
    pub from: Option<UtcMillis>,
    /// First instant at which it is no longer valid; `None`: the record's, if it has one.
    pub until: Option<UtcMillis>,
}

/// An employee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffRecord {
    /// The source's id of the person.
    pub id: Reference,
    /// When the source changed it: an older record than the one known changes nothing. `None`: the order of arrival.
    pub changed: Option<UtcMillis>,
    /// What other systems call the person.
    pub aliases: Vec<Alias>,
    /// For the vault.
    pub passport: Option<PassportChange>,
    /// What they may do at a desk; `None`: they do not work at desks.
    pub role: Option<Shipped>,
    /// Their user in the medical system.
    pub login: Option<Secret>,
    /// Their practitioner's id in the medical system.
    pub practitioner: Option<Reference>,
    /// A code of their specialty.
    pub specialty: Option<String>,
    /// The category that rules go by; `None`: the configured one.
    pub category: Option<CategoryId>,
    /// All cards; those that this source brought before and does not list are withdrawn. `None`: says nothing.
    pub cards: Option<Vec<CardRecord>>,
    /// The first instant of the employment.
    pub from: Option<UtcMillis>,
    /// The first instant after it.
    pub until: Option<UtcMillis>,
    /// Whether the source counts them as active; otherwise they have left, at `until` or else now.
    pub active: bool,
}

impl StaffRecord {
    /// An active employee of whom nothing else is told; fill in the rest by struct update.
    pub const fn new(id: Reference) -> Self {
        Self {
            id,
            changed: None,
            aliases: Vec::new(),
            passport: None,
            role: None,
            login: None,
            practitioner: None,
            specialty: None,
            category: None,
            cards: None,
            from: None,
            until: None,
            active: true,
        }
    }
}

/// A patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientRecord {
    /// The source's id of the person.
    pub id: Reference,
    /// As [`StaffRecord::changed`].
    pub changed: Option<UtcMillis>,
    /// What other systems call the person.
    pub aliases: Vec<Alias>,
    /// For the vault.
    pub passport: Option<PassportChange>,
    /// The language they are spoken to in; `None`: says nothing, `Some(None)`: it is not known any more.
    pub language: Option<Option<Spoken>>,
    /// The category that rules go by; `None`: the configured one.
    pub category: Option<CategoryId>,
    /// As [`StaffRecord::cards`].
    pub cards: Option<Vec<CardRecord>>,
    /// From when their cards work.
    pub from: Option<UtcMillis>,
    /// Until when, see [`super::PatientPasses`].
    pub until: Option<UtcMillis>,
    /// Whether the source counts the record as in use; otherwise its cards end.
    pub active: bool,
}

impl PatientRecord {
    /// A patient of whom nothing else is told; fill in the rest by struct update.
    pub const fn new(id: Reference) -> Self {
        Self {
            id,
            changed: None,
            aliases: Vec::new(),
            passport: None,
            language: None,
            category: None,
            cards: None,
            from: None,
            until: None,
            active: true,
        }
    }
}

/// A room or desk of the medical system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkplaceRecord {
    /// The source's id.
    pub id: Reference,
    /// As [`StaffRecord::changed`].
    pub changed: Option<UtcMillis>,
    /// What people call it, at most 64 characters.
    pub name: String,
    /// Our zone; `None`: what is known stays, or a person says it on the page of feeds.
    pub zone: Option<ZoneId>,
    /// Our workstation that stands there.
    pub point: Option<PointId>,
    /// The specialists who work there. `None`: says nothing.
    pub staff: Option<Vec<Alias>>,
    /// Whether it is in use.
    pub active: bool,
}

/// Where an appointment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// One of our zones.
    Zone(ZoneId),
    /// A workplace by the source's id.
    Workplace(Reference),
}

codes! {
    /// How it stands with an appointment.
    AppointmentState {
        /// It is to take place.
        Booked = "booked",
        /// The patient is there.
        Arrived = "arrived",
        /// It took place.
        Fulfilled = "fulfilled",
        /// It was called off, or never was.
        Cancelled = "cancelled",
        /// The patient did not come.
        NoShow = "no_show",
    }
}

/// An appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppointmentRecord {
    /// The source's id.
    pub id: Reference,
    /// As [`StaffRecord::changed`].
    pub changed: Option<UtcMillis>,
    /// The patient.
    pub patient: Alias,
    /// The specialist.
    pub staff: Option<Alias>,
    /// Where.
    pub place: Option<Place>,
    /// A code of the purpose.
    pub purpose: Option<Reference>,
    /// When it begins.
    pub starts: UtcMillis,
    /// When it ends; `None`: after the minutes planned for its purpose, or 30.
    pub ends: Option<UtcMillis>,
    /// How it stands.
    pub state: AppointmentState,
}

/// What visits can be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeRecord {
    /// The source's code.
    pub id: Reference,
    /// As [`StaffRecord::changed`].
    pub changed: Option<UtcMillis>,
    /// What people call it, at most 128 characters.
    pub name: String,
    /// The zones that a patient with this purpose may enter; `None`: what is known stays.
    pub zones: Option<Vec<ZoneId>>,
    /// Minutes planned for a visit.
    pub minutes: Option<u32>,
    /// Whether it is in use.
    pub active: bool,
}

/// Whether something holds for a person: a contract, an insurance, a training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionRecord {
    /// Who.
    pub person: Alias,
    /// What.
    pub condition: ConditionId,
    /// As [`StaffRecord::changed`].
    pub changed: Option<UtcMillis>,
    /// Whether it holds.
    pub holds: bool,
    /// From when.
    pub from: Option<UtcMillis>,
    /// Until when.
    pub until: Option<UtcMillis>,
}

codes! {
    /// What a control message asks for.
    Order {
        /// The person's passes are blocked.
        Block = "block",
        /// Passes that were blocked work again. Lost and withdrawn ones do not.
        Unblock = "unblock",
        /// The person's passes are withdrawn.
        Withdraw = "withdraw",
        /// The employee has left.
        EndStaff = "end_staff",
    }
}

/// An order about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// The source's id of the message: told again it has no second effect.
    pub id: Reference,
    /// When it was given: one that is older than the last one about the same person changes nothing.
    pub at: UtcMillis,
    /// About whom.
    pub person: Alias,
    /// What to do.
    pub order: Order,
    /// Why, in the source's words, for the audit log. At most 300 characters.
    pub note: Option<Secret>,
}

/// Records of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// Employees.
    Staff(Vec<StaffRecord>),
    /// Patients.
    Patients(Vec<PatientRecord>),
    /// Rooms and desks.
    Workplaces(Vec<WorkplaceRecord>),
    /// Appointments.
    Appointments(Vec<AppointmentRecord>),
    /// Purposes of visits.
    Purposes(Vec<PurposeRecord>),
    /// Conditions.
    Conditions(Vec<ConditionRecord>),
    /// Control messages.
    Messages(Vec<ControlRecord>),
}

impl Records {
    /// Of which kind.
    pub const fn kind(&self) -> FeedKind {
        match self {
            Self::Staff(_) => FeedKind::Staff,
            Self::Patients(_) => FeedKind::Patients,
            Self::Workplaces(_) => FeedKind::Workplaces,
            Self::Appointments(_) => FeedKind::Appointments,
            Self::Purposes(_) => FeedKind::Purposes,
            Self::Conditions(_) => FeedKind::Conditions,
            Self::Messages(_) => FeedKind::Messages,
        }
    }

    /// How many.
    pub const fn len(&self) -> usize {
        match self {
            Self::Staff(all) => all.len(),
            Self::Patients(all) => all.len(),
            Self::Workplaces(all) => all.len(),
            Self::Appointments(all) => all.len(),
            Self::Purposes(all) => all.len(),
            Self::Conditions(all) => all.len(),
            Self::Messages(all) => all.len(),
        }
    }

    /// The ids under which they are remembered.
    pub(super) fn ids(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let text = |id: &Reference| id.reveal().to_owned();
        match self {
            Self::Staff(all) => Box::new(all.iter().map(move |it| text(&it.id))),
            Self::Patients(all) => Box::new(all.iter().map(move |it| text(&it.id))),
            Self::Workplaces(all) => Box::new(all.iter().map(move |it| text(&it.id))),
            Self::Appointments(all) => Box::new(all.iter().map(move |it| text(&it.id))),
            Self::Purposes(all) => Box::new(all.iter().map(move |it| text(&it.id))),
            Self::Messages(all) => Box::new(all.iter().map(move |it| text(&it.id))),
            Self::Conditions(_) => Box::new(std::iter::empty()),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
