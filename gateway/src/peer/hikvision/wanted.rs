//! Whose cards the device should know: worked out from the policy, by person, without anything that says who that is.

use std::collections::{BTreeMap, BTreeSet};

use domain::UtcMillis;
use domain::card::CardNumber;
use domain::ids::{CardId, PersonId};
use domain::policy::{PassKind, Policy};
use sha2::{Digest, Sha256};
use wire::isapi::card::CardForm;
use wire::isapi::person::{self, Card, User};
use wire::isapi::time::Zone;
use zeroize::Zeroizing;

use super::places::Places;
use crate::core::SiteKeys;
use crate::settings::Cache;

/// Latest end of validity that devices take.
const LATEST: &str = "2037-12-31T23:59:59";

/// One person as the device should know it. Numbers are not here: they are opened when they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) doors: BTreeSet<u32>,
    /// First and last instant; the ends of time where there is none.
    from: i64,
    until: i64,
    pub(super) cards: BTreeSet<CardId>,
    /// Cards that do not fit: more than the device keeps, or of another validity.
    pub(super) left_out: u32,
}

/// A card as it could be told: first and last instant, which, at which doors.
type Told = (i64, i64, CardId, BTreeSet<u32>);

/// Everybody whom the device should know, and how many cards it cannot be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Everybody {
    pub(super) people: BTreeMap<PersonId, Wanted>,
    /// Cards whose number is not in the policy or cannot be written by such a device.
    pub(super) unknown_numbers: u32,
    /// Cards left out for want of room with their person.
    pub(super) left_out: u32,
}

/// Works it out. Takes time with many passes: call it off the tasks that answer.
pub(super) fn everybody(
    policy: &Policy,
    keys: &SiteKeys,
    cache: Cache,
    places: &Places,
    form: CardForm,
    now: UtcMillis,
) -> Everybody {
    let mut all = Everybody::default();
    if cache == Cache::Nobody {
        return all;
    }
    let doors: Vec<(u32, _)> = places.doors().filter_map(|(door, place)| Some((door, place.point.as_ref()?))).collect();
    let mut cards: BTreeMap<PersonId, Vec<Told>> = BTreeMap::new();
    for pass in policy.passes() {
        if cache == Cache::Staff && pass.kind() != PassKind::Staff {
            continue;
        }
        let may = doors.iter().filter(|(_, point)| policy.may_pass_offline(pass, point, now));
        let may: BTreeSet<u32> = may.map(|(door, _)| *door).collect();
        if may.is_empty() {
            continue;
        }
        if number_of(policy, keys, pass.card(), places, form).is_none() {
            all.unknown_numbers += 1;
            continue;
        }
        cards.entry(pass.person()).or_default().push((pass.valid_from().0, pass.valid_until().0, pass.card(), may));
    }
    for (person, mut theirs) in cards {
        // The device has one period for a person: that of the card that works now and for the longest, and only cards
        // of the same period and doors. Others are decided by us while we are there.
        theirs.sort_by_key(|(from, until, card, _)| (*from > now.0, std::cmp::Reverse(*until), *from, *card));
        let Some((from, until, _, doors)) = theirs.first().cloned() else { continue };
        let total = theirs.len();
        let same = |card: &&Told| (card.0, card.1) == (from, until) && card.3 == doors;
        let cards: BTreeSet<CardId> = theirs.iter().filter(same).map(|card| card.2).take(person::CARDS_MAX).collect();
        let left_out = u32::try_from(total - cards.len()).unwrap_or(u32::MAX);
        all.left_out = all.left_out.saturating_add(left_out);
        all.people.insert(person, Wanted { doors, from, until, cards, left_out });
    }
    all
}

/// The number of a card, if the policy has it and such a device can be told.
fn number_of(
    policy: &Policy,
    keys: &SiteKeys,
    card: CardId,
    places: &Places,
    form: CardForm,
) -> Option<(CardNumber, Zeroizing<String>)> {
    let number = keys.numbers.open_for(policy.number(card)?, card, &keys.card).ok()?;
    let reversed = places.doors().next().is_some_and(|(_, place)| place.uid_reversed);
    let text = form.write(&number, reversed)?;
    Some((number, text))
}

impl Wanted {
    /// What the device is told is the same as long as this is.
    pub(super) fn digest(&self, zone: Zone, form: CardForm) -> [u8; 16] {
        let mut hash = Sha256::new().chain_update(b"tapward isapi person 1").chain_update(form.as_str().as_bytes());
        hash.update(zone.offset_s.to_be_bytes());
        hash.update(self.from.to_be_bytes());
        hash.update(self.until.to_be_bytes());
        for door in &self.doors {
            hash.update(door.to_be_bytes());
        }
        for card in &self.cards {
            hash.update(card.0);
        }
        let full: [u8; 32] = hash.finalize().into();
        let mut cut = [0; 16];
        cut.copy_from_slice(&full[..16]);
        cut
    }

    /// The person as the device takes it.
    pub(super) fn user(&self, person: PersonId, zone: Zone) -> User {
        let valid = (self.from > 0 || self.until < i64::MAX).then(|| {
            let stamp = |at: i64| zone.stamp_plain(UtcMillis(at));
            let begin = if self.from > 0 { stamp(self.from) } else { "2000-01-01T00:00:00".into() };
            let end = Some(stamp(self.until)).filter(|end| end.len() == LATEST.len() && end.as_str() < LATEST);
            (begin, end.unwrap_or_else(|| LATEST.into()))
        });
        User { employee: person.to_string(), valid, doors: self.doors.iter().copied().collect() }
    }

    /// Its cards with their numbers, as the device takes them.
    pub(super) fn cards(
        &self,
        person: PersonId,
        policy: &Policy,
        keys: &SiteKeys,
        places: &Places,
        form: CardForm,
    ) -> Vec<Card> {
        let numbers = self.cards.iter().filter_map(|card| number_of(policy, keys, *card, places, form));
        numbers.map(|(_, number)| Card { employee: person.to_string(), number }).collect()
    }
}

#[cfg(test)]
mod tests;
