use super::*;
use crate::event::{Draft, Kind};
use crate::ids::{ConditionId, ScheduleId, ZoneId};
use crate::policy::{Asked, Credential, Demand, Effect, Grant, Granted, Layout, Point, PointKind, PolicySource, Rule};
use crate::schedule::{MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use crate::zone::Zone;

mod table;

/// A Wednesday, 12:00 in UTC.
const NOON: UtcMillis = UtcMillis(1_795_608_000_000);
const HOUR: i64 = 3_600_000;

fn zone_id(name: &str) -> ZoneId {
    ZoneId::new(name).unwrap()
}

fn point_id(name: &str) -> PointId {
    PointId::new(name).unwrap()
}

fn zone(name: &str, inside: &str) -> Zone {
    Zone { inside: (!inside.is_empty()).then(|| zone_id(inside)), ..Zone::new(zone_id(name)) }
}

fn point(name: &str, from: &str, to: &str) -> Point {
    Point::new(point_id(name), PointKind::Turnstile, zone_id(from), zone_id(to))
}

fn schedule(name: &str, from: u16, until: u16) -> Schedule {
    let range = MinuteRange { from, until };
    let weekly = vec![WeeklyRange { days: Weekdays::ALL, range }];
    Schedule { id: ScheduleId::new(name).unwrap(), weekly, on_holiday: OnHoliday::AsUsual }
}

fn credential(no: u16, category: u16) -> Credential {
    let mut id = [0x11; 16];
    id[..2].copy_from_slice(&no.to_be_bytes());
    Credential {
        card: CardId(id),
        person: PersonId(id),
        category,
        kind: PassKind::Staff,
        state: PassState::Active,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: None,
    }
}

fn fact(kind: Kind, at: UtcMillis, who: &Credential, point: &PointId, direction: Direction) -> Draft {
    Draft {
        point: Some(point.clone()),
        direction: Some(direction),
        card: Some(who.card),
        person: Some(who.person),
        ..Draft::new(at, kind)
    }
}

/// A street, a hall with a ward in it, two turnstiles and a ward door; no rules, so all valid passes may go.
fn small(change: impl FnOnce(&mut PolicySource)) -> Policy {
    let mut layout = Layout::empty();
    layout.built_at = NOON;
    layout.zones = vec![Zone { outside: true, ..zone("street", "") }, zone("hall", ""), zone("ward", "hall")];
    layout.categories = vec![CategoryId::new("staff").unwrap()];
    layout.points = vec![point("t1", "street", "hall"), point("t2", "street", "hall"), point("door", "hall", "ward")];
    let mut source = PolicySource { layout, credentials: vec![credential(1, 0), credential(2, 0)], grants: Vec::new() };
    change(&mut source);
    Policy::compile(source, 7).unwrap()
}

fn ask(policy: &Policy, presence: &Presence, point: &str, direction: Direction, who: &Credential) -> (bool, Reason) {
    let point = point_id(point);
    let decision = decide(policy, presence, &Request::new(&point, direction, who.card, NOON));
    (decision.granted(), decision.reason)
}

#[test]
fn an_unknown_point_and_a_presence_of_another_layout_never_open() {
    let policy = small(|_| {});
    let presence = Presence::new(&policy);
    assert_eq!(ask(&policy, &presence, "t9", Direction::In, &credential(1, 0)), (false, Reason::NoPoint));
    let other = small(|source| drop(source.layout.points.pop()));
    assert_eq!(ask(&other, &presence, "t1", Direction::In, &credential(1, 0)), (false, Reason::NoPolicy));
    // Applying any fact carries the presence over.
    let mut presence = presence;
    presence.apply(&other, &Draft::new(NOON, Kind::Started));
    assert_eq!(ask(&other, &presence, "t1", Direction::In, &credential(1, 0)), (true, Reason::Allowed));
}

#[test]
fn without_rules_all_valid_passes_go_everywhere_only_if_the_layout_says_so() {
    let policy = small(|_| {});
    assert_eq!(
        ask(&policy, &Presence::new(&policy), "door", Direction::In, &credential(1, 0)),
        (true, Reason::Allowed)
    );
    let policy = small(|source| source.layout.allow_all_if_no_rules = false);
    assert_eq!(
        ask(&policy, &Presence::new(&policy), "door", Direction::In, &credential(1, 0)),
        (false, Reason::NoRule)
    );
}

#[test]
fn a_rule_covers_the_zones_inside_its_zone_and_keeps_to_its_direction() {
    let policy = small(|source| {
        source.layout.rules = vec![Rule {
            zone: Some(zone_id("hall")),
            direction: Some(Direction::In),
            ..Rule::new("in", Effect::Allow)
        }];
    });
    let presence = Presence::new(&policy);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &credential(1, 0)), (true, Reason::Allowed));
    assert_eq!(ask(&policy, &presence, "door", Direction::Out, &credential(1, 0)), (false, Reason::NoRule));
}

