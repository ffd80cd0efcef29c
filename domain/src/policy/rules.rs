//! Rules compiled: for each zone, category and direction the list of rules that can matter, deny rules first.

use std::collections::HashMap;

use super::{
    CATEGORIES_MAX, Effect, Layout, PassKind, PolicyError, RULE_CELLS_MAX, RULE_NAME_MAX_BYTES, RULES_MAX, kind_bit,
};
use crate::ids::Direction;
use crate::schedule::Calendar;
use crate::time::UtcMillis;
use crate::zone::{ZoneNo, ZoneTree};

/// Most entries of all lists before equal lists are shared: bounds time and memory while compiling.
const ENTRIES_MAX: usize = 1 << 23;

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleOutcome {
    /// This rule lets pass; `None` if the layout has no rule and allows all.
    Allowed(Option<u16>),
    /// This rule refuses.
    Denied(u16),
    /// This rule would let pass at another time.
    NotNow(u16),
    /// No rule says anything.
    Nothing,
}

#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Compiled>,
    /// By zone, category, direction: where its list lies in `entries`.
    cells: Vec<(u32, u16)>,
    entries: Vec<u16>,
    categories: usize,
    allow_all: bool,
}

#[derive(Debug, Clone, Copy)]
struct Compiled {
    from: i64,
    until: i64,
    schedule: Option<u16>,
    kinds: u8,
    effect: Effect,
}

impl Rules {
    pub fn new(layout: &Layout, zones: &ZoneTree, calendar: &Calendar) -> Result<Self, PolicyError> {
        let categories = layout.categories.len();
        if categories > CATEGORIES_MAX {
            return Err(PolicyError::TooManyCategories(categories));
        }
        if layout.rules.len() > RULES_MAX {
            return Err(PolicyError::TooManyRules(layout.rules.len()));
        }
        if categories * zones.len() > RULE_CELLS_MAX {
            return Err(PolicyError::RuleTableTooLarge);
        }
        let mut by_name = HashMap::with_capacity(categories);
        for (i, category) in layout.categories.iter().enumerate() {
            if by_name.insert(category, i).is_some() {
                return Err(PolicyError::CategoryTwice(category.clone()));
            }
        }
        let mut lists: Vec<Vec<u16>> = vec![Vec::new(); zones.len() * categories * 2];
        let mut rules = Vec::with_capacity(layout.rules.len());
        let mut entries = 0;
        for rule in &layout.rules {
            let name = || rule.name.clone();
            if rule.name.len() > RULE_NAME_MAX_BYTES {
                return Err(PolicyError::RuleName(rule.name.chars().take(20).collect()));
            }
            let schedule = match &rule.schedule {
                Some(id) => Some(
                    calendar
                        .find(id)
                        .ok_or_else(|| PolicyError::RuleSchedule { rule: name(), schedule: id.clone() })?,
                ),
                None => None,
            };
            if let Some(id) = &rule.zone
                && zones.find(id).is_none()
            {
                return Err(PolicyError::RuleZone { rule: name(), zone: id.clone() });
            }
            if let Some(id) = rule.categories.iter().find(|id| !by_name.contains_key(id)) {
                return Err(PolicyError::RuleCategory { rule: name(), category: id.clone() });
            }
            if rule.valid_from.zip(rule.valid_until).is_some_and(|(from, until)| from >= until) {
                return Err(PolicyError::RulePeriod(name()));
            }
            let kinds = match rule.kinds.as_slice() {
                [] => u8::MAX,
                some => some.iter().fold(0, |mask, kind| mask | kind_bit(*kind)),
            };
            rules.push(Compiled {
                from: rule.valid_from.map_or(i64::MIN, |at| at.0),
                until: rule.valid_until.map_or(i64::MAX, |at| at.0),
                schedule,
                kinds,
                effect: rule.effect,
            });
        }
        let order = |effect| (0..).zip(&layout.rules).filter(move |(_, rule)| rule.effect == effect);
        for (no, rule) in order(Effect::Deny).chain(order(Effect::Allow)) {
            let around = rule.zone.as_ref().and_then(|id| zones.find(id));
            let mut whom: Vec<usize> = match rule.categories.as_slice() {
                [] => (0..categories).collect(),
                some => some.iter().filter_map(|id| by_name.get(id).copied()).collect(),
            };
            whom.sort_unstable();
            whom.dedup();
            for zone in zones.all().filter(|zone| around.is_none_or(|around| zones.is_within(*zone, around))) {
                for &category in &whom {
                    for direction in [Direction::In, Direction::Out] {
                        if rule.direction.is_none_or(|only| only == direction) {
                            lists[cell(categories, zone, category, direction)].push(no);
                            entries += 1;
                        }
                    }
                }
            }
            if entries > ENTRIES_MAX {
                return Err(PolicyError::RuleTableTooLarge);
            }
        }
        let mut shared = Self {
            rules,
            cells: Vec::with_capacity(lists.len()),
            entries: Vec::new(),
            categories,
            allow_all: layout.rules.is_empty() && layout.allow_all_if_no_rules,
        };
        let mut seen: HashMap<Vec<u16>, (u32, u16)> = HashMap::new();
        for list in lists {
            let place = (shared.entries.len() as u32, list.len() as u16);
            let place = *seen.entry(list).or_insert_with_key(|list| {
                shared.entries.extend(list);
                place
            });
            shared.cells.push(place);
        }
        Ok(shared)
    }

