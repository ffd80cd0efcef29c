//! The policy: what the clinic has decided about who may go where and when, as plain data ([`PolicySource`]) and as
//! the compact, immutable snapshot that decisions are made from ([`Policy`]).
//!
//! Owns the rules' meaning and the credential table. Never decides (see [`crate::decide`]), never changes after it
//! is compiled. May import `ids`, `time`, `zone`, `schedule`, `pin`.
//!
//! # Which rule counts
//! At a point the rules looked at are those that name its `to` zone or a zone around it, and the holder's category
//! (or no category), the pass kind (or no kind) and the direction (or no direction). In the direction `out` it is
//! still the zone `to` that counts: a rule speaks of going into a zone and coming out of it.
//! 1. A deny rule that is in force now refuses: `denied_by_rule`.
//! 2. Otherwise an allow rule that is in force now allows.
//! 3. Otherwise, if an allow rule exists that is not in force now (its schedule or period): `outside_hours`.
//! 4. Otherwise `no_rule`.
//!
//! Deny beats allow wherever it stands; order and nesting do not matter. If a layout has no rule at all, and
//! [`Layout::allow_all_if_no_rules`] is set, every valid pass may go everywhere: a clinic starts with the doors that
//! it had, and restricts from there.
//!
//! # What zones ask besides
//! A zone may ask of those who enter it that a visit leads them there now, or that a condition holds ([`Demand`]). What is
//! known of persons to answer that comes with the policy ([`Grant`]), so that it is decided without asking anybody.

mod compile;
mod demands;
mod rules;
mod table;

pub(crate) use compile::PointEntry;
pub use compile::{Policy, PolicyBuilder, PolicyError};
pub(crate) use demands::Unmet;
pub use rules::RuleOutcome;
pub use table::Pass;

use crate::card::SealedNumber;
use crate::codes;
use crate::ids::{CardId, CategoryId, ConditionId, Direction, PersonId, PointId, ScheduleId, ZoneId};
use crate::pin::PinHash;
use crate::schedule::{LocalDate, Schedule};
use crate::time::UtcMillis;
use crate::zone::Zone;

/// Most categories of one layout.
pub const CATEGORIES_MAX: usize = 1024;
/// Most rules of one layout.
pub const RULES_MAX: usize = 8192;
/// Most points of one layout.
pub const POINTS_MAX: usize = 8192;
/// Most categories times zones: bounds the rule table.
pub const RULE_CELLS_MAX: usize = 1 << 19;
/// Most credentials of one policy.
pub const CREDENTIALS_MAX: usize = 10_000_000;
/// Longest name of a rule, in bytes.
pub const RULE_NAME_MAX_BYTES: usize = 128;
/// Most demands of one layout.
pub const DEMANDS_MAX: usize = 4096;
/// Most conditions that the demands of one layout name.
pub const CONDITIONS_MAX: usize = 256;
/// Most grants of one policy: 40 MB of memory.
pub const GRANTS_MAX: usize = 1_000_000;

/// Everything a policy is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// Zones, points, schedules, rules.
    pub layout: Layout,
    /// One for each card.
    pub credentials: Vec<Credential>,
    /// What is known of persons that zones ask about.
    pub grants: Vec<Grant>,
}

/// A policy without its credentials: small, and readable by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Rises with every change of layout or credentials.
    pub version: u64,
    /// When it was put together. Its schedules are fastest from two days before to a year after.
    pub built_at: UtcMillis,
    /// IANA name, for example `Europe/Kyiv`.
    pub time_zone: String,
    /// The tree.
    pub zones: Vec<Zone>,
    /// Categories; credentials name them by their position here.
    pub categories: Vec<CategoryId>,
    /// Weekly schedules.
    pub schedules: Vec<Schedule>,
    /// Days on which [`Schedule::on_holiday`] counts.
    pub holidays: Vec<LocalDate>,
    /// Who may go where.
    pub rules: Vec<Rule>,
    /// Access points.
    pub points: Vec<Point>,
    /// What zones ask besides the rules.
    pub demands: Vec<Demand>,
    /// With no rule at all, allow every valid pass everywhere instead of refusing all with `no_rule`.
    pub allow_all_if_no_rules: bool,
}

