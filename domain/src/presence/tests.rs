use std::collections::HashMap as Map;

use proptest::prelude::*;

use super::*;
use crate::decide::{Request, decide};
use crate::event::Reason;
use crate::ids::CategoryId;
use crate::policy::{Credential, Layout, PassKind, PassState, Point, PointKind, PolicySource};
use crate::zone::{AntiPassback, Zone};

const NOW: UtcMillis = UtcMillis(1_795_608_000_000);
const ZONES: [(&str, &str); 5] =
    [("street", ""), ("clinic", ""), ("hall", "clinic"), ("ward", "clinic"), ("room", "ward")];
const POINTS: [(&str, &str, &str); 5] = [
    ("t1", "street", "hall"),
    ("t2", "street", "hall"),
    ("door", "hall", "ward"),
    ("inner", "ward", "room"),
    ("back", "street", "ward"),
];

fn zone_id(name: &str) -> ZoneId {
    ZoneId::new(name).unwrap()
}

fn person(no: u8) -> PersonId {
    PersonId([no; 16])
}

/// Cards 0 to 3 are one-time passes; card n belongs to person n; card 100 + n too.
fn policy(change: impl FnOnce(&mut Layout)) -> Policy {
    let mut layout = Layout::empty();
    layout.built_at = NOW;
    layout.categories = vec![CategoryId::new("all").unwrap()];
    layout.zones = ZONES
        .map(|(name, inside)| Zone {
            inside: (!inside.is_empty()).then(|| zone_id(inside)),
            outside: name == "street",
            anti_passback: if name == "hall" { AntiPassback::Hard } else { AntiPassback::None },
            capacity: (name == "ward").then_some(3),
            id: zone_id(name),
        })
        .to_vec();
    layout.points = POINTS
        .map(|(name, from, to)| {
            Point::new(PointId::new(name).unwrap(), PointKind::Turnstile, zone_id(from), zone_id(to))
        })
        .to_vec();
    change(&mut layout);
    let credential = |no: u8, card: u8| Credential {
        card: CardId([card; 16]),
        person: person(no),
        category: 0,
        kind: PassKind::Visitor,
        state: PassState::Active,
        one_time: card < 4,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: None,
    };
    let credentials = (0..8).map(|no| credential(no, no)).chain((0..8).map(|no| credential(no, 100 + no))).collect();
    Policy::compile(PolicySource { layout, credentials, grants: Vec::new() }, 1).unwrap()
}

fn fact(kind: Kind, seconds: i64, card: u8, point: &str, direction: Direction) -> Draft {
    Draft {
        point: PointId::new(point).ok(),
        direction: Some(direction),
        card: Some(CardId([card; 16])),
        person: Some(person(card % 100)),
        reason: Some(Reason::Allowed),
        ..Draft::new(NOW.plus_ms(seconds * 1000), kind)
    }
}

fn counts(presence: &Presence) -> [u32; 5] {
    ZONES.map(|(name, _)| presence.count(&zone_id(name)))
}

#[test]
fn passing_moves_and_counts_with_the_zones_around() {
    let policy = policy(|_| {});
    let mut presence = Presence::new(&policy);
    presence.apply(&policy, &fact(Kind::Passed, 0, 5, "t1", Direction::In));
    assert_eq!(counts(&presence), [0, 1, 1, 0, 0]);
    presence.apply(&policy, &fact(Kind::Passed, 1, 5, "door", Direction::In));
    presence.apply(&policy, &fact(Kind::Passed, 2, 105, "inner", Direction::In));
    assert_eq!(counts(&presence), [0, 1, 0, 1, 1]);
    assert_eq!(presence.inside().collect::<Vec<_>>(), [(person(5), &zone_id("room"), NOW.plus_ms(2000))]);
    presence.apply(&policy, &fact(Kind::Passed, 3, 5, "back", Direction::Out));
    assert_eq!(counts(&presence), [0; 5]);
    assert_eq!(presence.zone_of(person(5)), Some(&zone_id("street")));
    assert_eq!(presence.inside().count(), 0);
}

#[test]
fn facts_without_a_person_a_direction_or_a_known_point_move_nobody() {
    let policy = policy(|_| {});
    let mut presence = Presence::new(&policy);
    let passed = || fact(Kind::Passed, 0, 5, "t1", Direction::In);
    for odd in [
        Draft { person: None, ..passed() },
        Draft { direction: None, ..passed() },
        Draft { point: PointId::new("elsewhere").ok(), ..passed() },
        Draft { kind: Kind::Refused, ..passed() },
    ] {
        presence.apply(&policy, &odd);
    }
    assert_eq!((counts(&presence), presence.zone_of(person(5))), ([0; 5], None));
}

