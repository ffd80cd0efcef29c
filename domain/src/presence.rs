//! Presence: who is in which zone, which one-time passes are used, who passed where last. Pure state: it is what the
//! recorded facts say, and is rebuilt by applying them again in their order.
//!
//! Owns counts, one-time uses, and grants that are not taken yet. Never decides. May import `policy`, `zone`, `ids`,
//! `event`.
//!
//! # Between granted and passed
//! A `granted` fact reserves: the one-time pass, a place in each zone entered, and the holder's next side for
//! anti-passback. `passed` makes it so, `not_taken` gives it back. A reservation has no time limit: the door ends
//! every grant (see [`crate::door`]); where a crash came between, the one-time pass counts as used, because its
//! holder may be inside. A later grant at the same point ends the places reserved by an earlier one.
//!
//! # Late facts
//! A controller that was cut off reports later what happened meanwhile; such a fact has an age. It reserves nothing,
//! gives back what the same person had reserved there, and moves a person only if nothing newer is known of them.
//!
//! # One-time passes
//! The use belongs to one issue: this card, this person, this `valid_from`. The card issued again, to somebody else
//! or with a later `valid_from`, is a new pass. Entry is the way from an outside zone into the territory, exit the way
//! back; where a layout has no outside zone, every `in` is an entry and every `out` an exit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{Draft, Kind};
use crate::ids::{CardId, Direction, PersonId, PointId, ZoneId};
use crate::keyed::Keyed;
use crate::policy::{Pass, PointEntry, Policy};
use crate::time::UtcMillis;
use crate::zone::{ZoneNo, ZoneTree};

/// Persons whose place is known at once. When full a further person's place stays unknown: not counted, never
/// refused by anti-passback, and [`Presence::is_full`] says so.
pub const PERSONS_MAX: usize = 1 << 20;
/// Of these, persons known to have gone out, for anti-passback; the one who left longest ago becomes unknown.
pub const OUTSIDE_MAX: usize = 1 << 16;
/// One-time passes in use or used. When full a further one is refused as used, which is the safe side.
pub const ONE_TIME_MAX: usize = 1 << 18;
/// Last uses remembered for timed reuse; the oldest is forgotten.
pub const LAST_USES_MAX: usize = 1 << 16;

/// Presence is rebuilt from its own facts, and pseudonyms are random: no seed is needed.
const KEYED: Keyed = Keyed(0x7061_7373_6167_6573);

/// Who is where, for one policy's layout.
#[derive(Debug, Clone)]
pub struct Presence {
    shape: u64,
    zones: Arc<ZoneTree>,
    points: Vec<PointId>,
    persons: HashMap<PersonId, Place, Keyed>,
    /// Persons by zone, zones inside it included; outside zones count nobody.
    counts: Vec<u32>,
    /// Places reserved by zone, as above.
    reserved: Vec<u32>,
    gone: VecDeque<(PersonId, UtcMillis)>,
    /// At most one grant for each point is being taken.
    pending: HashMap<u16, Pending, Keyed>,
    /// How many of these are each person's, so that hardly anybody is looked for among them.
    pending_of: HashMap<PersonId, u16, Keyed>,
    one_time: HashMap<CardId, Use, Keyed>,
    last_uses: HashMap<(CardId, u16, Direction), LastUse, Keyed>,
    last_uses_order: VecDeque<((CardId, u16, Direction), UtcMillis)>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    zone: ZoneNo,
    since: UtcMillis,
    forgiven: bool,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    person: PersonId,
    /// Where the holder was when the places were reserved.
    was: Option<ZoneNo>,
    to: ZoneNo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reserved(u16),
    Inside,
    Left,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    person: PersonId,
    issued: UtcMillis,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
struct LastUse {
    person: PersonId,
    at: UtcMillis,
}

/// A way over the edge of the territory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crossing {
    Entry,
    Exit,
    Neither,
}

impl Presence {
    /// Nobody is anywhere.
    pub fn new(policy: &Policy) -> Self {
        let zones = Arc::clone(policy.shared_zones());
        Self {
            shape: policy.shape(),
            points: policy.layout().points.iter().map(|point| point.id.clone()).collect(),
            persons: HashMap::with_hasher(KEYED),
            counts: vec![0; zones.len()],
            reserved: vec![0; zones.len()],
            zones,
            gone: VecDeque::new(),
            pending: HashMap::with_hasher(KEYED),
            pending_of: HashMap::with_hasher(KEYED),
            one_time: HashMap::with_hasher(KEYED),
            last_uses: HashMap::with_hasher(KEYED),
            last_uses_order: VecDeque::new(),
        }
    }

