//! From plain data to the snapshot. Every error names the item that has to be changed.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use thiserror::Error;

use super::demands::{Demands, Unmet};
use super::rules::{RuleOutcome, Rules};
use super::table::{Pass, Pins, Table};
use super::{
    CATEGORIES_MAX, CONDITIONS_MAX, CREDENTIALS_MAX, Credential, DEMANDS_MAX, GRANTS_MAX, Grant, Layout, Mode,
    POINTS_MAX, PassKind, PassState, PolicySource, REUSE_MAX_MS, RULE_NAME_MAX_BYTES, RULES_MAX, Verify,
};
use crate::card::SealedNumber;
use crate::ids::{CardId, CategoryId, ConditionId, Direction, PointId, ScheduleId, ZoneId};
use crate::keyed::Keyed;
use crate::schedule::{Calendar, ScheduleError};
use crate::time::UtcMillis;
use crate::zone::{ZoneError, ZoneNo, ZoneTree};

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The zones make no tree.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// A schedule or the time zone.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// More than [`CATEGORIES_MAX`].
    #[error("there are {0} categories, at most {CATEGORIES_MAX} are possible")]
    TooManyCategories(usize),
    /// Two of one name.
    #[error("category \"{0}\" is declared twice")]
    CategoryTwice(CategoryId),
    /// More than [`RULES_MAX`].
    #[error("there are {0} rules, at most {RULES_MAX} are possible")]
    TooManyRules(usize),
    /// Categories times zones, or what the rules come to, is too much.
    #[error("the rules name too many zones and categories together; let rules name a zone around others instead")]
    RuleTableTooLarge,
    /// Longer than [`RULE_NAME_MAX_BYTES`].
    #[error("the name of the rule \"{0}…\" is longer than {RULE_NAME_MAX_BYTES} bytes")]
    RuleName(String),
    /// A rule names no zone.
    #[error("rule \"{rule}\" names the zone \"{zone}\", which does not exist")]
    RuleZone {
        /// The rule.
        rule: String,
        /// The name that is missing.
        zone: ZoneId,
    },
    /// A rule names no category.
    #[error("rule \"{rule}\" names the category \"{category}\", which does not exist")]
    RuleCategory {
        /// The rule.
        rule: String,
        /// The name that is missing.
        category: CategoryId,
    },
    /// A rule names no schedule.
    #[error("rule \"{rule}\" names the schedule \"{schedule}\", which does not exist")]
    RuleSchedule {
        /// The rule.
        rule: String,
        /// The name that is missing.
        schedule: ScheduleId,
    },
    /// A rule ends before it begins.
    #[error("rule \"{0}\" ends before it begins")]
    RulePeriod(String),
    /// More than [`POINTS_MAX`].
    #[error("there are {0} points, at most {POINTS_MAX} are possible")]
    TooManyPoints(usize),
    /// Two of one name.
    #[error("point \"{0}\" is declared twice")]
    PointTwice(PointId),
    /// A point leads to no zone.
    #[error("point \"{point}\" names the zone \"{zone}\", which does not exist")]
    PointZone {
        /// The point.
        point: PointId,
        /// The name that is missing.
        zone: ZoneId,
    },
    /// More than [`REUSE_MAX_MS`].
    #[error("point \"{0}\" asks for more than a day between two uses")]
    PointReuse(PointId),
    /// More than [`CREDENTIALS_MAX`].
    #[error("there are more than {CREDENTIALS_MAX} cards")]
    TooManyCredentials,
    /// A card that is there already.
    #[error("card {0} is listed twice")]
    CardTwice(CardId),
    /// A category position that does not exist.
    #[error("card {card} is of category number {category}, but there are {categories} categories")]
    CardCategory {
        /// The card.
        card: CardId,
        /// What it says.
        category: u16,
        /// How many there are.
        categories: usize,
    },
    /// The ordinary PIN is the duress PIN too.
    #[error("card {0} has the same PIN for ordinary use and for duress")]
    CardPins(CardId),
    /// More than [`DEMANDS_MAX`].
    #[error("zones ask {0} things, at most {DEMANDS_MAX} are possible")]
    TooManyDemands(usize),
    /// More than [`CONDITIONS_MAX`].
    #[error("zones ask for {0} different conditions, at most {CONDITIONS_MAX} are possible")]
    TooManyConditions(usize),
    /// A demand names no zone.
    #[error("something is asked of those who enter the zone \"{0}\", which does not exist")]
    DemandZone(ZoneId),
    /// More than [`GRANTS_MAX`].
    #[error("there are more than {GRANTS_MAX} visits and conditions that zones ask about")]
    TooManyGrants,
    /// A position that does not exist.
    #[error("a visit or condition is of a zone or condition that does not exist")]
    GrantPosition,
}

/// A point, its zones resolved.
#[derive(Debug, Clone)]
pub(crate) struct PointEntry {
    pub(crate) no: u16,
    pub(crate) from: ZoneNo,
    pub(crate) to: ZoneNo,
    pub(crate) mode: Mode,
    pub(crate) verify: Verify,
    pub(crate) reuse_ms: Option<u32>,
}