#[test]
fn a_rule_for_one_pass_kind_is_silent_about_others() {
    let policy = small(|source| {
        source.layout.rules = vec![
            Rule::new("all", Effect::Allow),
            Rule {
                kinds: vec![PassKind::Visitor],
                zone: Some(zone_id("ward")),
                ..Rule::new("no guests", Effect::Deny)
            },
        ];
        source.credentials[1].kind = PassKind::Visitor;
    });
    let presence = Presence::new(&policy);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &credential(1, 0)), (true, Reason::Allowed));
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &credential(2, 0)), (false, Reason::DeniedByRule));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &credential(2, 0)), (true, Reason::Allowed));
}

#[test]
fn a_rule_is_in_force_within_its_period_only() {
    let policy = small(|source| {
        let period = |name: &str, from, until| Rule {
            valid_from: Some(UtcMillis(from)),
            valid_until: Some(UtcMillis(until)),
            ..Rule::new(name, Effect::Allow)
        };
        source.layout.rules = vec![period("yesterday", 0, NOON.0), period("later", NOON.0 + 1, i64::MAX)];
    });
    let presence = Presence::new(&policy);
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &credential(1, 0)), (false, Reason::OutsideHours));
    let point = point_id("t1");
    for at in [NOON.plus_ms(-1), NOON.plus_ms(1)] {
        assert!(decide(&policy, &presence, &Request::new(&point, Direction::In, credential(1, 0).card, at)).granted());
    }
}

#[test]
fn validity_includes_its_first_instant_and_excludes_its_last() {
    let policy = small(|source| {
        source.credentials[0].valid_from = Some(NOON);
        source.credentials[0].valid_until = Some(NOON.plus_ms(10));
    });
    let presence = Presence::new(&policy);
    let point = point_id("t1");
    let reason = |ms| {
        decide(&policy, &presence, &Request::new(&point, Direction::In, credential(1, 0).card, NOON.plus_ms(ms))).reason
    };
    assert_eq!([-1, 0, 9, 10].map(reason), [Reason::NotYetValid, Reason::Allowed, Reason::Allowed, Reason::Expired]);
}

#[test]
fn one_time_pass_read_by_two_turnstiles_at_once_opens_one() {
    let policy = small(|source| source.credentials[0].one_time = true);
    let who = credential(1, 0);
    let mut presence = Presence::new(&policy);
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), (true, Reason::Allowed));
    presence.apply(&policy, &fact(Kind::Granted, NOON, &who, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &who), (false, Reason::PassUsed));
    // Turned away: the pass is whole again.
    presence.apply(&policy, &fact(Kind::NotTaken, NOON, &who, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &who), (true, Reason::Allowed));
    presence.apply(&policy, &fact(Kind::Granted, NOON, &who, &point_id("t2"), Direction::In));
    presence.apply(&policy, &fact(Kind::Passed, NOON, &who, &point_id("t2"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), (false, Reason::PassUsed));
    // Rooms inside and the exit that belongs to the entry are open, then nothing is.
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &who), (true, Reason::Allowed));
    assert_eq!(ask(&policy, &presence, "t1", Direction::Out, &who), (true, Reason::Allowed));
    presence.apply(&policy, &fact(Kind::Passed, NOON, &who, &point_id("t1"), Direction::Out));
    for (point, direction) in
        [("t1", Direction::In), ("t1", Direction::Out), ("door", Direction::In), ("door", Direction::Out)]
    {
        assert_eq!(ask(&policy, &presence, point, direction, &who), (false, Reason::PassUsed), "{point} {direction}");
    }
}

