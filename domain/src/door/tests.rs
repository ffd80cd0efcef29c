use proptest::prelude::*;

use super::*;
use crate::decide::PointCondition;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn holder(no: u8) -> Holder {
    Holder { card: Some(CardId([no; 16])), person: Some(PersonId([no; 16])) }
}

/// A door, and what it put out, told shortly: `2000 passed in #1`.
struct Bench {
    door: Door,
    said: Vec<String>,
}

impl Bench {
    fn new(settings: DoorSettings) -> Self {
        let mut bench = Self { door: Door::new(settings), said: Vec::new() };
        bench.at(0, Input::Contact(false)).at(0, Input::ExitRequest(false));
        bench
    }

    fn turnstile() -> Self {
        Self::new(DoorSettings::new(DoorKind::Turnstile))
    }

    fn door() -> Self {
        Self::new(DoorSettings::new(DoorKind::Door))
    }

    /// An input at a time, after everything due before it has happened at its own time.
    fn at(&mut self, when: u64, input: Input) -> &mut Self {
        self.until(when);
        let mut out = Vec::new();
        self.door.handle(ms(when), input, &mut out);
        self.tell(when, &out);
        self
    }

    fn until(&mut self, when: u64) -> &mut Self {
        while let Some((due, _)) = self.door.deadline().filter(|(due, _)| *due <= ms(when)) {
            let mut out = Vec::new();
            self.door.tick(due, &mut out);
            self.tell(due.as_millis() as u64, &out);
        }
        self
    }

    fn tell(&mut self, when: u64, out: &[Output]) {
        for output in out {
            let text = match output {
                Output::Release(time) => format!("release {}", time.as_millis()),
                Output::Secure => "secure".to_owned(),
                Output::HoldOpen => "hold open".to_owned(),
                Output::Fact(fact) => {
                    let direction = fact.direction.map(|direction| format!(" {direction}"));
                    let who = fact.holder.card.map(|card| format!(" #{}", card.0[0]));
                    let reason = fact.reason.map(|reason| format!(" {reason}"));
                    let assumed = fact.assumed.then(|| " assumed".to_owned());
                    let more: String = [direction, who, reason, assumed].into_iter().flatten().collect();
                    format!("{}{more}", fact.kind)
                }
            };
            self.said.push(format!("{when} {text}"));
        }
    }

    #[track_caller]
    fn said<const N: usize>(&mut self, expected: [&str; N]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.said), expected);
        self
    }
}

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;

#[test]
fn a_turn_of_the_rotor_within_the_release_is_passed_and_ends_it() {
    Bench::turnstile()
        .at(1000, Input::Grant(IN, holder(1)))
        .at(2000, Input::Contact(true))
        .at(2200, Input::Contact(false))
        .until(60_000)
        .said(["1000 release 3000", "2050 passed in #1", "2050 secure"]);
}

#[test]
fn nobody_going_through_is_not_taken() {
    Bench::turnstile()
        .at(1000, Input::Grant(IN, holder(1)))
        .until(60_000)
        .said(["1000 release 3000", "4000 not_taken in #1"]);
}

#[test]
fn a_turn_without_a_grant_is_forced_and_ends() {
    Bench::turnstile()
        .at(1000, Input::Contact(true))
        .at(1400, Input::Contact(false))
        .until(60_000)
        .said(["1050 forced", "1450 forced_end"]);
    // Tailgating: the second turn on one grant.
    Bench::turnstile()
        .at(1000, Input::Grant(IN, holder(1)))
        .at(2000, Input::Contact(true))
        .at(2200, Input::Contact(false))
        .at(2400, Input::Contact(true))
        .at(2600, Input::Contact(false))
        .until(60_000)
        .said(["1000 release 3000", "2050 passed in #1", "2050 secure", "2450 forced", "2650 forced_end"]);
}

