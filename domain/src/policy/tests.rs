use proptest::prelude::*;

use super::*;
use crate::schedule::ScheduleError;
use crate::zone::ZoneError;

fn zone_id(name: &str) -> ZoneId {
    ZoneId::new(name).unwrap()
}

fn category(name: &str) -> CategoryId {
    CategoryId::new(name).unwrap()
}

fn credential(no: u32) -> Credential {
    let mut id = [0x5A; 16];
    id[..4].copy_from_slice(&no.to_le_bytes());
    Credential {
        card: CardId(id),
        person: PersonId(id),
        category: 0,
        kind: PassKind::Patient,
        state: PassState::Active,
        one_time: false,
        valid_from: None,
        valid_until: None,
        pin: None,
        duress_pin: None,
        number: None,
    }
}

fn layout() -> Layout {
    let mut layout = Layout::empty();
    layout.zones = vec![Zone { outside: true, ..Zone::new(zone_id("street")) }, Zone::new(zone_id("hall"))];
    layout.categories = vec![category("patient")];
    let id = PointId::new("t1").unwrap();
    layout.points = vec![Point::new(id, PointKind::Turnstile, zone_id("street"), zone_id("hall"))];
    layout
}

fn error(change: impl FnOnce(&mut PolicySource)) -> PolicyError {
    let mut source = PolicySource { layout: layout(), credentials: vec![credential(1)], grants: Vec::new() };
    change(&mut source);
    Policy::compile(source, 1).unwrap_err()
}

#[test]
fn errors_name_the_item_to_change() {
    let rule = || Rule::new("visitors", Effect::Allow);
    assert_eq!(
        error(|source| source.layout.rules = vec![Rule { zone: Some(zone_id("hal")), ..rule() }]).to_string(),
        "rule \"visitors\" names the zone \"hal\", which does not exist"
    );
    assert_eq!(
        error(|source| source.layout.rules = vec![Rule { categories: vec![category("guest")], ..rule() }]).to_string(),
        "rule \"visitors\" names the category \"guest\", which does not exist"
    );
    assert_eq!(
        error(|source| source.layout.rules = vec![Rule { schedule: ScheduleId::new("day").ok(), ..rule() }])
            .to_string(),
        "rule \"visitors\" names the schedule \"day\", which does not exist"
    );
    let period =
        |from, until| Rule { valid_from: Some(UtcMillis(from)), valid_until: Some(UtcMillis(until)), ..rule() };
    assert_eq!(
        error(|source| source.layout.rules = vec![period(5, 5)]),
        PolicyError::RulePeriod("visitors".to_owned())
    );
    assert_eq!(
        error(|source| source.layout.points[0].to = zone_id("hal")).to_string(),
        "point \"t1\" names the zone \"hal\", which does not exist"
    );
    let first = |source: &PolicySource| source.layout.points[0].clone();
    assert_eq!(error(|source| source.layout.points.push(first(source))).to_string(), "point \"t1\" is declared twice");
    assert!(matches!(
        error(|source| source.layout.points[0].reuse_ms = Some(REUSE_MAX_MS + 1)),
        PolicyError::PointReuse(_)
    ));
    assert_eq!(
        error(|source| source.layout.categories.push(category("patient"))),
        PolicyError::CategoryTwice(category("patient"))
    );
    assert_eq!(
        error(|source| source.layout.zones.push(Zone::new(zone_id("hall")))),
        PolicyError::Zone(ZoneError::Twice(zone_id("hall")))
    );
    assert_eq!(
        error(|source| source.layout.time_zone = "Kyiv".to_owned()),
        PolicyError::Schedule(ScheduleError::TimeZone("Kyiv".to_owned()))
    );
    assert_eq!(error(|source| source.credentials.push(credential(1))), PolicyError::CardTwice(credential(1).card));
    assert_eq!(
        error(|source| source.credentials[0].category = 1),
        PolicyError::CardCategory { card: credential(1).card, category: 1, categories: 1 }
    );
    let same = Some(PinHash([1; 16]));
    assert_eq!(
        error(|source| (source.credentials[0].pin, source.credentials[0].duress_pin) = (same, same)),
        PolicyError::CardPins(credential(1).card)
    );
}