#[test]
fn a_card_issued_again_is_a_new_one_time_pass() {
    let one_time = |from: i64, person: u8| {
        small(|source| {
            source.credentials[0].one_time = true;
            source.credentials[0].valid_from = Some(UtcMillis(from));
            source.credentials[0].person = PersonId([person; 16]);
        })
    };
    let used = one_time(0, 5);
    let who = Credential { person: PersonId([5; 16]), ..credential(1, 0) };
    let mut presence = Presence::new(&used);
    presence.apply(&used, &fact(Kind::Passed, NOON.plus_ms(-2), &who, &point_id("t1"), Direction::In));
    presence.apply(&used, &fact(Kind::Passed, NOON.plus_ms(-1), &who, &point_id("t1"), Direction::Out));
    assert_eq!(ask(&used, &presence, "t1", Direction::In, &who), (false, Reason::PassUsed));
    for policy in [one_time(NOON.0, 5), one_time(0, 6)] {
        let mut presence = presence.clone();
        presence.adopt(&policy);
        assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), (true, Reason::Allowed));
        // Rebuilt from old facts it is new as well.
        presence.apply(&policy, &fact(Kind::Passed, NOON.plus_ms(-2), &who, &point_id("t1"), Direction::In));
        assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), (true, Reason::Allowed));
    }
}

#[test]
fn timed_reuse_counts_from_the_grant_at_the_same_point_and_direction() {
    let policy = small(|source| source.layout.points[0].reuse_ms = Some(1000));
    let who = credential(1, 0);
    let mut presence = Presence::new(&policy);
    let at = |ms| fact(Kind::Granted, NOON.plus_ms(ms), &who, &point_id("t1"), Direction::In);
    let too_soon = (false, Reason::ReusedTooSoon);
    let free = (true, Reason::Allowed);
    presence.apply(&policy, &at(-999));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), too_soon);
    assert_eq!(ask(&policy, &presence, "t1", Direction::Out, &who), free);
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &who), free);
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &credential(2, 0)), free);
    presence.apply(&policy, &at(-1000));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), free);
    // The clock went back: the use lies ahead.
    presence.apply(&policy, &at(1));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), free);
    presence.apply(&policy, &at(0));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), too_soon);
    let mut forgiven = presence.clone();
    forgiven.forgive(who.person);
    assert_eq!(ask(&policy, &forgiven, "t1", Direction::In, &who), free);
    presence.apply(&policy, &fact(Kind::NotTaken, NOON, &who, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t1", Direction::In, &who), free);
}

#[test]
fn a_card_handed_back_while_the_turnstile_still_waits_is_refused_at_the_next_one() {
    let policy = small(|source| source.layout.zones[1].anti_passback = AntiPassback::Hard);
    let who = credential(1, 0);
    let mut presence = Presence::new(&policy);
    presence.apply(&policy, &fact(Kind::Granted, NOON, &who, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &who), (false, Reason::AntiPassback));
    presence.apply(&policy, &fact(Kind::NotTaken, NOON, &who, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &who), (true, Reason::Allowed));
}

#[test]
fn anti_passback_between_nested_zones_knows_both_sides() {
    let policy = small(|source| source.layout.zones[2].anti_passback = AntiPassback::Hard);
    let who = credential(1, 0);
    let mut presence = Presence::new(&policy);
    let violation = (false, Reason::AntiPassback);
    presence.place(who.person, &zone_id("hall"), NOON);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &who), (true, Reason::Allowed));
    presence.place(who.person, &zone_id("ward"), NOON);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &who), violation);
    assert_eq!(ask(&policy, &presence, "door", Direction::Out, &who), (true, Reason::Allowed));
    presence.forgive_all();
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &who), (true, Reason::Allowed));
    assert_eq!(presence.zone_of(who.person), Some(&zone_id("ward")));
}

#[test]
fn a_point_that_leads_in_from_a_part_to_its_whole_tells_the_sides_apart() {
    let policy = small(|source| {
        source.layout.zones[1].anti_passback = AntiPassback::Hard;
        source.layout.points.push(point("back", "ward", "hall"));
    });
    let who = credential(1, 0);
    let mut presence = Presence::new(&policy);
    presence.place(who.person, &zone_id("ward"), NOON);
    assert_eq!(ask(&policy, &presence, "back", Direction::In, &who), (true, Reason::Allowed));
    presence.place(who.person, &zone_id("hall"), NOON);
    assert_eq!(ask(&policy, &presence, "back", Direction::In, &who), (false, Reason::AntiPassback));
}