#[test]
fn another_layout_keeps_everybody_whose_zone_still_exists() {
    let before = policy(|_| {});
    let mut presence = Presence::new(&before);
    presence.apply(&before, &fact(Kind::Passed, 0, 0, "t1", Direction::In));
    presence.apply(&before, &fact(Kind::Passed, 0, 6, "t1", Direction::In));
    presence.apply(&before, &fact(Kind::Passed, 1, 6, "door", Direction::In));
    presence.apply(&before, &fact(Kind::Passed, 2, 6, "inner", Direction::In));
    presence.apply(&before, &fact(Kind::Granted, 3, 7, "back", Direction::In));
    let after = policy(|layout| {
        layout.zones.retain(|zone| zone.id.as_str() != "room");
        layout.points.retain(|point| point.id.as_str() != "inner");
        layout.zones.reverse();
        layout.points.reverse();
    });
    presence.adopt(&after);
    assert_eq!(presence.zone_of(person(0)), Some(&zone_id("hall")));
    assert_eq!(presence.zone_of(person(6)), None);
    assert_eq!(counts(&presence), [0, 1, 1, 0, 0]);
    let point = PointId::new("t2").unwrap();
    let again = Request::new(&point, Direction::In, CardId([0; 16]), NOW);
    assert_eq!(decide(&after, &presence, &again).reason, Reason::PassUsed, "the one-time pass stays used");
    presence.apply(&after, &fact(Kind::Passed, 4, 7, "back", Direction::In));
    assert_eq!(counts(&presence), [0, 2, 1, 1, 0]);
    assert_eq!(presence.reserved, [0; 4], "the place reserved before was given back");
}

#[test]
fn a_one_time_pass_granted_before_a_crash_counts_as_used_but_lets_out() {
    let policy = policy(|_| {});
    let mut presence = Presence::new(&policy);
    presence.apply(&policy, &fact(Kind::Granted, 0, 0, "t1", Direction::In));
    let ask = |direction| {
        let point = PointId::new("t1").unwrap();
        decide(&policy, &presence, &Request::new(&point, direction, CardId([0; 16]), NOW.plus_ms(3_600_000))).reason
    };
    assert_eq!(ask(Direction::In), Reason::PassUsed);
    assert_eq!(ask(Direction::Out), Reason::Allowed);
}

#[test]
fn a_grant_not_taken_elsewhere_does_not_give_a_one_time_pass_back() {
    let policy = policy(|_| {});
    let mut presence = Presence::new(&policy);
    presence.apply(&policy, &fact(Kind::Granted, 0, 0, "t1", Direction::In));
    // A soft point grants a used pass too.
    presence.apply(&policy, &fact(Kind::Granted, 1, 0, "t2", Direction::In));
    presence.apply(&policy, &fact(Kind::NotTaken, 2, 0, "t2", Direction::In));
    let point = PointId::new("back").unwrap();
    let again = Request::new(&point, Direction::In, CardId([0; 16]), NOW);
    assert_eq!(decide(&policy, &presence, &again).reason, Reason::PassUsed);
}

#[test]
fn passes_that_the_policy_no_longer_knows_take_no_memory() {
    let before = policy(|_| {});
    let mut presence = Presence::new(&before);
    presence.apply(&before, &fact(Kind::Passed, 0, 0, "t1", Direction::In));
    assert_eq!(presence.one_time.len(), 1);
    presence.adopt(&before);
    assert_eq!(presence.one_time.len(), 1);
    let layout = before.layout().clone();
    presence.adopt(&Policy::compile(PolicySource { layout, credentials: Vec::new(), grants: Vec::new() }, 1).unwrap());
    assert_eq!(presence.one_time.len(), 0);
}