    /// What the rules say of a holder at a point whose `to` zone is `zone`.
    #[inline]
    pub fn ask(
        &self,
        calendar: &Calendar,
        zone: ZoneNo,
        category: u16,
        kind: PassKind,
        direction: Direction,
        now: UtcMillis,
    ) -> RuleOutcome {
        if self.allow_all {
            return RuleOutcome::Allowed(None);
        }
        let at = cell(self.categories, zone, usize::from(category), direction);
        let Some(&(start, len)) = self.cells.get(at) else { return RuleOutcome::Nothing };
        let list = &self.entries[start as usize..start as usize + usize::from(len)];
        let mut outcome = RuleOutcome::Nothing;
        for &no in list {
            let rule = &self.rules[usize::from(no)];
            if rule.kinds & kind_bit(kind) == 0 {
                continue;
            }
            let in_force = now.0 >= rule.from
                && now.0 < rule.until
                && rule.schedule.is_none_or(|schedule| calendar.is_open(schedule, now));
            match (rule.effect, in_force) {
                (Effect::Deny, true) => return RuleOutcome::Denied(no),
                (Effect::Allow, true) => return RuleOutcome::Allowed(Some(no)),
                (Effect::Allow, false) if outcome == RuleOutcome::Nothing => outcome = RuleOutcome::NotNow(no),
                (Effect::Deny | Effect::Allow, false) => {}
            }
        }
        outcome
    }

    /// Whether they let such a holder pass at any time from `now` on, and never forbid it.
    pub fn may_ever(&self, zone: ZoneNo, category: u16, kind: PassKind, direction: Direction, now: UtcMillis) -> bool {
        if self.allow_all {
            return true;
        }
        let at = cell(self.categories, zone, usize::from(category), direction);
        let Some(&(start, len)) = self.cells.get(at) else { return false };
        let list = &self.entries[start as usize..start as usize + usize::from(len)];
        let mut rules = list
            .iter()
            .map(|no| &self.rules[usize::from(*no)])
            .filter(|rule| rule.kinds & kind_bit(kind) != 0 && now.0 < rule.until);
        // Deny rules come first.
        rules.next().is_some_and(|first| first.effect == Effect::Allow)
    }
}

#[inline]
fn cell(categories: usize, zone: ZoneNo, category: usize, direction: Direction) -> usize {
    (usize::from(zone.0) * categories + category) * 2 + usize::from(direction == Direction::Out)
}