impl PointEntry {
    /// The zones that a direction leads from and to.
    pub(crate) const fn way(&self, direction: Direction) -> (ZoneNo, ZoneNo) {
        match direction {
            Direction::In => (self.from, self.to),
            Direction::Out => (self.to, self.from),
        }
    }
}

/// The immutable snapshot that decisions are made from. Share it by `Arc`, swap it as a whole.
#[derive(Debug, Clone)]
pub struct Policy {
    layout: Layout,
    zones: Arc<ZoneTree>,
    calendar: Calendar,
    rules: Rules,
    points: HashMap<PointId, PointEntry, Keyed>,
    table: Table,
    demands: Demands,
    shape: u64,
}

impl Policy {
    /// Compiles a whole source. `seed`: random bits, fresh for each snapshot.
    pub fn compile(source: PolicySource, seed: u64) -> Result<Self, PolicyError> {
        let mut builder = PolicyBuilder::new(source.layout, seed, source.credentials.len())?;
        source.credentials.iter().try_for_each(|credential| builder.add(credential))?;
        source.grants.iter().try_for_each(|grant| builder.grant(grant))?;
        Ok(builder.finish())
    }

    /// The source's version.
    pub const fn version(&self) -> u64 {
        self.layout.version
    }

    /// When the source was put together.
    pub const fn built_at(&self) -> UtcMillis {
        self.layout.built_at
    }

    /// What it was compiled from, without the credentials.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The zones.
    pub fn zones(&self) -> &ZoneTree {
        &self.zones
    }

    pub(crate) const fn shared_zones(&self) -> &Arc<ZoneTree> {
        &self.zones
    }

    /// The schedules.
    pub const fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The card's pass.
    #[inline]
    pub fn pass(&self, card: CardId) -> Option<&Pass> {
        self.table.get(card)
    }

    /// The card's number, sealed, where the policy carries it: for devices that have to be told numbers.
    pub fn number(&self, card: CardId) -> Option<SealedNumber> {
        self.table.get(card).and_then(|pass| self.table.number(pass))
    }

    /// Whether any card's number is here: without, no device can be told a card.
    pub const fn has_numbers(&self) -> bool {
        self.table.has_numbers()
    }

    /// Whether the rules let a pass like this through the point at any time from `now` on, in either direction: some
    /// allow rule is or will be in force there, in whatever schedule, and no deny rule. At a soft point: always. An
    /// unknown point: never. Nothing else of the pass counts; see [`Policy::may_pass_offline`].
    pub fn may_ever_pass(&self, pass: &Pass, point: &PointId, now: UtcMillis) -> bool {
        let ways = [Direction::In, Direction::Out];
        ways.into_iter().any(|direction| self.may_ever_go(pass, point, direction, now))
    }

    /// As [`Policy::may_ever_pass`], in one direction. Depends on the pass's category and kind only.
    pub fn may_ever_go(&self, pass: &Pass, point: &PointId, direction: Direction, now: UtcMillis) -> bool {
        let Some(entry) = self.points.get(point) else { return false };
        entry.mode == Mode::Soft || self.rules.may_ever(entry.to, pass.category(), pass.kind(), direction, now)
    }

    /// Whether a device that decides by itself while we are away may let this pass through the point: it works, has not
    /// expired, is no one-time pass (two devices would let it in twice), the point asks for no PIN (a device knows none
    /// of ours), its zones ask for no visit or condition of such a pass (a device knows none either), and
    /// [`Policy::may_ever_pass`]. A pass whose first valid instant is still to come may be told, with it.
    pub fn may_pass_offline(&self, pass: &Pass, point: &PointId, now: UtcMillis) -> bool {
        let asks_pin = self.points.get(point).is_none_or(|entry| entry.verify != Verify::Card);
        let works = pass.state() == PassState::Active && !pass.one_time() && !pass.expired(now);
        let asks_more = self
            .points
            .get(point)
            .is_some_and(|entry| self.demands.concern(&self.zones, pass.kind(), entry.from, entry.to));
        works && !asks_pin && !asks_more && self.may_ever_pass(pass, point, now)
    }

    /// All passes, in no order.
    pub fn passes(&self) -> impl Iterator<Item = &Pass> {
        self.table.iter()
    }

    /// How many cards it knows.
    pub const fn credentials(&self) -> usize {
        self.table.len()
    }

    /// Bytes of memory that the credentials take.
    pub fn credential_bytes(&self) -> usize {
        self.table.memory_bytes()
    }

    #[inline]
    pub(crate) fn point(&self, id: &PointId) -> Option<&PointEntry> {
        self.points.get(id)
    }

    pub(crate) fn pins(&self, pass: &Pass) -> Option<&Pins> {
        self.table.pins(pass)
    }