#[test]
fn the_last_place_is_not_given_to_two_who_tap_at_once() {
    let policy = small(|source| source.layout.zones[1].capacity = Some(1));
    let (one, two) = (credential(1, 0), credential(2, 0));
    let mut presence = Presence::new(&policy);
    presence.apply(&policy, &fact(Kind::Granted, NOON, &one, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &two), (false, Reason::ZoneFull));
    presence.apply(&policy, &fact(Kind::Passed, NOON, &one, &point_id("t1"), Direction::In));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &two), (false, Reason::ZoneFull));
    // The ward lies in the full hall; who is in the hall already takes no further place there.
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &one), (true, Reason::Allowed));
    presence.apply(&policy, &fact(Kind::Passed, NOON, &one, &point_id("t1"), Direction::Out));
    assert_eq!(ask(&policy, &presence, "t2", Direction::In, &two), (true, Reason::Allowed));
}

#[test]
fn a_workstation_moves_nobody_and_keeps_nobody() {
    let policy = small(|source| {
        source.layout.zones[2].anti_passback = AntiPassback::Hard;
        source.layout.zones[2].capacity = Some(0);
        source.layout.points.push(point("desk", "ward", "ward"));
        source.credentials[0].valid_until = Some(NOON);
    });
    let mut presence = Presence::new(&policy);
    presence.place(credential(2, 0).person, &zone_id("ward"), NOON);
    presence.place(credential(1, 0).person, &zone_id("ward"), NOON);
    assert_eq!(ask(&policy, &presence, "desk", Direction::In, &credential(2, 0)), (true, Reason::Allowed));
    assert_eq!(ask(&policy, &presence, "desk", Direction::Out, &credential(1, 0)), (false, Reason::Expired));
}

#[test]
fn tries_are_counted_by_the_pin_and_not_by_what_a_soft_point_names_first() {
    let policy = small(|source| {
        source.layout.points[0].mode = Mode::Soft;
        source.layout.points[0].verify = Verify::CardPin;
        source.layout.allow_all_if_no_rules = false;
        source.credentials[0].pin = Some(PinHash([1; 16]));
        source.credentials[0].duress_pin = Some(PinHash([2; 16]));
    });
    let (card, point) = (credential(1, 0).card, point_id("t1"));
    let pin = PinEntry::Entered(PinHash([3; 16]));
    let request = Request { pin, ..Request::new(&point, Direction::In, card, NOON) };
    assert_eq!(decide(&policy, &Presence::new(&policy), &request).reason, Reason::NoRule);
    let right = |no| pin_is_right(&policy, card, PinHash([no; 16]));
    assert_eq!([right(1), right(2), right(3)], [Some(true), Some(true), Some(false)]);
    assert_eq!(pin_is_right(&policy, credential(2, 0).card, PinHash([1; 16])), Some(false), "it has none");
    assert_eq!(pin_is_right(&policy, CardId([0; 16]), PinHash([1; 16])), None);
}

#[test]
fn explain_names_the_rule_and_the_zone_that_settled_it() {
    let policy = small(|source| {
        source.layout.schedules = vec![schedule("night", 22 * 60, 6 * 60)];
        source.layout.rules = vec![
            Rule { schedule: Some(ScheduleId::new("night").unwrap()), ..Rule::new("night shift", Effect::Allow) },
            Rule { zone: Some(zone_id("ward")), ..Rule::new("ward round", Effect::Allow) },
        ];
        source.layout.zones[2].capacity = Some(0);
    });
    let presence = Presence::new(&policy);
    let (hall, ward) = (point_id("t1"), point_id("door"));
    let hall = explain(&policy, &presence, &Request::new(&hall, Direction::In, credential(1, 0).card, NOON));
    assert_eq!(
        hall.steps.last(),
        Some(&Step {
            check: Check::Rule,
            outcome: Outcome::Failed(Reason::OutsideHours),
            about: Some("night shift".to_owned())
        })
    );
    assert_eq!(hall.category, Some(CategoryId::new("staff").unwrap()));
    let ward = explain(&policy, &presence, &Request::new(&ward, Direction::In, credential(1, 0).card, NOON));
    let last_two: Vec<_> = ward.steps.iter().rev().take(2).map(|step| (step.check, step.about.as_deref())).collect();
    assert_eq!(last_two, [(Check::Capacity, Some("ward")), (Check::Rule, Some("ward round"))]);
}