#[test]
fn what_zones_ask_names_zones_and_conditions_that_exist() {
    let asks = |name| Demand::purpose(zone_id(name));
    assert_eq!(
        error(|source| source.layout.demands = vec![asks("hal")]).to_string(),
        "something is asked of those who enter the zone \"hal\", which does not exist"
    );
    assert_eq!(
        error(|source| source.layout.demands = vec![asks("hall"); DEMANDS_MAX + 1]),
        PolicyError::TooManyDemands(DEMANDS_MAX + 1)
    );
    let grant = |of| Grant { person: credential(1).person, of, from: UtcMillis(0), until: UtcMillis(1) };
    assert_eq!(error(|source| source.grants = vec![grant(Granted::Zone(2))]), PolicyError::GrantPosition);
    assert_eq!(error(|source| source.grants = vec![grant(Granted::Condition(0))]), PolicyError::GrantPosition);
}

#[test]
fn what_is_too_much_is_refused_before_it_takes_memory() {
    let many = |count: usize| (0..count).map(|i| category(&format!("c{i}"))).collect::<Vec<_>>();
    assert_eq!(error(|source| source.layout.categories = many(1025)), PolicyError::TooManyCategories(1025));
    let zones = || (0..600).map(|i| Zone::new(zone_id(&format!("z{i}"))));
    assert_eq!(
        error(|source| {
            source.layout.categories = many(1000);
            source.layout.zones.extend(zones());
        }),
        PolicyError::RuleTableTooLarge
    );
    assert_eq!(
        error(|source| {
            source.layout.categories = many(500);
            source.layout.zones.extend(zones());
            source.layout.rules = vec![Rule::new("all", Effect::Allow); 1000];
        }),
        PolicyError::RuleTableTooLarge
    );
    assert_eq!(PolicyBuilder::new(layout(), 1, usize::MAX).unwrap_err(), PolicyError::TooManyCredentials);
}

#[test]
fn zones_that_are_only_mentioned_are_added_and_the_street_is_outside() {
    let mut layout = Layout::empty();
    let point =
        |name, from, to| Point::new(PointId::new(name).unwrap(), PointKind::Turnstile, zone_id(from), zone_id(to));
    layout.zones = vec![Zone { inside: Some(zone_id("clinic")), ..Zone::new(zone_id("hall")) }];
    layout.points = vec![point("t1", "street", "hall"), point("d1", "hall", "ward"), point("w1", "ward", "ward")];
    layout.complete_zones();
    let found: Vec<(&str, bool)> = layout.zones.iter().map(|zone| (zone.id.as_str(), zone.outside)).collect();
    assert_eq!(found, [("hall", false), ("clinic", false), ("street", true), ("ward", false)]);
    // A declared outside zone is believed.
    layout.zones[2] = Zone::new(zone_id("street"));
    layout.zones[3].outside = true;
    layout.complete_zones();
    assert!(!layout.zones[2].outside);
    assert!(Policy::compile(PolicySource { layout, credentials: Vec::new(), grants: Vec::new() }, 1).is_ok());
}

#[test]
fn codes_round_trip_and_accept_hyphens() {
    for kind in PassKind::ALL {
        assert_eq!(PassKind::parse(kind.as_str()), Some(*kind));
    }
    assert_eq!(PassKind::parse("patient-temporary"), Some(PassKind::PatientTemporary));
    assert_eq!(PassKind::parse("Patient"), None);
    assert_eq!(Verify::parse("card-pin"), Some(Verify::CardPin));
    assert_eq!(PointKind::parse("turnstile"), Some(PointKind::Turnstile));
    assert!(PassKind::Visitor.is_one_time_by_default() && !PassKind::Patient.is_one_time_by_default());
}