    /// Carries everything over to another policy, by the names of zones and points: to be called whenever the policy
    /// is swapped. Whoever was in a zone that is gone becomes unknown; one-time passes that the policy no longer
    /// knows are forgotten. Takes time by the number of persons, not of credentials.
    pub fn adopt(&mut self, policy: &Policy) {
        self.one_time.retain(|card, used| is_of_issue(policy, *card, used));
        let old_zones = std::mem::replace(&mut self.zones, Arc::clone(policy.shared_zones()));
        if self.shape == policy.shape() {
            return;
        }
        let mut fresh = Self::new(policy);
        let zone = |old: ZoneNo| policy.zones().find(old_zones.id(old));
        let point = |old: u16| {
            let id = self.points.get(usize::from(old))?;
            policy.point(id).map(|point| point.no)
        };
        for (person, place) in &self.persons {
            if let Some(zone) = zone(place.zone) {
                fresh.put(*person, Place { zone, ..*place });
            }
        }
        for (old, pending) in &self.pending {
            if let (Some(no), Some(to)) = (point(*old), zone(pending.to)) {
                fresh.reserve(no, Pending { was: pending.was.and_then(zone), to, ..*pending });
            }
        }
        for (card, used) in &self.one_time {
            let phase = match used.phase {
                Phase::Reserved(old) => point(old).map_or(Phase::Inside, Phase::Reserved),
                other => other,
            };
            fresh.one_time.insert(*card, Use { phase, ..*used });
        }
        for (key, at) in &self.last_uses_order {
            let (card, old, direction) = *key;
            if let (Some(no), Some(last)) = (point(old), self.last_uses.get(key).filter(|last| last.at == *at)) {
                fresh.note_use((card, no, direction), *last);
            }
        }
        *self = fresh;
    }

    /// Applies a recorded fact: `granted` reserves, `passed` moves, `not_taken` gives back; others, and those about a
    /// point or card that the policy does not know, change nothing that needs them.
    pub fn apply(&mut self, policy: &Policy, fact: &Draft) {
        if self.shape != policy.shape() {
            self.adopt(policy);
        }
        if !matches!(fact.kind, Kind::Granted | Kind::Passed | Kind::NotTaken) {
            return;
        }
        let (Some(point), Some(direction)) = (fact.point.as_ref().and_then(|id| policy.point(id)), fact.direction)
        else {
            return;
        };
        let late = fact.age_ms.is_some();
        if late {
            self.apply_late(point, direction, fact);
        }
        match (fact.kind, fact.person) {
            _ if late => {}
            (Kind::Granted, Some(person)) => self.granted(point, direction, person),
            (Kind::Granted, None) => drop(self.release(point.no)),
            (Kind::Passed, person) => {
                self.release(point.no);
                if let Some(person) = person {
                    self.passed(point, direction, person, fact.at);
                }
            }
            _ => drop(self.release(point.no)),
        }
        if let (Some(card), Some(person)) = (fact.card, fact.person) {
            self.count_use(policy, point, direction, card, person, fact);
            if point.reuse_ms.is_some() {
                let key = (card, point.no, direction);
                match fact.kind {
                    _ if late => {}
                    Kind::Granted => self.note_use(key, LastUse { person, at: fact.at }),
                    Kind::NotTaken => drop(self.last_uses.remove(&key)),
                    _ => {}
                }
            }
        }
    }

    fn apply_late(&mut self, point: &PointEntry, direction: Direction, fact: &Draft) {
        let Some(person) = fact.person.filter(|_| fact.kind != Kind::Granted) else { return };
        if self.pending.get(&point.no).is_some_and(|pending| pending.person == person) {
            self.release(point.no);
        }
        let at = fact.happened_at();
        let newer = self.persons.get(&person).is_some_and(|place| place.since > at);
        if fact.kind == Kind::Passed && !newer {
            self.passed(point, direction, person, at);
        }
    }

    /// Anti-passback and timed reuse ask nothing of this person's next use. The place is kept.
    pub fn forgive(&mut self, person: PersonId) {
        if let Some(place) = self.persons.get_mut(&person) {
            place.forgiven = true;
        }
        self.last_uses.retain(|_, last| last.person != person);
    }

    /// The same for everybody.
    pub fn forgive_all(&mut self) {
        self.persons.values_mut().for_each(|place| place.forgiven = true);
        self.last_uses.clear();
        self.last_uses_order.clear();
    }

    /// Puts a person into a zone because somebody says so (muster, correction); `false` if there is no such zone.
    pub fn place(&mut self, person: PersonId, zone: &ZoneId, since: UtcMillis) -> bool {
        let Some(zone) = self.zones.find(zone) else { return false };
        self.put(person, Place { zone, since, forgiven: false });
        true
    }