/// The ward asks patients for a visit and everybody for a training; `one` is a patient, `two` is staff.
fn asking(change: impl FnOnce(&mut PolicySource)) -> Policy {
    small(|source| {
        let training = Asked::Condition(ConditionId::new("training").unwrap());
        source.layout.demands = vec![
            Demand::purpose(zone_id("ward")),
            Demand { zone: zone_id("ward"), asked: training, kinds: vec![PassKind::Staff] },
        ];
        source.layout.zones.push(zone("room", "ward"));
        source.layout.zones.push(zone("other", "ward"));
        source.layout.points.push(point("room", "ward", "room"));
        source.layout.points.push(point("straight", "hall", "room"));
        source.credentials[0].kind = PassKind::Patient;
        change(source);
    })
}

fn visit(policy_zone: u16, from: i64, until: i64) -> Grant {
    let (from, until) = (NOON.plus_ms(from), NOON.plus_ms(until));
    Grant { person: credential(1, 0).person, of: Granted::Zone(policy_zone), from, until }
}

#[test]
fn a_zone_that_asks_lets_in_whom_a_visit_leads_there_into_it_or_through_it() {
    let (patient, staff) = (credential(1, 0), credential(2, 0));
    let at = |grants: Vec<Grant>, point| {
        let policy = asking(|source| source.grants = grants);
        ask(&policy, &Presence::new(&policy), point, Direction::In, &patient)
    };
    let (allowed, no_purpose) = ((true, Reason::Allowed), (false, Reason::NoPurpose));
    assert_eq!(at(vec![], "t1"), allowed, "the hall asks nothing");
    assert_eq!(at(vec![], "door"), no_purpose);
    assert_eq!(at(vec![], "straight"), no_purpose, "a way into a part leads into the whole");
    assert_eq!(at(vec![], "room"), allowed, "who is in the ward already does not enter it");
    // Zones: 0 street, 1 hall, 2 ward, 3 room, 4 other.
    assert_eq!(at(vec![visit(2, 0, 1)], "door"), allowed);
    assert_eq!(at(vec![visit(3, 0, 1)], "door"), allowed, "the way to the room leads through the ward");
    assert_eq!(at(vec![visit(1, 0, 1)], "door"), allowed, "the whole hall with what is in it");
    assert_eq!(at(vec![visit(0, 0, 1)], "door"), no_purpose);
    assert_eq!(at(vec![visit(2, 1, 9), visit(2, -9, 0)], "door"), no_purpose, "later, and before");
    assert_eq!(at(vec![visit(2, 1, 9), visit(0, 0, 1), visit(3, 0, 1)], "straight"), allowed);
    let policy = asking(|_| {});
    let presence = Presence::new(&policy);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &staff), (false, Reason::ConditionMissing));
    assert_eq!(ask(&policy, &presence, "door", Direction::Out, &staff), allowed, "nothing is asked on the way out");
    let training = Grant { person: staff.person, of: Granted::Condition(0), ..visit(0, 0, 1) };
    let policy = asking(|source| source.grants = vec![training, visit(2, 0, 1)]);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &staff), allowed);
    assert_eq!(ask(&policy, &presence, "door", Direction::In, &patient), allowed);
}

#[test]
fn explain_names_the_zone_that_asks_and_the_condition_that_is_missing() {
    let policy = asking(|_| {});
    let door = point_id("door");
    let last = |who: &Credential| {
        let explained = explain(&policy, &Presence::new(&policy), &Request::new(&door, Direction::In, who.card, NOON));
        explained.steps.last().cloned().unwrap()
    };
    let step = |reason, about: &str| Step {
        check: Check::Demand,
        outcome: Outcome::Failed(reason),
        about: Some(about.to_owned()),
    };
    assert_eq!(last(&credential(1, 0)), step(Reason::NoPurpose, "ward"));
    assert_eq!(last(&credential(2, 0)), step(Reason::ConditionMissing, "training"));
}

#[test]
fn a_device_alone_is_told_nobody_of_whom_a_zone_asks_more() {
    let policy = asking(|source| source.grants = vec![visit(2, 0, 1)]);
    let pass = |no| *policy.pass(credential(no, 0).card).unwrap();
    let may = |no, point: &str| policy.may_pass_offline(&pass(no), &point_id(point), NOON);
    assert!(!may(1, "door") && !may(2, "door") && !may(1, "straight"));
    assert!(may(1, "t1") && may(2, "t1") && may(1, "room"));
}