#[test]
fn cards_may_come_in_greater_number_than_announced() {
    let mut builder = PolicyBuilder::new(layout(), 9, 0).unwrap();
    for no in 0..10_000_u32 {
        let pin = no.is_multiple_of(100).then_some(PinHash([no as u8; 16]));
        builder.add(&Credential { pin, ..credential(no) }).unwrap();
    }
    let policy = builder.finish();
    assert_eq!((policy.credentials(), policy.passes().count()), (10_000, 10_000));
    for no in 0..10_000_u32 {
        let pass = policy.pass(credential(no).card).unwrap();
        let pin = policy.pins(pass).and_then(|pins| pins.pin);
        assert_eq!((pass.person(), pin.is_some()), (credential(no).person, no.is_multiple_of(100)));
    }
    assert!(policy.pass(credential(10_000).card).is_none());
}

#[test]
fn a_million_cards_are_planned_within_their_memory() {
    // The table is sized before any card is added; filling it is timed in the benchmark.
    let policy = PolicyBuilder::new(layout(), 1, 1_000_000).unwrap().finish();
    assert!(policy.credential_bytes() <= 110_000_000, "{}", policy.credential_bytes());
}

#[test]
fn a_million_numbers_are_16_bytes_more_each() {
    let filled = |numbers: bool| {
        let mut builder = PolicyBuilder::new(layout(), 1, 100_000).unwrap();
        for no in 0..100_000_u32 {
            let number = numbers.then_some(SealedNumber([no as u8; 16]));
            builder.add(&Credential { number, ..credential(no) }).unwrap();
        }
        builder.finish()
    };
    let (with, without) = (filled(true), filled(false));
    // A table that grows has up to twice the room: 123 MB for a million, 141 MB at the worst.
    assert!(with.credential_bytes() <= without.credential_bytes() + 100_000 * 32, "{}", with.credential_bytes());
    assert_eq!(
        without.credential_bytes(),
        PolicyBuilder::new(layout(), 1, 100_000).unwrap().finish().credential_bytes()
    );
    assert_eq!(with.number(credential(7).card), Some(SealedNumber([7; 16])));
    assert_eq!((without.number(credential(7).card), with.number(credential(100_000).card)), (None, None));
    assert!(with.has_numbers() && !without.has_numbers());
}

/// A policy of one point and the rules given, and the pass of a card like `card`.
fn with_rules(rules: Vec<Rule>, card: Credential, change: impl FnOnce(&mut Layout)) -> (Policy, Pass) {
    let mut layout = Layout { rules, ..layout() };
    layout.categories.push(category("staff"));
    change(&mut layout);
    let policy = Policy::compile(PolicySource { layout, credentials: vec![card], grants: Vec::new() }, 1).unwrap();
    let pass = *policy.pass(card.card).unwrap();
    (policy, pass)
}

const NOW: UtcMillis = UtcMillis(1_000_000);

#[test]
fn whom_a_device_may_be_told_is_whom_some_rule_admits_and_none_forbids() {
    let point = PointId::new("t1").unwrap();
    let may = |rules: &[Rule]| {
        let (policy, pass) = with_rules(rules.to_vec(), credential(1), |_| {});
        policy.may_ever_pass(&pass, &point, NOW)
    };
    let allow = || Rule::new("allow", Effect::Allow);
    let deny = || Rule::new("deny", Effect::Deny);
    let before = |rule: Rule| Rule { valid_until: Some(NOW), ..rule };
    let later = |rule: Rule| Rule { valid_from: Some(NOW.plus_ms(1)), ..rule };
    let others = |rule: Rule| Rule { categories: vec![category("staff")], ..rule };
    let staff = |rule: Rule| Rule { kinds: vec![PassKind::Staff], ..rule };
    let street = |rule: Rule| Rule { zone: Some(zone_id("street")), ..rule };
    let out = |rule: Rule| Rule { direction: Some(Direction::Out), ..rule };
    assert!(may(&[]), "no rule at all lets everybody pass");
    assert!(may(&[allow()]) && may(&[later(allow())]) && may(&[out(allow())]));
    assert!(
        !may(&[before(allow())]) && !may(&[others(allow())]) && !may(&[staff(allow())]) && !may(&[street(allow())])
    );
    assert!(!may(&[allow(), deny()]) && !may(&[deny(), allow()]), "wherever the deny rule stands");
    assert!(!may(&[allow(), later(deny())]), "a device would not notice when it begins");
    assert!(may(&[allow(), before(deny())]) && may(&[allow(), others(deny())]) && may(&[allow(), staff(deny())]));
    assert!(may(&[allow(), out(deny())]), "in is still allowed");
    let (policy, pass) = with_rules(vec![allow(), out(deny())], credential(1), |_| {});
    let may_go = |direction| policy.may_ever_go(&pass, &point, direction, NOW);
    assert_eq!((may_go(Direction::In), may_go(Direction::Out)), (true, false));
    assert!(!may(&[out(allow()), out(deny())]));
}

