//! What zones ask of those who enter, besides the rules, and what is known of persons to answer it: compiled to a sorted
//! table that is looked up without allocation.

use super::{
    Asked, CONDITIONS_MAX, DEMANDS_MAX, Demand, GRANTS_MAX, Grant, Granted, Layout, PassKind, PolicyError, kind_bit,
};
use crate::ids::{ConditionId, PersonId};
use crate::time::UtcMillis;
use crate::zone::{ZoneNo, ZoneTree};

/// Something that a zone asks and that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// No visit leads into this zone now.
    Purpose(ZoneNo),
    /// The condition at this position does not hold now.
    Condition(u16),
}

/// By zone what it asks, conditions first.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    conditions: Vec<ConditionId>,
    /// Sorted by zone.
    asked: Vec<Compiled>,
    /// Sorted by person once all are there.
    grants: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Compiled {
    zone: ZoneNo,
    /// Position of a condition; [`PURPOSE`] for the purpose.
    what: u16,
    kinds: u8,
}

/// Stands for the purpose where otherwise the position of a condition stands.
const PURPOSE: u16 = u16::MAX;

/// 40 bytes: 100,000 visits of a day take 4 MB.
#[derive(Debug, Clone, Copy)]
struct Entry {
    person: PersonId,
    from: i64,
    until: i64,
    /// Position of a zone, or of a condition.
    position: u16,
    is_zone: bool,
}

impl Demands {
    pub fn new(layout: &Layout, zones: &ZoneTree) -> Result<Self, PolicyError> {
        if layout.demands.len() > DEMANDS_MAX {
            return Err(PolicyError::TooManyDemands(layout.demands.len()));
        }
        let conditions = layout.conditions();
        if conditions.len() > CONDITIONS_MAX {
            return Err(PolicyError::TooManyConditions(conditions.len()));
        }
        let mut asked = Vec::with_capacity(layout.demands.len());
        for Demand { zone, asked: what, kinds } in &layout.demands {
            let zone = zones.find(zone).ok_or_else(|| PolicyError::DemandZone(zone.clone()))?;
            let what = match what {
                Asked::Purpose => PURPOSE,
                // It is among them: they are made of the demands.
                Asked::Condition(id) => conditions.binary_search(id).unwrap_or_default() as u16,
            };
            let kinds = match kinds.as_slice() {
                [] => u8::MAX,
                some => some.iter().fold(0, |mask, kind| mask | kind_bit(*kind)),
            };
            asked.push(Compiled { zone, what, kinds });
        }
        asked.sort_unstable();
        Ok(Self { conditions, asked, grants: Vec::new() })
    }

    /// Adds what is known of a person; what no zone asks is left out.
    pub fn grant(&mut self, grant: &Grant, zones: &ZoneTree) -> Result<(), PolicyError> {
        let (position, is_zone) = match grant.of {
            Granted::Zone(position) if usize::from(position) < zones.len() => (position, true),
            Granted::Condition(position) if usize::from(position) < self.conditions.len() => (position, false),
            Granted::Zone(_) | Granted::Condition(_) => return Err(PolicyError::GrantPosition),
        };
        if self.grants.len() >= GRANTS_MAX {
            return Err(PolicyError::TooManyGrants);
        }
        self.grants.push(Entry { person: grant.person, from: grant.from.0, until: grant.until.0, position, is_zone });
        Ok(())
    }

    pub fn finish(&mut self) {
        self.grants.sort_unstable_by_key(|entry| (entry.person, entry.from));
    }

    pub const fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    pub fn condition(&self, position: u16) -> Option<&ConditionId> {
        self.conditions.get(usize::from(position))
    }

    /// Whether anything is asked of a pass of this kind on the way from one zone into another.
    pub fn concern(&self, zones: &ZoneTree, kind: PassKind, from: ZoneNo, to: ZoneNo) -> bool {
        !self.asked.is_empty() && entered(zones, from, to).any(|zone| self.of(zone, kind).next().is_some())
    }

    /// What is asked on the way from one zone into another and is not there, the outermost zone first.
    pub fn unmet(
        &self,
        zones: &ZoneTree,
        person: PersonId,
        kind: PassKind,
        (from, to): (ZoneNo, ZoneNo),
        now: UtcMillis,
    ) -> impl Iterator<Item = Unmet> {
        let asked = entered(zones, from, to).flat_map(move |zone| self.of(zone, kind));
        asked.filter_map(move |demand| {
            let mut held = self.held(person).filter(move |entry| (entry.from..entry.until).contains(&now.0));
            if demand.what == PURPOSE {
                let leads_there = |entry: &Entry| {
                    let zone = ZoneNo(entry.position);
                    entry.is_zone && (zones.is_within(zone, demand.zone) || zones.is_within(demand.zone, zone))
                };
                (!held.any(leads_there)).then_some(Unmet::Purpose(demand.zone))
            } else {
                let holds = |entry: Entry| !entry.is_zone && entry.position == demand.what;
                (!held.any(|entry| holds(*entry))).then_some(Unmet::Condition(demand.what))
            }
        })
    }

    fn of(&self, zone: ZoneNo, kind: PassKind) -> impl Iterator<Item = Compiled> {
        let start = self.asked.partition_point(|demand| demand.zone < zone);
        let own = self.asked[start..].iter().take_while(move |demand| demand.zone == zone);
        own.filter(move |demand| demand.kinds & kind_bit(kind) != 0).copied()
    }

    fn held(&self, person: PersonId) -> impl Iterator<Item = &Entry> {
        let start = self.grants.partition_point(|entry| entry.person < person);
        self.grants[start..].iter().take_while(move |entry| entry.person == person)
    }
}

/// The zones that a way leads into, from the outermost inwards.
fn entered(zones: &ZoneTree, from: ZoneNo, to: ZoneNo) -> impl Iterator<Item = ZoneNo> {
    zones.chain(to).iter().rev().copied().filter(move |zone| !zones.is_within(from, *zone))
}