impl Layout {
    /// A layout with nothing in it, in UTC.
    pub fn empty() -> Self {
        Self {
            version: 0,
            built_at: UtcMillis(0),
            time_zone: "UTC".to_owned(),
            zones: Vec::new(),
            categories: Vec::new(),
            schedules: Vec::new(),
            holidays: Vec::new(),
            rules: Vec::new(),
            points: Vec::new(),
            demands: Vec::new(),
            allow_all_if_no_rules: true,
        }
    }

    /// The conditions that demands name, in their order; grants name them by their position here.
    pub fn conditions(&self) -> Vec<ConditionId> {
        let mut named: Vec<ConditionId> =
            self.demands.iter().filter_map(|demand| demand.condition().cloned()).collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// Adds the zones that are mentioned (`inside`, `from`, `to`) but not declared, so that a short configuration
    /// needs to list only zones with demands. If no zone is outside the territory then, those become outside that
    /// some point leads from and none leads to, and that neither hold nor lie in another zone: the street.
    pub fn complete_zones(&mut self) {
        let inside = self.zones.iter().filter_map(|zone| zone.inside.clone());
        let ends = self.points.iter().flat_map(|point| [point.from.clone(), point.to.clone()]);
        for id in inside.chain(ends).collect::<Vec<ZoneId>>() {
            if !self.zones.iter().any(|zone| zone.id == id) {
                self.zones.push(Zone::new(id));
            }
        }
        if self.zones.iter().any(|zone| zone.outside) {
            return;
        }
        let is_street = |zone: &Zone| {
            zone.inside.is_none()
                && !self.zones.iter().any(|other| other.inside.as_ref() == Some(&zone.id))
                && self.points.iter().any(|point| point.from == zone.id)
                && !self.points.iter().any(|point| point.to == zone.id)
        };
        let streets: Vec<bool> = self.zones.iter().map(is_street).collect();
        for (zone, outside) in self.zones.iter_mut().zip(streets) {
            zone.outside = outside;
        }
    }
}

codes! {
    /// What kind of pass a card is.
    PassKind {
        /// A patient's pass for one visit, until the personal card is made.
        PatientTemporary = "patient_temporary",
        /// A patient's personal card.
        Patient = "patient",
        /// An employee's card.
        Staff = "staff",
        /// A one-time visitor's card.
        Visitor = "visitor",
        /// A permanent pass of a servicing organisation's employee.
        Contractor = "contractor",
        /// A vehicle's card or plate.
        Vehicle = "vehicle",
    }
}

impl PassKind {
    /// Whether a pass of this kind opens one entry only, unless the credential says otherwise.
    pub const fn is_one_time_by_default(self) -> bool {
        matches!(self, Self::PatientTemporary | Self::Visitor)
    }
}

codes! {
    /// Whether a pass works.
    PassState {
        /// It does.
        Active = "active",
        /// Blocked by somebody.
        Blocked = "blocked",
        /// Reported lost.
        Lost = "lost",
        /// Withdrawn, for example because the personal card replaced it.
        Withdrawn = "withdrawn",
    }
}

codes! {
    /// What a point is.
    PointKind {
        /// A turnstile: one person a grant.
        Turnstile = "turnstile",
        /// A door.
        Door = "door",
        /// A barrier for vehicles.
        Barrier = "barrier",
        /// A workstation: nothing opens, nobody moves.
        Workstation = "workstation",
        /// An enrolment desk: nothing opens, nobody moves.
        Enrolment = "enrolment",
    }
}

codes! {
    /// Whether a point refuses what the policy does not allow.
    Mode {
        /// It does.
        Hard = "hard",
        /// It grants, records the reason, and never refuses (SR-024, SR-026).
        Soft = "soft",
    }
}

codes! {
    /// What a point asks for on the way in. On the way out the card is enough: nobody is kept in by a keypad.
    Verify {
        /// The card.
        Card = "card",
        /// The card and its PIN.
        CardPin = "card_pin",
    }
}

codes! {
    /// What a rule does.
    Effect {
        /// Lets pass.
        Allow = "allow",
        /// Refuses, whatever else allows.
        Deny = "deny",
    }
}

/// What a zone asks of those who enter it, besides the rules: on the way in only, of those who come from outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The zone.
    pub zone: ZoneId,
    /// What.
    pub asked: Asked,
    /// Of which passes; empty: of all.
    pub kinds: Vec<PassKind>,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// That a visit leads there now: a [`Granted::Zone`] of this zone, of one inside it or of one around it.
    Purpose,
    /// That this condition holds now.
    Condition(ConditionId),
}