#[test]
fn bounces_are_ignored_and_pulses_longer_than_400_ms_are_always_seen() {
    let mut bench = Bench::turnstile();
    for start in (1000..2000).step_by(100) {
        bench.at(start, Input::Contact(true)).at(start + 49, Input::Contact(false));
    }
    bench.until(60_000).said([]);
    let slowest = DoorSettings { debounce_ms: 5000, ..DoorSettings::new(DoorKind::Turnstile) };
    Bench::new(slowest)
        .at(1000, Input::Contact(true))
        .at(1401, Input::Contact(false))
        .until(60_000)
        .said(["1400 forced", "1801 forced_end"]);
}

#[test]
fn a_passage_that_began_within_the_release_counts_even_if_its_contact_settles_after() {
    Bench::turnstile()
        .at(1000, Input::Grant(IN, holder(1)))
        .at(3990, Input::Contact(true))
        .at(4200, Input::Contact(false))
        .until(60_000)
        .said(["1000 release 3000", "4040 passed in #1"]);
    // A bounce at the end keeps nothing open.
    Bench::turnstile()
        .at(1000, Input::Grant(IN, holder(1)))
        .at(3990, Input::Contact(true))
        .at(4010, Input::Contact(false))
        .until(60_000)
        .said(["1000 release 3000", "4010 not_taken in #1"]);
}

#[test]
fn while_a_grant_is_being_taken_the_point_is_busy_for_others_and_repeats_for_its_holder() {
    let mut bench = Bench::turnstile();
    assert_eq!(bench.door.condition(), PointCondition::Ready);
    bench.at(1000, Input::Grant(IN, holder(1)));
    assert_eq!(bench.door.condition(), PointCondition::Busy);
    assert!(bench.door.repeats(IN, CardId([1; 16])));
    assert!(!bench.door.repeats(OUT, CardId([1; 16])) && !bench.door.repeats(IN, CardId([2; 16])));
    bench.at(1500, Input::Grant(IN, holder(2))).said(["1000 release 3000", "1500 not_taken in #2 point_busy"]);
    bench.at(2000, Input::Contact(true)).until(2050);
    assert_eq!(bench.door.condition(), PointCondition::Ready);
    assert!(!bench.door.repeats(IN, CardId([1; 16])));
}

#[test]
fn a_door_is_passed_when_it_opens_and_secured_when_it_closes() {
    let mut bench = Bench::door();
    bench.at(1000, Input::Grant(IN, holder(1)));
    assert_eq!(bench.door.state(), DoorState::Released);
    bench.at(1500, Input::Contact(true)).until(1600);
    assert_eq!(bench.door.state(), DoorState::Open);
    bench.at(2500, Input::Contact(false)).until(60_000);
    assert_eq!(bench.door.state(), DoorState::Secured);
    bench.said(["1000 release 3000", "1550 passed in #1", "2550 secure"]);
}

#[test]
fn a_door_open_for_too_long_is_held_until_it_closes() {
    let mut bench = Bench::door();
    bench.at(1000, Input::Grant(IN, holder(1))).at(1500, Input::Contact(true)).until(40_000);
    assert_eq!(bench.door.state(), DoorState::Held);
    bench.at(41_000, Input::Contact(false)).until(60_000).said([
        "1000 release 3000",
        "1550 passed in #1",
        "31550 held",
        "41050 held_end",
    ]);
}

#[test]
fn a_grant_at_an_open_door_is_passed_by_assumption_and_lets_it_stand_longer() {
    Bench::door()
        .at(1000, Input::Grant(IN, holder(1)))
        .at(1500, Input::Contact(true))
        .at(20_000, Input::Grant(IN, holder(2)))
        .at(45_000, Input::Contact(false))
        .until(90_000)
        .said(["1000 release 3000", "1550 passed in #1", "20000 release 3000", "20000 passed in #2 assumed"]);
}

#[test]
fn a_point_without_a_contact_assumes_passage() {
    let settings = DoorSettings { watched: false, ..DoorSettings::new(DoorKind::Door) };
    Bench::new(settings)
        .at(1000, Input::Grant(IN, holder(1)))
        .until(60_000)
        .said(["1000 release 3000", "1000 passed in #1 assumed"]);
}