    #[inline]
    pub(crate) fn ask_rules(
        &self,
        zone: ZoneNo,
        category: u16,
        kind: PassKind,
        direction: Direction,
        now: UtcMillis,
    ) -> RuleOutcome {
        self.rules.ask(&self.calendar, zone, category, kind, direction, now)
    }

    /// What the zones that this point leads into ask of the pass and is not there, if anything is asked at all.
    #[inline]
    pub(crate) fn unmet(&self, pass: &Pass, point: &PointEntry, now: UtcMillis) -> Option<impl Iterator<Item = Unmet>> {
        if self.demands.is_empty() {
            return None;
        }
        Some(self.demands.unmet(&self.zones, pass.person(), pass.kind(), (point.from, point.to), now))
    }

    /// The name of a condition.
    pub(crate) fn condition(&self, position: u16) -> Option<&ConditionId> {
        self.demands.condition(position)
    }

    /// A digest of the zones' and points' names, order and nesting: positions of one policy mean the same in another
    /// of the same shape.
    pub(crate) const fn shape(&self) -> u64 {
        self.shape
    }
}

/// Compiles a policy card by card, so that a source need not be in memory twice.
#[derive(Debug)]
pub struct PolicyBuilder {
    policy: Policy,
}

impl PolicyBuilder {
    /// Checks and compiles the layout, and makes room for `expected` cards (more may come). `seed`: random bits,
    /// fresh for each snapshot.
    pub fn new(layout: Layout, seed: u64, expected: usize) -> Result<Self, PolicyError> {
        if expected > CREDENTIALS_MAX {
            return Err(PolicyError::TooManyCredentials);
        }
        let zones = Arc::new(ZoneTree::new(&layout.zones)?);
        let calendar = Calendar::new(&layout.time_zone, &layout.schedules, &layout.holidays, layout.built_at)?;
        let rules = Rules::new(&layout, &zones, &calendar)?;
        let points = points(&layout, &zones, seed)?;
        let shape = shape(&layout);
        let (table, demands) = (Table::new(seed, expected), Demands::new(&layout, &zones)?);
        Ok(Self { policy: Policy { layout, zones, calendar, rules, points, table, demands, shape } })
    }

    /// Adds a card.
    pub fn add(&mut self, credential: &Credential) -> Result<(), PolicyError> {
        let card = credential.card;
        let categories = self.policy.layout.categories.len();
        if usize::from(credential.category) >= categories {
            return Err(PolicyError::CardCategory { card, category: credential.category, categories });
        }
        if credential.pin.is_some() && credential.pin == credential.duress_pin {
            return Err(PolicyError::CardPins(card));
        }
        if self.policy.table.len() >= CREDENTIALS_MAX {
            return Err(PolicyError::TooManyCredentials);
        }
        if self.policy.table.insert(credential) { Ok(()) } else { Err(PolicyError::CardTwice(card)) }
    }

    /// Adds what is known of a person.
    ///
    /// # Errors
    /// [`PolicyError`] for a position that does not exist, or too many.
    pub fn grant(&mut self, grant: &Grant) -> Result<(), PolicyError> {
        self.policy.demands.grant(grant, &self.policy.zones)
    }

    /// The snapshot.
    pub fn finish(mut self) -> Policy {
        self.policy.demands.finish();
        self.policy
    }
}

fn points(layout: &Layout, zones: &ZoneTree, seed: u64) -> Result<HashMap<PointId, PointEntry, Keyed>, PolicyError> {
    if layout.points.len() > POINTS_MAX {
        return Err(PolicyError::TooManyPoints(layout.points.len()));
    }
    let mut points = HashMap::with_capacity_and_hasher(layout.points.len(), Keyed(seed));
    for (no, point) in (0..).zip(&layout.points) {
        let id = || point.id.clone();
        let zone =
            |zone: &ZoneId| zones.find(zone).ok_or_else(|| PolicyError::PointZone { point: id(), zone: zone.clone() });
        if point.reuse_ms.is_some_and(|ms| ms > REUSE_MAX_MS) {
            return Err(PolicyError::PointReuse(id()));
        }
        let entry = PointEntry {
            no,
            from: zone(&point.from)?,
            to: zone(&point.to)?,
            mode: point.mode,
            verify: point.verify,
            reuse_ms: point.reuse_ms,
        };
        if points.insert(id(), entry).is_some() {
            return Err(PolicyError::PointTwice(id()));
        }
    }
    Ok(points)
}

fn shape(layout: &Layout) -> u64 {
    let mut hasher = Keyed(0).build_hasher();
    let mut name = |text: &str| {
        hasher.write_usize(text.len());
        hasher.write(text.as_bytes());
    };
    for zone in &layout.zones {
        name(zone.id.as_str());
        name(zone.inside.as_ref().map_or("", |inside| inside.as_str()));
        name(if zone.outside { "outside" } else { "" });
    }
    for point in &layout.points {
        name(point.id.as_str());
    }
    hasher.write_usize(layout.zones.len());
    hasher.finish()
}
