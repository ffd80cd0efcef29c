//! Every combination of what can be known of a tap, against a table that was written apart from the rules.

use super::*;
use crate::ids::PersonId;

const AT: UtcMillis = UtcMillis(1_000_000_000);
const PATIENT: PersonId = PersonId([10; 16]);
const OTHER: PersonId = PersonId([11; 16]);
const DOCTOR: PersonId = PersonId([1; 16]);
const SECOND_DOCTOR: PersonId = PersonId([2; 16]);

fn running(patient: PersonId, staff: PersonId, started: UtcMillis, suspended: Option<UtcMillis>) -> Running {
    Running { id: "v".to_owned(), patient, staff, session: "s".to_owned(), started, suspended }
}

fn candidate(name: &str, staff: Option<PersonId>, is_here: bool, minutes: i64) -> Candidate {
    Candidate { appointment: name.to_owned(), staff, is_here, starts: AT.plus_ms(minutes * MINUTE_MS) }
}

/// What the documents say, line by line, for the default rules.
fn expected(
    bound: Option<&Bound>,
    here: Option<&Running>,
    elsewhere: Option<&Running>,
    is_seen: bool,
    whole: usize,
) -> String {
    let Some(bound) = bound else { return "refused no_specialist".to_owned() };
    if !bound.is_usable {
        return "refused desk_locked".to_owned();
    }
    if here.is_some_and(|it| it.patient == PATIENT && it.staff == bound.staff) {
        return "confirmed".to_owned();
    }
    if elsewhere.is_some_and(|it| it.started.0 > AT.0 + 2000) {
        return "refused overtaken".to_owned();
    }
    if is_seen {
        return "ask seen_already".to_owned();
    }
    let end = match here {
        None => "",
        Some(it) if it.suspended.is_some() || it.staff != bound.staff => " ends session_ended",
        Some(_) => " ends next_patient",
    };
    let gone = if elsewhere.is_some() { " ends elsewhere" } else { "" };
    match whole {
        0 => format!("start{end}{gone} asks no_appointment"),
        1 => format!("start{end}{gone} takes a0"),
        _ => "ask several_appointments".to_owned(),
    }
}

fn shown(tap: &Tap) -> String {
    match tap {
        Tap::Refused(why) => format!("refused {why}"),
        Tap::Confirmed => "confirmed".to_owned(),
        Tap::Ended => "ended".to_owned(),
        Tap::Ask(why) => format!("ask {why}"),
        Tap::Start { here, elsewhere, appointment, ask } => {
            let end = here.map(|why| format!(" ends {why}")).unwrap_or_default();
            let gone = if *elsewhere { " ends elsewhere" } else { "" };
            let takes = appointment.as_ref().map(|id| format!(" takes {id}")).unwrap_or_default();
            let asks = ask.map(|why| format!(" asks {why}")).unwrap_or_default();
            format!("start{end}{gone}{takes}{asks}")
        }
    }
}

#[test]
fn every_combination_of_a_tap_is_decided_as_the_table_says() {
    let bound = |staff, is_usable| Some(Bound { session: "s".to_owned(), staff, is_usable });
    let bounds = [None, bound(DOCTOR, true), bound(DOCTOR, false), bound(SECOND_DOCTOR, true)];
    let before = AT.plus_ms(-MINUTE_MS);
    let heres = [
        None,
        Some(running(PATIENT, DOCTOR, before, None)),
        Some(running(PATIENT, DOCTOR, before, Some(before))),
        Some(running(OTHER, DOCTOR, before, None)),
        Some(running(OTHER, DOCTOR, before, Some(before))),
        Some(running(OTHER, SECOND_DOCTOR, before, None)),
    ];
    let elsewheres = [
        None,
        Some(running(PATIENT, SECOND_DOCTOR, before, None)),
        Some(running(PATIENT, SECOND_DOCTOR, AT.plus_ms(SKEW_MS), None)),
        Some(running(PATIENT, SECOND_DOCTOR, AT.plus_ms(SKEW_MS + 1), None)),
    ];
    let mut decided = 0;
    for bound in &bounds {
        for here in &heres {
            for elsewhere in &elsewheres {
                for is_seen in [false, true] {
                    for whole in 0..=2_usize {
                        let candidates: Vec<_> =
                            (0..whole).map(|n| candidate(&format!("a{n}"), None, true, 0)).collect();
                        let scene = Scene {
                            at: AT,
                            patient: PATIENT,
                            bound: bound.as_ref(),
                            here: here.as_ref(),
                            elsewhere: elsewhere.as_ref(),
                            is_seen,
                            candidates: &candidates,
                        };
                        let tap = decide(&Rules::default(), &scene);
                        let wanted = expected(bound.as_ref(), here.as_ref(), elsewhere.as_ref(), is_seen, whole);
                        assert_eq!(shown(&tap), wanted, "{scene:?}");
                        decided += 1;
                    }
                }
            }
        }
    }
    assert_eq!(decided, 4 * 6 * 4 * 2 * 3);
}