#[test]
fn an_exit_request_releases_for_somebody_unknown() {
    Bench::door()
        .at(1000, Input::ExitRequest(true))
        .at(1200, Input::ExitRequest(false))
        .at(2000, Input::Contact(true))
        .at(3000, Input::Contact(false))
        .until(60_000)
        .said(["1050 exit_request out", "1050 release 3000", "2050 passed out", "3050 secure"]);
    // Pressed and not used: no more facts.
    Bench::door().at(1000, Input::ExitRequest(true)).until(60_000).said(["1050 exit_request out", "1050 release 3000"]);
}

#[test]
fn a_locked_point_refuses_grants_and_lets_out_on_request() {
    let mut bench = Bench::turnstile();
    bench.at(1000, Input::Order(Order::Lock));
    assert_eq!((bench.door.condition(), bench.door.state()), (PointCondition::Locked, DoorState::Locked));
    bench.at(2000, Input::Grant(IN, holder(1))).at(3000, Input::ExitRequest(true)).until(9000).said([
        "2000 not_taken in #1 point_locked",
        "3050 exit_request out",
        "3050 release 3000",
    ]);
    bench.at(10_000, Input::Order(Order::Normal)).at(11_000, Input::Grant(IN, holder(1))).said(["11000 release 3000"]);
    // Locking takes back a grant that is being taken.
    bench
        .at(12_000, Input::Order(Order::Lock))
        .until(60_000)
        .said(["12000 not_taken in #1 point_locked", "12000 secure"]);
}

#[test]
fn free_passage_is_prolonged_in_time_and_never_latched() {
    let mut bench = Bench::turnstile();
    bench.at(1000, Input::Order(Order::FreePassage)).until(4100).said([
        "1000 release 3000",
        "2500 release 3000",
        "4000 release 3000",
    ]);
    assert_eq!(bench.door.condition(), PointCondition::FreePassage);
    bench.at(4200, Input::Contact(true)).at(4400, Input::Contact(false)).said(["4250 passed free_passage"]);
    bench.at(4500, Input::Grant(IN, holder(1))).at(4600, Input::Grant(IN, holder(2)));
    bench.at(4700, Input::Contact(true)).at(4900, Input::Contact(false)).said([
        "4500 release 3000",
        "4600 passed in #1 free_passage assumed",
        "4600 release 3000",
        "4750 passed in #2 free_passage",
    ]);
    bench.at(5000, Input::Order(Order::Normal)).until(60_000).said(["5000 secure"]);
    // A long pause is made up for by one repetition, not by thousands.
    let mut bench = Bench::turnstile();
    bench.at(0, Input::Order(Order::FreePassage));
    let mut out = Vec::new();
    bench.door.tick(Duration::from_secs(86_400), &mut out);
    assert_eq!(out, [Output::Release(ms(3000))]);
}

#[test]
fn emergency_opens_whatever_was_ordered_and_goes_back_to_it() {
    let mut bench = Bench::door();
    bench.at(1000, Input::Order(Order::Lock)).at(2000, Input::Order(Order::Emergency)).said(["2000 hold open"]);
    assert_eq!((bench.door.condition(), bench.door.state()), (PointCondition::Emergency, DoorState::Emergency));
    bench.at(3000, Input::Contact(true)).at(99_000, Input::Contact(false)).said(["3050 passed emergency"]);
    // Orders given meanwhile wait for its end.
    bench.at(100_000, Input::Order(Order::Normal)).at(100_500, Input::Order(Order::Lock)).said([]);
    bench.at(101_000, Input::Grant(OUT, holder(1))).at(102_000, Input::Contact(true)).until(103_000);
    bench.said(["102050 passed out #1 emergency"]);
    bench.at(104_000, Input::Order(Order::EmergencyEnd)).said(["104000 secure"]);
    assert_eq!(bench.door.condition(), PointCondition::Locked);
    bench.at(110_000, Input::Contact(false)).until(200_000).said([]);
    assert_eq!(bench.door.state(), DoorState::Locked);
}