#[test]
fn persons_known_to_be_outside_are_bounded() {
    let policy = policy(|_| {});
    let mut presence = Presence::new(&policy);
    let id = |no: usize| {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&(no as u64).to_le_bytes());
        PersonId(id)
    };
    for no in 0..OUTSIDE_MAX + 100 {
        presence.place(id(no), &zone_id("street"), NOW.plus_ms(no as i64));
    }
    assert_eq!(presence.persons.len(), OUTSIDE_MAX);
    assert_eq!(presence.zone_of(id(99)), None);
    assert_eq!(presence.zone_of(id(100)), Some(&zone_id("street")));
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Tap {
        card: u8,
        point: usize,
        out: bool,
    },
    /// The grant being taken at a point ends.
    End {
        point: usize,
        passed: bool,
    },
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (prop_oneof![0_u8..8, 100_u8..108], 0_usize..5, any::<bool>()).prop_map(|(card, point, out)| Act::Tap {
            card,
            point,
            out
        }),
        (0_usize..5, any::<bool>()).prop_map(|(point, passed)| Act::End { point, passed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// I12, I14: whatever order taps and passages come in, a one-time pass enters once, nobody is let into a full
    /// zone (though somebody may come out into one), the list of those inside is entries minus exits, and the facts alone rebuild the same presence.
    #[test]
    fn random_days_keep_the_invariants(acts in proptest::collection::vec(any_act(), 1..200)) {
        let policy = policy(|_| {});
        let mut presence = Presence::new(&policy);
        let mut facts = Vec::new();
        let mut taking: Map<usize, (u8, Direction)> = Map::new();
        let mut places: Map<u8, &str> = Map::new();
        let mut entries: Map<u8, u32> = Map::new();
        for (second, act) in (0..).zip(acts) {
            let fact = match act {
                Act::Tap { card, point, out } => {
                    let direction = if out { Direction::Out } else { Direction::In };
                    let id = PointId::new(POINTS[point].0).unwrap();
                    let now = NOW.plus_ms(second * 1000);
                    let request = Request::new(&id, direction, CardId([card; 16]), now);
                    if taking.contains_key(&point) || !decide(&policy, &presence, &request).granted() {
                        continue;
                    }
                    let in_ward = |zone: &str| ["ward", "room"].contains(&zone);
                    let was_there = places.get(&(card % 100)).is_some_and(|place| in_ward(place));
                    if direction == Direction::In && in_ward(POINTS[point].2) && !was_there {
                        prop_assert!(presence.count(&zone_id("ward")) < 3, "let into a full ward");
                    }
                    taking.insert(point, (card, direction));
                    fact(Kind::Granted, second, card, POINTS[point].0, direction)
                }
                Act::End { point, passed } => {
                    let Some((card, direction)) = taking.remove(&point) else { continue };
                    let (_, from, to) = POINTS[point];
                    let (_, to) = if direction == Direction::In { (from, to) } else { (to, from) };
                    if passed {
                        places.insert(card % 100, to);
                        if direction == Direction::In && from == "street" {
                            *entries.entry(card).or_default() += 1;
                        }
                    }
                    let kind = if passed { Kind::Passed } else { Kind::NotTaken };
                    fact(kind, second, card, POINTS[point].0, direction)
                }
            };
            presence.apply(&policy, &fact);
            facts.push(fact);
            for card in 0..4 {
                prop_assert!(entries.get(&card).is_none_or(|times| *times <= 1), "one-time pass {card} entered twice");
            }
        }
        let holds = |zone: &str| {
            let within = |place: &&&str| match zone {
                "clinic" => **place != "street",
                "ward" => ["ward", "room"].contains(*place),
                zone => **place == zone && zone != "street",
            };
            places.values().filter(within).count() as u32
        };
        prop_assert_eq!(counts(&presence), ZONES.map(|(name, _)| holds(name)));
        let mut rebuilt = Presence::new(&policy);
        facts.iter().for_each(|fact| rebuilt.apply(&policy, fact));
        let mut adopted = presence.clone();
        adopted.adopt(&self::policy(|layout| layout.points.reverse()));
        adopted.adopt(&policy);
        for other in [rebuilt, adopted] {
            prop_assert_eq!(counts(&other), counts(&presence));
            prop_assert_eq!(&other.reserved, &presence.reserved);
            for card in (0..8).chain(100..108) {
                for (name, _, _) in POINTS {
                    for direction in [Direction::In, Direction::Out] {
                        let id = PointId::new(name).unwrap();
                        let request = Request::new(&id, direction, CardId([card; 16]), NOW.plus_ms(1_000_000));
                        prop_assert_eq!(decide(&policy, &other, &request), decide(&policy, &presence, &request));
                    }
                }
            }
        }
        // All grants ended: nothing stays reserved.
        for (point, (card, direction)) in taking {
            presence.apply(&policy, &fact(Kind::NotTaken, 2_000_000, card, POINTS[point].0, direction));
        }
        prop_assert_eq!(&presence.reserved, &vec![0; ZONES.len()]);
    }
}

#[test]
fn a_late_fact_moves_nobody_of_whom_something_newer_is_known_and_reserves_nothing() {
    let policy = policy(|_| {});
    let mut presence = Presence::new(&policy);
    let late = |kind, seconds, age_s: u32, card, point, direction| Draft {
        age_ms: Some(age_s * 1000),
        ..fact(kind, seconds, card, point, direction)
    };
    presence.apply(&policy, &fact(Kind::Passed, 100, 5, "t1", Direction::Out));
    // Came in a minute before that, and it is told only now.
    presence.apply(&policy, &late(Kind::Granted, 200, 160, 5, "t1", Direction::In));
    presence.apply(&policy, &late(Kind::Passed, 200, 160, 5, "t1", Direction::In));
    assert_eq!(presence.zone_of(person(5)), Some(&zone_id("street")));
    // Came in a minute after that.
    presence.apply(&policy, &late(Kind::Passed, 201, 41, 5, "t1", Direction::In));
    assert_eq!(presence.zone_of(person(5)), Some(&zone_id("hall")));
    assert_eq!(presence.inside().next().unwrap().2, NOW.plus_ms(160_000));
    // A late end gives back what was reserved while the link was up, and only its own person's.
    presence.apply(&policy, &fact(Kind::Granted, 300, 6, "door", Direction::In));
    let reserved = presence.reserved.clone();
    presence.apply(&policy, &late(Kind::Passed, 310, 200, 7, "door", Direction::In));
    assert_eq!(presence.reserved, reserved, "the place of person 6 is still kept");
    presence.apply(&policy, &late(Kind::NotTaken, 320, 15, 6, "door", Direction::In));
    assert_eq!(presence.reserved.iter().sum::<u32>(), 0);
    assert_eq!(presence.count(&zone_id("ward")), 1);
}