    /// Takes a person off the list: their place becomes unknown.
    pub fn forget(&mut self, person: PersonId) {
        if let Some(old) = self.persons.remove(&person) {
            self.add(old.zone, -1);
        }
    }

    /// Where a person is: `None` if unknown.
    pub fn zone_of(&self, person: PersonId) -> Option<&ZoneId> {
        self.persons.get(&person).map(|place| self.zones.id(place.zone))
    }

    /// How many persons are in a zone, zones inside it included; none in one that is outside or unknown.
    pub fn count(&self, zone: &ZoneId) -> u32 {
        self.zones.find(zone).map_or(0, |no| self.counts[usize::from(no.0)])
    }

    /// Everybody inside the territory: person, zone, since when. In no order.
    pub fn inside(&self) -> impl Iterator<Item = (PersonId, &ZoneId, UtcMillis)> {
        let inside = |(_, place): &(&PersonId, &Place)| !self.zones.is_outside(place.zone);
        self.persons.iter().filter(inside).map(|(person, place)| (*person, self.zones.id(place.zone), place.since))
    }

    /// Whether a further person's place would stay unknown.
    pub fn is_full(&self) -> bool {
        self.persons.len() >= PERSONS_MAX
    }

    pub(crate) const fn shape(&self) -> u64 {
        self.shape
    }

    /// Zone, and whether the next use is forgiven.
    #[inline]
    pub(crate) fn whereabouts(&self, person: PersonId) -> Option<(ZoneNo, bool)> {
        self.persons.get(&person).map(|place| (place.zone, place.forgiven))
    }

    /// Where the grants lead that this person is taking at other points.
    pub(crate) fn pending_elsewhere(&self, person: PersonId, here: &PointEntry) -> impl Iterator<Item = ZoneNo> {
        let here = here.no;
        let pending = self.pending_of.contains_key(&person).then_some(&self.pending);
        let elsewhere = move |(at, pending): &(&u16, &Pending)| **at != here && pending.person == person;
        pending.into_iter().flatten().filter(elsewhere).map(|(_, pending)| pending.to)
    }

    /// When a card was last granted at a point in a direction.
    pub(crate) fn used_at(&self, card: CardId, point: &PointEntry, direction: Direction) -> Option<UtcMillis> {
        self.last_uses.get(&(card, point.no, direction)).map(|last| last.at)
    }

    pub(crate) fn one_time_is_used(
        &self,
        policy: &Policy,
        pass: &Pass,
        point: &PointEntry,
        direction: Direction,
    ) -> bool {
        let used = self.one_time.get(&pass.card()).filter(|used| is_of_issue(policy, pass.card(), used));
        match (self.crossing(point, direction), used.map(|used| used.phase)) {
            (Crossing::Entry, None) => self.one_time.len() >= ONE_TIME_MAX,
            (Crossing::Entry, Some(_)) | (Crossing::Exit | Crossing::Neither, Some(Phase::Left)) => true,
            (Crossing::Exit | Crossing::Neither, _) => false,
        }
    }

    /// The first zone around `to` that the person is not in yet and that has no place left.
    #[inline]
    pub(crate) fn full_zone(&self, policy: &Policy, person: PersonId, to: ZoneNo) -> Option<ZoneNo> {
        let zones = policy.zones();
        let is_full = |zone: &&ZoneNo| {
            let no = usize::from(zone.0);
            zones.capacity(**zone).is_some_and(|capacity| self.counts[no] + self.reserved[no] >= capacity)
        };
        let mut full = zones.chain(to).iter().filter(is_full).peekable();
        full.peek()?;
        let was = self.persons.get(&person).map(|place| place.zone);
        full.find(|zone| was.is_none_or(|was| !zones.is_within(was, **zone))).copied()
    }

    fn granted(&mut self, point: &PointEntry, direction: Direction, person: PersonId) {
        self.release(point.no);
        let (from, to) = point.way(direction);
        if from != to {
            let was = self.persons.get(&person).map(|place| place.zone);
            self.reserve(point.no, Pending { person, was, to });
        }
    }

    fn passed(&mut self, point: &PointEntry, direction: Direction, person: PersonId, at: UtcMillis) {
        let (from, to) = point.way(direction);
        if from != to {
            self.put(person, Place { zone: to, since: at, forgiven: false });
        }
    }

