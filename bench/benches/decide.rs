//! The access decision against two floors of the same run: a pointer chase (no lookup in a table of that size can be
//! faster than one read of memory), and Cedar, a general policy engine, on the same rules. Both engines must also
//! give the same answers.
//!
//! `scripts/bench decide`.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::alloc::System;
use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::time::Instant;

use bench::{Goal, heading, line, resident_mb};
use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, RestrictedExpression,
};
use domain::card::SealedNumber;
use domain::decide::{Decision, Request, decide};
use domain::policy::{Credential, Effect, Layout, PassKind, PassState, Point, PointKind, Policy, PolicyBuilder, Rule};
use domain::presence::Presence;
use domain::schedule::{MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use domain::zone::{AntiPassback, Zone};
use domain::{CardId, CategoryId, Direction, PersonId, PointId, ScheduleId, UtcMillis, ZoneId};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Monday 2026-11-23 00:00 UTC.
const WEEK: i64 = 1_795_392_000_000;
const MINUTE: i64 = 60_000;
const POINTS: u64 = 270;
const ROOMS: u64 = 40;
const BUILDINGS: u64 = 4;
const CATEGORIES: u64 = 16;
const INSIDE: u64 = 2000;
const DECISIONS: u64 = 2_000_000;
const CEDAR_DECISIONS: u64 = 20_000;

fn main() {
    println!("{}", heading("access decision, against memory itself and a general policy engine"));
    let full = memory_and_compile_time(1_000_000);
    chase("decision at 10^6 vs pointer chase", &full, 1_000_000, Goal::AtMost(2.0));
    no_allocation(&full, 1_000_000);
    drop(full);
    memory_with_numbers(1_000_000);
    for (name, n) in [("10^5", 100_000), ("10^6", 1_000_000)] {
        let plain = policy(n, true);
        if n < 1_000_000 {
            // The table fits the cache, so this is the decision's own work: shown, and no goal.
            chase("decision at 10^5 vs pointer chase", &policy(n, false), n, Goal::Shown);
        }
        cedar(&format!("decision at {name} vs cedar"), &plain, n);
    }
}

fn memory_and_compile_time(n: u64) -> Policy {
    let before = resident_mb();
    let start = Instant::now();
    let policy = policy(n, false);
    let seconds = start.elapsed().as_secs_f64();
    let megabytes = resident_mb() - before;
    println!("{}", line("resident memory of 10^6 credentials", megabytes, 200.0, "MB", Goal::AtMost(1.0)));
    println!("{}", line("compile 10^6 credentials", seconds, 2.0, "s", Goal::AtMost(1.0)));
    policy
}

/// As [`memory_and_compile_time`], with the sealed number of each card, which peers have to be told.
fn memory_with_numbers(n: u64) {
    let before = resident_mb();
    let mut layout = Layout::empty();
    layout.categories = vec![CategoryId::new("c0").unwrap()];
    let mut builder = PolicyBuilder::new(layout, 0x5EED, n as usize).unwrap();
    for no in 0..n {
        builder.add(&Credential { category: 0, number: Some(SealedNumber(id(no))), ..card(no) }).unwrap();
    }
    let policy = builder.finish();
    assert!(policy.number(CardId(id(n - 1))).is_some());
    let megabytes = resident_mb() - before;
    println!("{}", line("the same with sealed numbers", megabytes, 200.0, "MB", Goal::AtMost(1.0)));
}

fn chase(name: &str, policy: &Policy, n: u64, goal: Goal) {
    let floor = best_of_three(|| pointer_chase(n));
    let presence = presence(policy);
    let points = points();
    let measured = best_of_three(|| dependent_decisions(policy, &presence, &points, n));
    println!("{}", line(name, measured, floor, "ns", goal));
}

fn no_allocation(policy: &Policy, n: u64) {
    let presence = presence(policy);
    let points = points();
    let region = Region::new(ALLOCATOR);
    let mut granted = 0_u64;
    for i in 0..100_000 {
        granted += u64::from(question(policy, &presence, &points, mix(i) % n, mix(i + 7)).granted());
    }
    let change = region.change();
    black_box(granted);
    let count = change.allocations + change.reallocations + change.deallocations;
    // The floor is one: nothing can be a multiple of none.
    println!("{}", line("allocations in 100 000 decisions", count as f64, 1.0, "", Goal::AtMost(0.0)));
}

/// Nanoseconds a step through one random cycle over `n` lines of 64 bytes.
fn pointer_chase(n: u64) -> f64 {
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Line(u64);
    let mut lines: Vec<Line> = (0..n).map(Line).collect();
    // Sattolo's shuffle: one cycle through all.
    for i in (1..n).rev() {
        let j = mix(i) % i;
        lines.swap(i as usize, j as usize);
    }
    let mut at = 0;
    let start = Instant::now();
    for _ in 0..DECISIONS {
        at = lines[at as usize].0;
    }
    let nanoseconds = start.elapsed().as_nanos() as f64;
    black_box(at);
    nanoseconds / DECISIONS as f64
}

/// Nanoseconds a decision, each question depending on the answer before.
fn dependent_decisions(policy: &Policy, presence: &Presence, points: &[PointId], n: u64) -> f64 {
    let mut seed = 1_u64;
    let mut granted = 0_u64;
    let start = Instant::now();
    for i in 0..DECISIONS {
        let decision = question(policy, presence, points, seed % n, i);
        granted += u64::from(decision.granted());
        let person = decision.person.map_or(0, |person| u64::from(person.0[9]));
        seed = mix(seed.wrapping_add(person).wrapping_add(u64::from(decision.granted())));
    }
    let nanoseconds = start.elapsed().as_nanos() as f64;
    assert!(granted > DECISIONS / 20 && granted < DECISIONS, "a benchmark of refusals: {granted}");
    nanoseconds / DECISIONS as f64
}

fn question(policy: &Policy, presence: &Presence, points: &[PointId], card: u64, salt: u64) -> Decision {
    let direction = if salt.is_multiple_of(4) { Direction::Out } else { Direction::In };
    let now = UtcMillis(WEEK + (salt % 10_080) as i64 * MINUTE);
    let point = &points[(salt % POINTS) as usize];
    decide(policy, presence, &Request::new(point, direction, CardId(id(card)), now))
}

fn cedar(name: &str, policy: &Policy, n: u64) {
    let (rules, entities) = (cedar_rules(), cedar_entities(n));
    let authorizer = Authorizer::new();
    let ids = points();
    let presence = Presence::new(policy);
    let questions: Vec<(u64, u64, i64)> = (0..CEDAR_DECISIONS)
        .map(|i| (mix(i) % n, mix(i + 1) % POINTS, WEEK + (mix(i + 2) % 10_080) as i64 * MINUTE))
        .collect();
    // Built beforehand: only deciding is timed.
    let requests: Vec<cedar_policy::Request> =
        questions.iter().map(|(card, point, now)| cedar_request(*card, *point, *now)).collect();
    let start = Instant::now();
    let theirs: Vec<bool> = requests
        .iter()
        .map(|request| authorizer.is_authorized(request, &rules, &entities).decision() == cedar_policy::Decision::Allow)
        .collect();
    let floor = start.elapsed().as_nanos() as f64 / CEDAR_DECISIONS as f64;
    let ask = |(card, point, now): &(u64, u64, i64)| {
        let card = CardId(id(*card));
        decide(policy, &presence, &Request::new(&ids[*point as usize], Direction::In, card, UtcMillis(*now))).granted()
    };
    let ours: Vec<bool> = questions.iter().map(ask).collect();
    assert_eq!(ours, theirs, "both engines must agree");
    // The same questions again would come from the cache: ours are timed dependent, over all cards.
    let measured = best_of_three(|| dependent_decisions(policy, &presence, &ids, n));
    println!("{}", line(name, 1e9 / measured, 1e9 / floor, "/s", Goal::AtLeast(50.0)));
}

fn best_of_three(mut run: impl FnMut() -> f64) -> f64 {
    (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// Steele, Lea and Flood 2014 (SplitMix64).
const fn mix(i: u64) -> u64 {
    let mut z = i.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn id(no: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mix(no).to_le_bytes());
    id[8..].copy_from_slice(&mix(!no).to_le_bytes());
    id
}

fn active(no: u64) -> bool {
    !no.is_multiple_of(20)
}

fn validity(no: u64) -> (i64, i64) {
    if no % 20 == 7 { (0, WEEK - 1) } else { (WEEK - 30 * 1440 * MINUTE, WEEK + 300 * 1440 * MINUTE) }
}

/// Sixteen allow rules and one deny rule: category, zone, and for every other one the working day.
fn rules() -> impl Iterator<Item = (u64, String, bool, bool)> {
    let allow = (0..CATEGORIES).map(|k| {
        let zone = if k.is_multiple_of(3) { "clinic".to_owned() } else { format!("b{}", k % BUILDINGS) };
        (k, zone, k.is_multiple_of(2), false)
    });
    allow.chain([(15, "b3".to_owned(), false, true)])
}

fn zone_id(name: &str) -> ZoneId {
    ZoneId::new(name).unwrap()
}

fn points() -> Vec<PointId> {
    (0..POINTS).map(|i| PointId::new(&format!("p{i}")).unwrap()).collect()
}

/// `plain`: without anti-passback and capacity, which Cedar would need to be told from outside.
fn policy(n: u64, plain: bool) -> Policy {
    let mut layout = Layout::empty();
    layout.built_at = UtcMillis(WEEK);
    layout.zones = vec![Zone { outside: true, ..Zone::new(zone_id("street")) }, Zone::new(zone_id("clinic"))];
    let inside = |name: String, around: String| Zone { inside: Some(zone_id(&around)), ..Zone::new(zone_id(&name)) };
    layout.zones.extend((0..BUILDINGS).map(|b| inside(format!("b{b}"), "clinic".to_owned())));
    layout.zones.extend((0..ROOMS).map(|r| inside(format!("r{r}"), format!("b{}", r % BUILDINGS))));
    if !plain {
        layout.zones[1].capacity = Some(100_000);
        layout.zones.iter_mut().for_each(|zone| zone.anti_passback = AntiPassback::Hard);
    }
    layout.points = points()
        .into_iter()
        .zip(0..)
        .map(|(id, i)| Point::new(id, PointKind::Door, zone_id("street"), zone_id(&format!("r{}", i % ROOMS))))
        .collect();
    layout.categories = (0..CATEGORIES).map(|c| CategoryId::new(&format!("c{c}")).unwrap()).collect();
    let day = ScheduleId::new("day").unwrap();
    let range = MinuteRange { from: 480, until: 1080 };
    let weekly = vec![WeeklyRange { days: Weekdays::WORKING, range }];
    layout.schedules = vec![Schedule { id: day.clone(), weekly, on_holiday: OnHoliday::AsUsual }];
    layout.rules = rules()
        .map(|(category, zone, by_day, deny)| Rule {
            categories: vec![layout.categories[category as usize].clone()],
            zone: Some(zone_id(&zone)),
            schedule: by_day.then(|| day.clone()),
            ..Rule::new(&format!("c{category} in {zone}"), if deny { Effect::Deny } else { Effect::Allow })
        })
        .collect();
    let mut builder = PolicyBuilder::new(layout, 0x5EED, n as usize).unwrap();
    for no in 0..n {
        builder.add(&card(no)).unwrap();
    }
    builder.finish()
}

fn card(no: u64) -> Credential {
    let (from, until) = validity(no);
    Credential {
        card: CardId(id(no)),
        person: PersonId(id(no + (1 << 40))),
        category: (no % CATEGORIES) as u16,
        kind: PassKind::Patient,
        state: if active(no) { PassState::Active } else { PassState::Blocked },
        one_time: false,
        valid_from: Some(UtcMillis(from)),
        valid_until: Some(UtcMillis(until)),
        pin: None,
        duress_pin: None,
        number: None,
    }
}

fn presence(policy: &Policy) -> Presence {
    let mut presence = Presence::new(policy);
    for no in 0..INSIDE {
        let room = zone_id(&format!("r{}", no % ROOMS));
        assert!(presence.place(PersonId(id(no + (1 << 40))), &room, UtcMillis(WEEK)));
    }
    presence
}

fn uid(kind: &str, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse::<EntityTypeName>().unwrap(), EntityId::new(name))
}

fn cedar_rules() -> PolicySet {
    let text: String = rules()
        .map(|(category, zone, by_day, deny)| {
            let effect = if deny { "forbid" } else { "permit" };
            let day = "context.weekday < 5 && context.minute >= 480 && context.minute < 1080";
            let good = "principal.active && principal.from <= context.now && context.now < principal.until";
            let when = if by_day { format!("{good} && {day}") } else { good.to_owned() };
            format!(
                "{effect}(principal in Category::\"c{category}\", action == Action::\"in\", resource in \
                 Zone::\"{zone}\") when {{ {when} }};\n"
            )
        })
        .collect();
    text.parse().unwrap()
}

fn cedar_entities(n: u64) -> Entities {
    let one = |parent: EntityUid| HashSet::from([parent]);
    let categories = (0..CATEGORIES).map(|c| Entity::new_no_attrs(uid("Category", &format!("c{c}")), HashSet::new()));
    let clinic = [Entity::new_no_attrs(uid("Zone", "clinic"), HashSet::new())];
    let buildings =
        (0..BUILDINGS).map(|b| Entity::new_no_attrs(uid("Zone", &format!("b{b}")), one(uid("Zone", "clinic"))));
    let rooms = (0..ROOMS)
        .map(|r| Entity::new_no_attrs(uid("Zone", &format!("r{r}")), one(uid("Zone", &format!("b{}", r % BUILDINGS)))));
    let points = (0..POINTS)
        .map(|p| Entity::new_no_attrs(uid("Point", &format!("p{p}")), one(uid("Zone", &format!("r{}", p % ROOMS)))));
    let cards = (0..n).map(|no| {
        let (from, until) = validity(no);
        let attributes = HashMap::from([
            ("active".to_owned(), RestrictedExpression::new_bool(active(no))),
            ("from".to_owned(), RestrictedExpression::new_long(from)),
            ("until".to_owned(), RestrictedExpression::new_long(until)),
        ]);
        Entity::new(uid("Card", &no.to_string()), attributes, one(uid("Category", &format!("c{}", no % CATEGORIES))))
            .unwrap()
    });
    Entities::from_entities(categories.chain(clinic).chain(buildings).chain(rooms).chain(points).chain(cards), None)
        .unwrap()
}

fn cedar_request(card: u64, point: u64, now: i64) -> cedar_policy::Request {
    let minute = (now - WEEK) / MINUTE;
    let context = Context::from_pairs([
        ("now".to_owned(), RestrictedExpression::new_long(now)),
        ("weekday".to_owned(), RestrictedExpression::new_long(minute / 1440)),
        ("minute".to_owned(), RestrictedExpression::new_long(minute % 1440)),
    ])
    .unwrap();
    let (card, point) = (uid("Card", &card.to_string()), uid("Point", &format!("p{point}")));
    cedar_policy::Request::new(card, uid("Action", "in"), point, context, None).unwrap()
}