fn choose(rules: &Rules, candidates: &[Candidate]) -> String {
    let bound = Bound { session: "s".to_owned(), staff: DOCTOR, is_usable: true };
    let scene = Scene {
        at: AT,
        patient: PATIENT,
        bound: Some(&bound),
        here: None,
        elsewhere: None,
        is_seen: false,
        candidates,
    };
    shown(&decide(rules, &scene))
}

#[test]
fn an_appointment_fits_by_specialist_room_and_time_to_the_millisecond() {
    let rules = Rules::default();
    let at = |ms: i64| Candidate { starts: AT.plus_ms(ms), ..candidate("a", Some(DOCTOR), true, 0) };
    assert_eq!(choose(&rules, &[at(rules.early_ms)]), "start takes a");
    assert_eq!(choose(&rules, &[at(rules.early_ms + 1)]), "start asks no_appointment");
    assert_eq!(choose(&rules, &[at(-rules.late_ms)]), "start takes a");
    assert_eq!(choose(&rules, &[at(-rules.late_ms - 1)]), "start asks no_appointment");
    let (here, room) = (candidate("here", Some(DOCTOR), true, 5), candidate("room", Some(DOCTOR), false, 5));
    let staff = candidate("staff", Some(SECOND_DOCTOR), true, 5);
    assert_eq!(choose(&rules, &[room.clone(), here.clone(), staff.clone()]), "start takes here");
    assert_eq!(choose(&rules, &[staff.clone(), room.clone()]), "ask wrong_room");
    assert_eq!(choose(&rules, std::slice::from_ref(&staff)), "ask wrong_specialist");
    let lenient = Rules { on_wrong: Unclear::Start, on_several: Unclear::Start, ..rules };
    assert_eq!(choose(&lenient, &[staff]), "start asks wrong_specialist");
    assert_eq!(choose(&lenient, &[here.clone(), here]), "start asks several_appointments", "never a guess");
}

#[test]
fn a_specialists_own_record_is_no_patients_at_their_own_desk() {
    let bound = Bound { session: "s".to_owned(), staff: PATIENT, is_usable: true };
    let scene = Scene {
        at: AT,
        patient: PATIENT,
        bound: Some(&bound),
        here: None,
        elsewhere: None,
        is_seen: false,
        candidates: &[],
    };
    assert_eq!(shown(&decide(&Rules::default(), &scene)), "refused not_a_patient");
}

#[test]
fn a_visit_never_ends_before_it_starts() {
    assert_eq!(end_of(AT, AT.plus_ms(5)), (AT.plus_ms(5), 0));
    assert_eq!(end_of(AT, AT.plus_ms(-7)), (AT, 7));
}

#[test]
fn rules_that_make_no_sense_are_named() {
    assert_eq!(Rules::default().problem(), None);
    for bad in [
        Rules { early_ms: -1, ..Rules::default() },
        Rules { tap_out_ms: Some(-1), ..Rules::default() },
        Rules { late_ms: LONGEST_MAX_MS + 1, ..Rules::default() },
        Rules { return_ms: RETURN_MAX_MS + 1, ..Rules::default() },
        Rules { longest_ms: 0, ..Rules::default() },
        Rules { longest_ms: LONGEST_MAX_MS + 1, ..Rules::default() },
    ] {
        assert!(bad.problem().is_some(), "{bad:?}");
    }
}