    fn reserve(&mut self, point: u16, pending: Pending) {
        self.release(point);
        let zones = Arc::clone(&self.zones);
        for zone in entered(&zones, pending.was, pending.to) {
            self.reserved[usize::from(zone.0)] += 1;
        }
        self.pending.insert(point, pending);
        *self.pending_of.entry(pending.person).or_default() += 1;
    }

    fn release(&mut self, point: u16) -> Option<Pending> {
        let pending = self.pending.remove(&point)?;
        let zones = Arc::clone(&self.zones);
        for zone in entered(&zones, pending.was, pending.to) {
            let reserved = &mut self.reserved[usize::from(zone.0)];
            *reserved = reserved.saturating_sub(1);
        }
        if let Some(count) = self.pending_of.get_mut(&pending.person) {
            *count -= 1;
            if *count == 0 {
                self.pending_of.remove(&pending.person);
            }
        }
        Some(pending)
    }

    fn put(&mut self, person: PersonId, place: Place) {
        self.forget(person);
        if self.is_full() {
            return;
        }
        self.add(place.zone, 1);
        self.persons.insert(person, place);
        if self.zones.is_outside(place.zone) {
            self.gone.push_back((person, place.since));
            if self.gone.len() > OUTSIDE_MAX
                && let Some((oldest, since)) = self.gone.pop_front()
                && self.persons.get(&oldest).is_some_and(|o| o.since == since && self.zones.is_outside(o.zone))
            {
                self.persons.remove(&oldest);
            }
        }
    }

    fn add(&mut self, zone: ZoneNo, change: i32) {
        if self.zones.is_outside(zone) {
            return;
        }
        for around in self.zones.chain(zone) {
            let count = &mut self.counts[usize::from(around.0)];
            *count = count.saturating_add_signed(change);
        }
    }

    fn count_use(
        &mut self,
        policy: &Policy,
        point: &PointEntry,
        direction: Direction,
        card: CardId,
        person: PersonId,
        fact: &Draft,
    ) {
        let Some(pass) = policy.pass(card).filter(|pass| pass.one_time() && pass.person() == person) else { return };
        if pass.not_yet_valid(fact.at) {
            // About an earlier issue of the card.
            return;
        }
        let known = self.one_time.get(&card).filter(|used| is_of_issue(policy, card, used)).map(|used| used.phase);
        let phase = match (fact.kind, self.crossing(point, direction), known) {
            (Kind::Granted, Crossing::Entry, None) => Phase::Reserved(point.no),
            (Kind::Passed, Crossing::Entry, _) => Phase::Inside,
            (Kind::Passed, Crossing::Exit, _) => Phase::Left,
            (Kind::NotTaken, _, Some(Phase::Reserved(at))) if at == point.no => {
                self.one_time.remove(&card);
                return;
            }
            _ => return,
        };
        if self.one_time.len() < ONE_TIME_MAX || self.one_time.contains_key(&card) {
            self.one_time.insert(card, Use { person, issued: pass.valid_from(), phase });
        }
    }

    fn note_use(&mut self, key: (CardId, u16, Direction), last: LastUse) {
        self.last_uses.insert(key, last);
        self.last_uses_order.push_back((key, last.at));
        if self.last_uses_order.len() > LAST_USES_MAX
            && let Some((oldest, at)) = self.last_uses_order.pop_front()
            && self.last_uses.get(&oldest).is_some_and(|last| last.at == at)
        {
            self.last_uses.remove(&oldest);
        }
    }

    fn crossing(&self, point: &PointEntry, direction: Direction) -> Crossing {
        let (from, to) = point.way(direction);
        if from == to {
            return Crossing::Neither;
        }
        if !self.zones.any_outside() {
            return if direction == Direction::In { Crossing::Entry } else { Crossing::Exit };
        }
        match (self.zones.is_outside(from), self.zones.is_outside(to)) {
            (true, false) => Crossing::Entry,
            (false, true) => Crossing::Exit,
            (true, true) | (false, false) => Crossing::Neither,
        }
    }
}

/// The zones around `to` that do not hold `was` already. Nobody is counted outside.
fn entered(zones: &ZoneTree, was: Option<ZoneNo>, to: ZoneNo) -> impl Iterator<Item = ZoneNo> {
    let counted = if zones.is_outside(to) { &[] } else { zones.chain(to) };
    counted.iter().copied().filter(move |zone| was.is_none_or(|was| !zones.is_within(was, *zone)))
}

fn is_of_issue(policy: &Policy, card: CardId, used: &Use) -> bool {
    policy
        .pass(card)
        .is_some_and(|pass| pass.one_time() && pass.person() == used.person && pass.valid_from() == used.issued)
}

#[cfg(test)]
mod tests;