#[test]
fn the_first_report_of_a_contact_is_taken_as_it_is() {
    let mut bench = Bench { door: Door::new(DoorSettings::new(DoorKind::Door)), said: Vec::new() };
    bench.at(1000, Input::Contact(true));
    assert_eq!(bench.door.state(), DoorState::Open);
    bench.at(40_000, Input::Contact(false)).until(60_000).said(["31000 held", "40050 held_end"]);
}

#[test]
fn an_interlock_holds_while_another_door_is_open_or_released() {
    let mut other = Bench::door();
    assert!(!interlocked([&other.door]));
    other.at(1000, Input::Grant(IN, holder(1)));
    assert!(interlocked([&other.door]), "released");
    other.at(2000, Input::Contact(true)).until(20_000);
    assert!(interlocked([&other.door]), "open");
    other.at(21_000, Input::Contact(false)).until(22_000);
    assert!(!interlocked([&other.door]));
    other.at(23_000, Input::Order(Order::FreePassage));
    assert!(interlocked([&other.door]));
}

#[test]
fn time_that_goes_back_or_is_huge_does_no_harm() {
    let mut bench = Bench::turnstile();
    bench.at(5000, Input::Grant(IN, holder(1)));
    let mut out = Vec::new();
    bench.door.handle(ms(10), Input::Contact(true), &mut out);
    assert_eq!(bench.door.deadline().map(|(at, _)| at), Some(ms(5050)));
    bench.door.tick(Duration::MAX, &mut out);
    bench.door.handle(Duration::MAX, Input::Order(Order::FreePassage), &mut out);
    bench.door.handle(Duration::MAX, Input::Grant(IN, holder(2)), &mut out);
}

