//! Every combination of everything that a decision depends on, against a slow reference that is written from the
//! documented order of checks and shares no code with [`decide`].

use super::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Validity {
    Early,
    Good,
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Nothing,
    Allow,
    AllowAtNight,
    AllowAndDeny,
    AllowAndDenyAtNight,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum OneTime {
    No,
    Unused,
    Inside,
    Left,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Whereabouts {
    Unknown,
    Outside,
    Here,
    HereForgiven,
    OtherRoom,
}

/// What the room asks besides, and whether it is there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asks {
    Nothing,
    Visit,
    VisitThere,
    Condition,
    ConditionHolds,
    BothMissing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Entered {
    NotYet,
    Missing,
    Right,
    Wrong,
    Duress,
    Locked,
}

const STATES: [PassState; 4] = [PassState::Active, PassState::Blocked, PassState::Lost, PassState::Withdrawn];
const VALIDITIES: [Validity; 3] = [Validity::Early, Validity::Good, Validity::Late];
const RULES: [Says; 5] =
    [Says::Nothing, Says::Allow, Says::AllowAtNight, Says::AllowAndDeny, Says::AllowAndDenyAtNight];
const ONE_TIMES: [OneTime; 4] = [OneTime::No, OneTime::Unused, OneTime::Inside, OneTime::Left];
const WHEREABOUTS: [Whereabouts; 5] =
    [Whereabouts::Unknown, Whereabouts::Outside, Whereabouts::Here, Whereabouts::HereForgiven, Whereabouts::OtherRoom];
const PINS: [Entered; 6] =
    [Entered::NotYet, Entered::Missing, Entered::Right, Entered::Wrong, Entered::Duress, Entered::Locked];
const CONDITIONS: [PointCondition; 6] = [
    PointCondition::Ready,
    PointCondition::Busy,
    PointCondition::Interlocked,
    PointCondition::Locked,
    PointCondition::FreePassage,
    PointCondition::Emergency,
];
const ASKS: [Asks; 5] = [Asks::Visit, Asks::VisitThere, Asks::Condition, Asks::ConditionHolds, Asks::BothMissing];
const PASSBACKS: [AntiPassback; 3] = [AntiPassback::None, AntiPassback::Soft, AntiPassback::Hard];
const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];
const MODES: [Mode; 2] = [Mode::Hard, Mode::Soft];
const VERIFIES: [Verify; 2] = [Verify::Card, Verify::CardPin];
const YES_NO: [bool; 2] = [false, true];

#[derive(Debug, Clone, Copy)]
struct Holder {
    state: PassState,
    validity: Validity,
    says: Says,
    one_time: OneTime,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    mode: Mode,
    passback: AntiPassback,
    full: bool,
    verify: Verify,
    asks: Asks,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// `None`: the card is unknown.
    holder: Option<Holder>,
    whereabouts: Whereabouts,
    place: Place,
    direction: Direction,
    pin: Entered,
    condition: PointCondition,
    policy_too_old: bool,
}

type Answer = (Verdict, Reason, bool, bool);

/// The documented order of checks, read aloud.
fn reference(row: &Row) -> Answer {
    match row.condition {
        PointCondition::Emergency if row.direction == Direction::Out => {
            return (Verdict::Granted, Reason::Emergency, false, false);
        }
        PointCondition::Locked => return (Verdict::Refused, Reason::PointLocked, false, false),
        PointCondition::FreePassage => return (Verdict::Granted, Reason::FreePassage, false, false),
        PointCondition::Ready | PointCondition::Emergency | PointCondition::Busy | PointCondition::Interlocked => {}
    }
    // Each fault with whether it is only noted, at a hard point too.
    let mut faults: Vec<(Reason, bool)> = Vec::new();
    let mut ask_pin = false;
    match row.holder {
        None => faults.push((Reason::UnknownCard, false)),
        Some(holder) => ask_pin = holder_faults(row, holder, &mut faults),
    }
    let soft_point = row.place.mode == Mode::Soft;
    let of_pin = |reason: Reason| matches!(reason, Reason::PinMissing | Reason::PinWrong | Reason::PinLocked);
    let refusing = faults.iter().find(|(_, note_only)| !soft_point && !note_only).map(|(reason, _)| *reason);
    if let Some(reason) = refusing.filter(|reason| !of_pin(*reason)) {
        return (Verdict::Refused, reason, false, false);
    }
    match row.condition {
        PointCondition::Interlocked => return (Verdict::Refused, Reason::Interlock, false, false),
        PointCondition::Busy => return (Verdict::Refused, Reason::PointBusy, false, false),
        _ => {}
    }
    if let Some(reason) = refusing {
        return (Verdict::Refused, reason, false, false);
    }
    if ask_pin {
        return (Verdict::AskPin, Reason::PinMissing, false, false);
    }
    let duress = row.holder.is_some() && row.pin == Entered::Duress;
    match faults.first() {
        Some((reason, _)) => (Verdict::Granted, *reason, true, duress),
        None => (Verdict::Granted, Reason::Allowed, false, duress),
    }
}

/// `true`: everything else being settled, the PIN must be asked for.
fn holder_faults(row: &Row, holder: Holder, faults: &mut Vec<(Reason, bool)>) -> bool {
    let known_inside = !matches!(row.whereabouts, Whereabouts::Unknown | Whereabouts::Outside);
    let leaving = row.direction == Direction::Out && known_inside;
    let entering = row.direction == Direction::In;
    match holder.state {
        PassState::Active => {}
        PassState::Blocked => faults.push((Reason::Blocked, false)),
        PassState::Lost => faults.push((Reason::Lost, false)),
        PassState::Withdrawn if leaving => {}
        PassState::Withdrawn => faults.push((Reason::Withdrawn, false)),
    }
    if leaving {
        return false;
    }
    if row.policy_too_old {
        faults.push((Reason::PolicyTooOld, false));
    }
    match holder.validity {
        Validity::Early => faults.push((Reason::NotYetValid, false)),
        Validity::Late => faults.push((Reason::Expired, false)),
        Validity::Good => {}
    }
    let used = match holder.one_time {
        OneTime::No | OneTime::Unused => false,
        OneTime::Inside => entering,
        OneTime::Left => true,
    };
    if used {
        faults.push((Reason::PassUsed, false));
    }
    match holder.says {
        Says::Nothing => faults.push((Reason::NoRule, false)),
        Says::AllowAtNight => faults.push((Reason::OutsideHours, false)),
        Says::AllowAndDeny => faults.push((Reason::DeniedByRule, false)),
        Says::Allow | Says::AllowAndDenyAtNight => {}
    }
    if entering {
        let missing: &[Reason] = match row.place.asks {
            Asks::Nothing | Asks::VisitThere | Asks::ConditionHolds => &[],
            Asks::Visit => &[Reason::NoPurpose],
            Asks::Condition => &[Reason::ConditionMissing],
            Asks::BothMissing => &[Reason::ConditionMissing, Reason::NoPurpose],
        };
        faults.extend(missing.iter().map(|reason| (*reason, false)));
    }
    let already_there = match row.whereabouts {
        Whereabouts::Here | Whereabouts::OtherRoom => entering,
        Whereabouts::Outside => !entering,
        Whereabouts::HereForgiven | Whereabouts::Unknown => false,
    };
    if already_there && row.place.passback != AntiPassback::None {
        faults.push((Reason::AntiPassback, row.place.passback == AntiPassback::Soft));
    }
    let in_the_room = matches!(row.whereabouts, Whereabouts::Here | Whereabouts::HereForgiven);
    if row.place.full && entering && !in_the_room {
        faults.push((Reason::ZoneFull, false));
    }
    if row.place.verify == Verify::Card || !entering {
        return false;
    }
    match row.pin {
        Entered::NotYet => return true,
        Entered::Missing => faults.push((Reason::PinMissing, false)),
        Entered::Wrong => faults.push((Reason::PinWrong, false)),
        Entered::Locked => faults.push((Reason::PinLocked, false)),
        Entered::Right | Entered::Duress => {}
    }
    false
}

fn holders() -> Vec<Holder> {
    let mut all = Vec::new();
    for state in STATES {
        for validity in VALIDITIES {
            for says in RULES {
                for one_time in ONE_TIMES {
                    all.push(Holder { state, validity, says, one_time });
                }
            }
        }
    }
    all
}

fn places() -> Vec<(Place, PointId, ZoneId)> {
    let mut rooms = Vec::new();
    for passback in PASSBACKS {
        for full in YES_NO {
            rooms.push((passback, full, Asks::Nothing));
        }
    }
    rooms.extend(ASKS.map(|asks| (AntiPassback::Hard, true, asks)));
    let mut all = Vec::new();
    for (passback, full, asks) in rooms {
        let room = zone_id(&format!("room-{passback:?}-{full}-{asks:?}"));
        for mode in MODES {
            for verify in VERIFIES {
                let name = point_id(&format!("{room}-{mode}-{verify}"));
                all.push((Place { mode, passback, full, verify, asks }, name, room.clone()));
            }
        }
    }
    all
}

fn position(says: Says) -> u16 {
    RULES.iter().position(|other| *other == says).unwrap() as u16
}

fn source() -> PolicySource {
    let mut layout = Layout::empty();
    layout.built_at = NOON;
    layout.zones = vec![Zone { outside: true, ..zone("street", "") }, zone("clinic", ""), zone("other", "clinic")];
    layout.points = vec![point("gate", "street", "clinic")];
    for (place, name, room) in places() {
        let capacity = Some(if place.full { 1 } else { 1000 });
        if layout.zones.iter().all(|zone| zone.id != room) {
            let asked = |asked| Demand { zone: room.clone(), asked, kinds: Vec::new() };
            let condition = |name| asked(Asked::Condition(ConditionId::new(name).unwrap()));
            match place.asks {
                Asks::Nothing => {}
                Asks::Visit | Asks::VisitThere => layout.demands.push(asked(Asked::Purpose)),
                Asks::Condition => layout.demands.push(condition("missing")),
                Asks::ConditionHolds => layout.demands.push(condition("contract")),
                Asks::BothMissing => layout.demands.extend([asked(Asked::Purpose), condition("missing")]),
            }
            let room = zone(room.as_str(), "clinic");
            layout.zones.push(Zone { anti_passback: place.passback, capacity, ..room });
        }
        let base = Point::new(name, PointKind::Door, zone_id("street"), room);
        layout.points.push(Point { mode: place.mode, verify: place.verify, ..base });
    }
    layout.schedules = vec![schedule("night", 22 * 60, 6 * 60)];
    layout.categories = (0..RULES.len()).map(|i| CategoryId::new(&format!("category-{i}")).unwrap()).collect();
    let night = || Some(ScheduleId::new("night").unwrap());
    let rule = |says: Says, effect, schedule| Rule {
        categories: vec![layout.categories[usize::from(position(says))].clone()],
        zone: Some(zone_id("clinic")),
        schedule,
        ..Rule::new(&format!("{says:?} {effect}"), effect)
    };
    layout.rules = vec![
        rule(Says::Allow, Effect::Allow, None),
        rule(Says::AllowAtNight, Effect::Allow, night()),
        rule(Says::AllowAndDeny, Effect::Allow, None),
        rule(Says::AllowAndDeny, Effect::Deny, None),
        rule(Says::AllowAndDenyAtNight, Effect::Allow, None),
        rule(Says::AllowAndDenyAtNight, Effect::Deny, night()),
    ];
    let credentials = (0..).zip(holders()).map(|(no, holder)| Credential {
        state: holder.state,
        one_time: holder.one_time != OneTime::No,
        valid_from: Some(NOON.plus_ms(if holder.validity == Validity::Early { HOUR } else { -HOUR })),
        valid_until: Some(NOON.plus_ms(if holder.validity == Validity::Late { 0 } else { 2 * HOUR })),
        pin: Some(PinHash([1; 16])),
        duress_pin: Some(PinHash([2; 16])),
        ..credential(no, position(holder.says))
    });
    let credentials: Vec<Credential> = credentials.collect();
    let there = layout.zones.iter().position(|zone| zone.id.as_str().ends_with("VisitThere")).unwrap() as u16;
    let holds = layout.conditions().iter().position(|it| it.as_str() == "contract").unwrap() as u16;
    let grants = credentials.iter().flat_map(|who| {
        let now = |of| Grant { person: who.person, of, from: NOON, until: NOON.plus_ms(1) };
        // What has been and what is to come counts for nothing.
        let others = (0..layout.zones.len() as u16).map(Granted::Zone).chain([Granted::Condition(1 - holds)]);
        let past = others.flat_map(|of| {
            let past = Grant { person: who.person, of, from: UtcMillis(0), until: NOON };
            [past, Grant { from: NOON.plus_ms(1), until: UtcMillis(i64::MAX), ..past }]
        });
        past.chain([now(Granted::Zone(there)), now(Granted::Condition(holds))]).collect::<Vec<_>>()
    });
    let grants = grants.collect();
    PolicySource { layout, credentials, grants }
}

/// Everybody at the given whereabouts, one-time passes used as they say, and one more person in the room.
fn presence(policy: &Policy, credentials: &[Credential], whereabouts: Whereabouts, room: &ZoneId) -> Presence {
    let mut presence = Presence::new(policy);
    let gate = point_id("gate");
    for (who, holder) in credentials.iter().zip(holders()) {
        // A moment at which even a pass that is early now is valid.
        let at = NOON.plus_ms(HOUR);
        if matches!(holder.one_time, OneTime::Inside | OneTime::Left) {
            presence.apply(policy, &fact(Kind::Granted, at, who, &gate, Direction::In));
            presence.apply(policy, &fact(Kind::Passed, at, who, &gate, Direction::In));
        }
        if holder.one_time == OneTime::Left {
            presence.apply(policy, &fact(Kind::Passed, at, who, &gate, Direction::Out));
        }
        let zone = match whereabouts {
            Whereabouts::Unknown => {
                presence.forget(who.person);
                continue;
            }
            Whereabouts::Outside => zone_id("street"),
            Whereabouts::OtherRoom => zone_id("other"),
            Whereabouts::Here | Whereabouts::HereForgiven => room.clone(),
        };
        assert!(presence.place(who.person, &zone, NOON));
        if whereabouts == Whereabouts::HereForgiven {
            presence.forgive(who.person);
        }
    }
    assert!(presence.place(PersonId([0xEE; 16]), room, NOON));
    presence
}

const fn pin_entry(pin: Entered) -> PinEntry {
    match pin {
        Entered::NotYet => PinEntry::NotYet,
        Entered::Missing => PinEntry::Missing,
        Entered::Right => PinEntry::Entered(PinHash([1; 16])),
        Entered::Duress => PinEntry::Entered(PinHash([2; 16])),
        Entered::Wrong => PinEntry::Entered(PinHash([3; 16])),
        Entered::Locked => PinEntry::Locked,
    }
}

/// What is asked at one place of one holder, in every way.
fn questions() -> Vec<(Direction, Entered, PointCondition, bool)> {
    let mut all = Vec::new();
    for direction in DIRECTIONS {
        for pin in PINS {
            for condition in CONDITIONS {
                for policy_too_old in YES_NO {
                    all.push((direction, pin, condition, policy_too_old));
                }
            }
        }
    }
    all
}

#[test]
fn every_combination_is_decided_as_the_order_of_checks_says() {
    let source = source();
    let credentials = source.credentials.clone();
    let policy = Policy::compile(source, 3).unwrap();
    let cards = credentials.iter().map(|credential| credential.card);
    let mut holders: Vec<(Option<Holder>, CardId)> = holders().into_iter().map(Some).zip(cards).collect();
    holders.push((None, CardId([0xFF; 16])));
    let (places, questions) = (places(), questions());
    let mut rows = 0_u64;
    let mut seen = std::collections::HashSet::new();
    for whereabouts in WHEREABOUTS {
        for (place, point, room) in &places {
            let presence = presence(&policy, &credentials, whereabouts, room);
            for &(holder, card) in &holders {
                for &(direction, pin, condition, policy_too_old) in &questions {
                    let row = Row { holder, whereabouts, place: *place, direction, pin, condition, policy_too_old };
                    let base = Request::new(point, direction, card, NOON);
                    let request = Request { pin: pin_entry(pin), condition, policy_too_old, ..base };
                    let got = decide(&policy, &presence, &request);
                    let answer: Answer = (got.verdict, got.reason, got.soft, got.duress);
                    assert_eq!(answer, reference(&row), "{row:?}");
                    assert_eq!(got.person.is_some(), holder.is_some());
                    rows += 1;
                    if rows.is_multiple_of(53) {
                        seen.insert((got.verdict, got.reason));
                        check_explanation(&policy, &presence, &request, &got);
                    }
                }
            }
        }
    }
    // whereabouts · (mode · anti-passback · capacity · verify) · (state · validity · rule · one-time + unknown card)
    // · direction · PIN · condition · policy age
    // and the same at rooms that ask for a visit, a condition or both, which are full and have hard anti-passback
    assert_eq!(rows, 5 * (2 * (3 * 2 + 5) * 2) * (4 * 3 * 5 * 4 + 1) * 2 * 6 * 6 * 2);
    assert_eq!(rows, 7_634_880);
    // Eighteen reasons refuse at a hard point and are noted at a soft one (timed reuse, the nineteenth, has its own
    // test), three are the door's own and always refuse, three grant, one asks.
    assert_eq!(seen.len(), 18 + 18 + 3 + 3 + 1, "{seen:?}");
}

/// The explanation gives the same decision, and its steps say what the decision says.
fn check_explanation(policy: &Policy, presence: &Presence, request: &Request<'_>, decision: &Decision) {
    let explanation = explain(policy, presence, request);
    assert_eq!(explanation.decision, *decision);
    let steps = || explanation.steps.iter().map(|step| step.outcome);
    let failed: Vec<Reason> = steps().filter_map(failure).collect();
    let noted: Vec<Reason> = steps().filter_map(note).collect();
    match decision.verdict {
        Verdict::Refused | Verdict::AskPin => assert_eq!(failed, [decision.reason]),
        Verdict::Granted => {
            assert!(failed.is_empty());
            assert_eq!(decision.soft.then_some(decision.reason), noted.first().copied());
        }
    }
}

const fn failure(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Failed(reason) => Some(reason),
        Outcome::Met | Outcome::Noted(_) => None,
    }
}

const fn note(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Noted(reason) => Some(reason),
        Outcome::Met | Outcome::Failed(_) => None,
    }
}