impl Demand {
    /// Patients need a visit that leads there.
    pub fn purpose(zone: ZoneId) -> Self {
        Self { zone, asked: Asked::Purpose, kinds: vec![PassKind::Patient, PassKind::PatientTemporary] }
    }

    /// The condition, if one is asked.
    pub const fn condition(&self) -> Option<&ConditionId> {
        match &self.asked {
            Asked::Purpose => None,
            Asked::Condition(condition) => Some(condition),
        }
    }
}

/// Something known of a person that a zone may ask about, and when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Who.
    pub person: PersonId,
    /// What.
    pub of: Granted,
    /// The first instant.
    pub from: UtcMillis,
    /// The first instant after it.
    pub until: UtcMillis,
}

/// What is known of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granted {
    /// A visit leads into the zone at this position in [`Layout::zones`].
    Zone(u16),
    /// The condition at this position in [`Layout::conditions`] holds.
    Condition(u16),
}

const fn kind_bit(kind: PassKind) -> u8 {
    1 << kind as u8
}

/// One card. Small and plain, so that a million of them can be streamed into a [`PolicyBuilder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// The card.
    pub card: CardId,
    /// Its holder.
    pub person: PersonId,
    /// Position in [`Layout::categories`].
    pub category: u16,
    /// What kind of pass it is.
    pub kind: PassKind,
    /// Whether it works.
    pub state: PassState,
    /// Whether it opens one entry and the exit that belongs to it, and nothing more.
    pub one_time: bool,
    /// First instant at which it is valid.
    pub valid_from: Option<UtcMillis>,
    /// First instant at which it is no longer valid.
    pub valid_until: Option<UtcMillis>,
    /// The PIN, where the card has one.
    pub pin: Option<PinHash>,
    /// The PIN that says "I am being forced". Other than `pin`.
    pub duress_pin: Option<PinHash>,
    /// The card's number, sealed: only where some device must be told it.
    pub number: Option<SealedNumber>,
}

/// One rule as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What people call it; shown by `explain`.
    pub name: String,
    /// Allow or deny.
    pub effect: Effect,
    /// Whom it concerns; empty: everybody.
    pub categories: Vec<CategoryId>,
    /// Which passes it concerns; empty: all.
    pub kinds: Vec<PassKind>,
    /// Which zone, with all zones inside it; `None`: all zones.
    pub zone: Option<ZoneId>,
    /// Which way; `None`: both.
    pub direction: Option<Direction>,
    /// When in the week; `None`: always.
    pub schedule: Option<ScheduleId>,
    /// First instant at which it is in force.
    pub valid_from: Option<UtcMillis>,
    /// First instant at which it is no longer in force.
    pub valid_until: Option<UtcMillis>,
}

impl Rule {
    /// A rule for everybody, everywhere, always; narrow it by struct update.
    pub fn new(name: &str, effect: Effect) -> Self {
        Self {
            name: name.to_owned(),
            effect,
            categories: Vec::new(),
            kinds: Vec::new(),
            zone: None,
            direction: None,
            schedule: None,
            valid_from: None,
            valid_until: None,
        }
    }
}

/// One access point, as far as decisions go; its wiring is the gateway's (see [`crate::door`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its name.
    pub id: PointId,
    /// What it is.
    pub kind: PointKind,
    /// The zone before it.
    pub from: ZoneId,
    /// The zone behind it.
    pub to: ZoneId,
    /// Hard or soft.
    pub mode: Mode,
    /// What it asks for on the way in.
    pub verify: Verify,
    /// The same pass is refused (hard) or noted (soft) within this time after it was granted here in the same
    /// direction; `None`: at once.
    pub reuse_ms: Option<u32>,
}

impl Point {
    /// A hard point that asks for the card; fill in the rest by struct update.
    pub const fn new(id: PointId, kind: PointKind, from: ZoneId, to: ZoneId) -> Self {
        Self { id, kind, from, to, mode: Mode::Hard, verify: Verify::Card, reuse_ms: None }
    }
}

/// Longest [`Point::reuse_ms`]: a day. Bounds how long a use must be remembered.
pub const REUSE_MAX_MS: u32 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests;