fn any_input() -> impl Strategy<Value = Input> {
    let direction = prop_oneof![Just(IN), Just(OUT)];
    let order = prop_oneof![
        Just(Order::Normal),
        Just(Order::Lock),
        Just(Order::FreePassage),
        direction.clone().prop_map(Order::OpenOnce),
        Just(Order::Emergency),
        Just(Order::EmergencyEnd),
    ];
    prop_oneof![
        4 => direction.prop_map(|direction| Input::Grant(direction, Holder::default())),
        6 => any::<bool>().prop_map(Input::Contact),
        2 => any::<bool>().prop_map(Input::ExitRequest),
        1 => order.prop_map(Input::Order),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_each_grant_ends_once_and_nothing_opens_by_itself(
        kind in prop_oneof![Just(DoorKind::Turnstile), Just(DoorKind::Door), Just(DoorKind::Barrier)],
        watched in any::<bool>(),
        steps in proptest::collection::vec((0_u64..4000, any_input()), 1..80),
    ) {
        let mut door = Door::new(DoorSettings { watched, ..DoorSettings::new(kind) });
        let (mut now, mut grants) = (Duration::ZERO, 0_u8);
        let mut ended = std::collections::HashMap::<CardId, u32>::new();
        let (mut forced, mut held) = (0_i32, 0_i32);
        let mut allowed_until = Duration::ZERO;
        let (mut free, mut emergency, mut locked) = (false, false, false);
        let mut check = |now: Duration, out: &[Output], opens: bool, emergency: bool| {
            for output in out {
                match output {
                    // Only what opens may release, or free passage.
                    Output::Release(time) => {
                        prop_assert!(opens, "released by itself at {now:?}");
                        prop_assert!(!time.is_zero() && *time <= ms(3000));
                    }
                    Output::Secure => prop_assert!(!emergency, "secured in an emergency"),
                    Output::HoldOpen => prop_assert!(emergency),
                    Output::Fact(fact) => match (fact.kind, fact.holder.card) {
                        (Kind::Passed | Kind::NotTaken, Some(card)) => *ended.entry(card).or_default() += 1,
                        (Kind::Forced, _) => forced += 1,
                        (Kind::ForcedEnd, _) => forced -= 1,
                        (Kind::Held, _) => held += 1,
                        (Kind::HeldEnd, _) => held -= 1,
                        _ => {}
                    }
                }
                prop_assert!((0..=1).contains(&forced) && (0..=1).contains(&held));
            }
            Ok(())
        };
        for (wait, mut input) in steps {
            let mut out = Vec::new();
            now += ms(wait);
            // Whatever an exit request that is settling releases is its own doing.
            door.tick(now, &mut out);
            let is_exit = |output: &Output| matches!(output, Output::Fact(fact) if fact.kind == Kind::ExitRequest);
            let exit = out.iter().any(is_exit);
            if exit { allowed_until = now + ms(3000); }
            check(now, &out, free || exit, emergency)?;
            out.clear();
            match &mut input {
                Input::Grant(_, holder_slot) => {
                    grants += 1;
                    *holder_slot = holder(grants);
                    if !locked || emergency { allowed_until = now + ms(3000); }
                }
                Input::Order(Order::OpenOnce(_)) => allowed_until = now + ms(3000),
                Input::Order(Order::Normal) => (free, locked) = (false, false),
                Input::Order(Order::FreePassage) => (free, locked) = (true, false),
                Input::Order(Order::Lock) => (free, locked) = (false, true),
                Input::Order(Order::Emergency) => emergency = true,
                Input::Order(Order::EmergencyEnd) => emergency = false,
                Input::Contact(_) | Input::ExitRequest(_) | Input::Outcome(_) => {}
            }
            door.handle(now, input, &mut out);
            let exit = out.iter().any(is_exit);
            if exit { allowed_until = now + ms(3000); }
            let by_grant = matches!(input, Input::Grant(..)) && (!locked || emergency);
            let once = matches!(input, Input::Order(Order::OpenOnce(_)));
            // The end of free passage or emergency leaves what is still being taken.
            let rest = matches!(input, Input::Order(Order::Normal | Order::EmergencyEnd)) && now < allowed_until;
            check(now, &out, free || by_grant || once || rest || exit, emergency)?;
            if let Some((due, _)) = door.deadline() {
                prop_assert!(due > now, "a deadline lies in the past");
            }
        }
        // Let everything come to its end.
        let mut out = Vec::new();
        door.handle(now, Input::Order(Order::EmergencyEnd), &mut out);
        door.handle(now, Input::Order(Order::Normal), &mut out);
        door.handle(now, Input::Contact(false), &mut out);
        door.tick(now + ms(10_000), &mut out);
        check(now, &out, true, false)?;
        for no in 1..=grants {
            prop_assert_eq!(ended.get(&CardId([no; 16])), Some(&1), "grant {}", no);
        }
        prop_assert_eq!((forced, held), (0, 0));
        prop_assert!(matches!(door.state(), DoorState::Secured), "{:?}", door.state());
    }
}

fn reported() -> Bench {
    let mut bench = Bench::new(DoorSettings { reported: true, ..DoorSettings::new(DoorKind::Turnstile) });
    bench.said.clear();
    bench
}

#[test]
fn a_controller_reports_how_a_grant_ended() {
    reported().at(1000, Input::Grant(IN, holder(1))).at(1800, Input::Outcome(true)).until(60_000).said([
        "1000 release 3000",
        "1800 passed in #1",
        "1800 secure",
    ]);
    reported()
        .at(1000, Input::Grant(OUT, holder(1)))
        .at(4100, Input::Outcome(false))
        .until(60_000)
        .said(["1000 release 3000", "4100 not_taken out #1"]);
}

#[test]
fn a_grant_of_which_nothing_is_reported_ends_after_its_grace_with_that_reason() {
    let mut bench = reported();
    bench.at(1000, Input::Grant(IN, holder(1))).until(8999);
    assert_eq!(bench.door.condition(), PointCondition::Busy);
    bench.until(60_000).said(["1000 release 3000", "9000 not_taken in #1 report_missing"]);
    assert_eq!(bench.door.condition(), PointCondition::Ready);
}

#[test]
fn a_passage_reported_after_an_opening_by_order_is_nobodys() {
    let mut bench = reported();
    bench.at(1000, Input::Order(Order::OpenOnce(IN)));
    assert!(bench.door.awaits_anybody());
    bench.at(2000, Input::Outcome(true)).at(2500, Input::Outcome(true)).until(60_000).said([
        "1000 release 3000",
        "2000 passed in",
        "2000 secure",
    ]);
}