#[test]
fn schedules_do_not_matter_a_soft_point_lets_everybody_pass_an_unknown_one_nobody() {
    let point = PointId::new("t1").unwrap();
    let never = Schedule {
        id: ScheduleId::new("never").unwrap(),
        weekly: Vec::new(),
        on_holiday: crate::schedule::OnHoliday::Closed,
    };
    let rule = Rule { schedule: Some(never.id.clone()), ..Rule::new("allow", Effect::Allow) };
    let (policy, pass) = with_rules(vec![rule], credential(1), |layout| layout.schedules = vec![never]);
    assert!(policy.may_ever_pass(&pass, &point, NOW));
    let (policy, pass) =
        with_rules(vec![Rule::new("deny", Effect::Deny)], credential(1), |layout| layout.points[0].mode = Mode::Soft);
    assert!(policy.may_ever_pass(&pass, &point, NOW));
    assert!(!policy.may_ever_pass(&pass, &PointId::new("t2").unwrap(), NOW));
    assert!(!policy.may_pass_offline(&pass, &PointId::new("t2").unwrap(), NOW));
}

#[test]
fn a_device_alone_may_let_in_only_passes_that_work_without_us() {
    let point = PointId::new("t1").unwrap();
    let may = |card: Credential, verify: Verify| {
        let (policy, pass) = with_rules(vec![], card, |layout| layout.points[0].verify = verify);
        policy.may_pass_offline(&pass, &point, NOW)
    };
    assert!(may(credential(1), Verify::Card));
    assert!(!may(credential(1), Verify::CardPin), "it knows no PIN of ours");
    assert!(!may(Credential { one_time: true, ..credential(1) }, Verify::Card), "it would let it in again and again");
    for state in [PassState::Blocked, PassState::Lost, PassState::Withdrawn] {
        assert!(!may(Credential { state, ..credential(1) }, Verify::Card));
    }
    assert!(!may(Credential { valid_until: Some(NOW), ..credential(1) }, Verify::Card));
    assert!(may(Credential { valid_until: Some(NOW.plus_ms(1)), ..credential(1) }, Verify::Card));
    assert!(may(Credential { valid_from: Some(NOW.plus_ms(1)), ..credential(1) }, Verify::Card), "told with its date");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The table against a plain map, with ids made to collide in all but a few bits.
    #[test]
    fn lookups_equal_a_plain_map(seed: u64, cards in proptest::collection::vec(0_u8..=255, 0..300)) {
        let id = |no: u8| CardId([no & 0x0F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, no >> 4]);
        let mut builder = PolicyBuilder::new(layout(), seed, 3).unwrap();
        let mut map = std::collections::BTreeMap::new();
        for (i, no) in cards.iter().enumerate() {
            let new = Credential { card: id(*no), valid_from: Some(UtcMillis(i as i64)), ..credential(0) };
            let fresh = !map.contains_key(no);
            prop_assert_eq!(builder.add(&new).is_ok(), fresh);
            map.entry(*no).or_insert(i as i64);
        }
        let policy = builder.finish();
        for no in 0..=255 {
            let found = policy.pass(id(no)).map(|pass| pass.valid_from().0);
            prop_assert_eq!(found, map.get(&no).copied());
        }
    }
}
