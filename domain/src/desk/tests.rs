//! All of the table against a reference that was written from the words of the requirements, not from the code.

use super::*;

const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
const ME: PersonId = PersonId([1; 16]);
const OTHER: PersonId = PersonId([2; 16]);

/// The words of the rules, one after the other, as a list of what is written. Knows no [`Effect`].
fn reference(rules: &Rules, here: &Here, tap: &StaffTap) -> Vec<String> {
    let said = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    // "The second factor is asked once in so many hours; a tap after that asks again."
    let asks = match (rules.factor, tap.factor_until) {
        (Factor::None, _) => false,
        (Factor::Pin, None) => true,
        (Factor::Pin, Some(until)) => tap.at >= until,
    };
    let begins = if asks { "bound, factor wanted" } else { "bound" };
    let Some(bound) = here.bound else {
        // "A second reading of the tap that ended the binding does not begin another one."
        if let Some((who, at)) = here.left
            && who == tap.person
            && tap.at.0 < at.0 + rules.debounce_ms
        {
            return said(&[]);
        }
        return said(&[begins]);
    };
    if bound.person != tap.person {
        // "What happened before what we know changes nothing."
        if tap.at.0 < bound.confirmed.0 {
            return said(&["refused"]);
        }
        // "The first session ends before the second becomes usable."
        return said(&["the other ended", begins]);
    }
    // "A second reading of the same card is the same tap."
    if tap.at.0 < bound.confirmed.0 + rules.debounce_ms {
        return said(&[]);
    }
    if bound.state == SessionState::Open {
        // "A later one follows the policy."
        match rules.again {
            Again::Lock => return said(&["locked"]),
            Again::End => return said(&["ended"]),
            Again::Show => {}
        }
        // "That the factor ran out never cuts an open session, only the next tap."
        return said(&[if asks { "factor wanted" } else { "shown" }]);
    }
    // "A locked session is unlocked by a tap of its specialist, with the factor if it ran out."
    said(&[if asks { "factor wanted" } else { "usable" }])
}

fn told(answer: Answer) -> Vec<String> {
    let word = |effect: Effect| match effect {
        Effect::End(EndWhy::AnotherSpecialist) => "the other ended".to_owned(),
        Effect::End(EndWhy::Retap) => "ended".to_owned(),
        Effect::Open(SessionState::Open) => "bound".to_owned(),
        Effect::Open(SessionState::Waiting) => "bound, factor wanted".to_owned(),
        Effect::Confirm => "shown".to_owned(),
        Effect::Lock(LockWhy::Retap) => "locked".to_owned(),
        Effect::Unlock => "usable".to_owned(),
        Effect::WantFactor => "factor wanted".to_owned(),
        other => format!("unexpected {other:?}"),
    };
    match answer {
        Answer::Ignored => Vec::new(),
        Answer::Refused(_) => vec!["refused".to_owned()],
        Answer::Done(first, second) => first.into_iter().chain([second]).map(word).collect(),
    }
}

#[test]
fn every_tap_at_every_desk_does_what_the_words_say() {
    let ages = [-60_000, -1, 0, 1, 2_999, 3_000, 3_001, 3_600_000];
    let untils = [None, Some(-1), Some(0), Some(1), Some(8 * 3_600_000)];
    let mut cases = 0;
    for factor in Factor::ALL {
        for again in Again::ALL {
            for debounce_ms in [0, 3_000] {
                let rules = Rules { factor: *factor, again: *again, debounce_ms, ..Rules::default() };
                for until in untils {
                    let tap = StaffTap { person: ME, at: NOW, factor_until: until.map(|ms| NOW.plus_ms(ms)) };
                    let mut heres = vec![Here::default()];
                    for age in ages {
                        let at = NOW.plus_ms(-age);
                        heres.extend([ME, OTHER].map(|person| Here { bound: None, left: Some((person, at)) }));
                        for person in [ME, OTHER] {
                            for state in [SessionState::Waiting, SessionState::Open, SessionState::Locked] {
                                let opened = at.plus_ms(-1000);
                                let bound = Some(Bound { person, state, opened, confirmed: at, used: at });
                                heres.push(Here { bound, left: None });
                            }
                        }
                    }
                    for here in heres {
                        let (answer, words) = (staff_tap(&rules, &here, &tap), reference(&rules, &here, &tap));
                        assert_eq!(told(answer), words, "{rules:?} {here:?} {tap:?}");
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 2 * 3 * 2 * 5 * (1 + 8 * 8));
}

#[test]
fn a_patient_is_seen_only_where_somebody_works() {
    let bound = |state| Bound { person: ME, state, opened: NOW, confirmed: NOW, used: NOW };
    assert_eq!(patient_tap(None, NOW), Err(Refusal::NoSpecialist));
    assert_eq!(patient_tap(Some(&bound(SessionState::Waiting)), NOW), Err(Refusal::DeskLocked));
    assert_eq!(patient_tap(Some(&bound(SessionState::Locked)), NOW), Err(Refusal::DeskLocked));
    assert_eq!(patient_tap(Some(&bound(SessionState::Ended)), NOW), Err(Refusal::NoSpecialist));
    assert_eq!(patient_tap(Some(&bound(SessionState::Open)), NOW), Ok(ME));
    assert_eq!(patient_tap(Some(&bound(SessionState::Open)), NOW.plus_ms(-1)), Err(Refusal::OutOfOrder));
}

#[test]
fn a_tap_binds_for_a_minute_and_not_from_the_future() {
    let at = |ms: i64| timely(NOW.plus_ms(-ms), NOW);
    assert_eq!((at(0), at(TAP_AGE_MAX_MS), at(-TAP_AHEAD_MAX_MS)), (Ok(()), Ok(()), Ok(())));
    assert_eq!((at(TAP_AGE_MAX_MS + 1), at(-TAP_AHEAD_MAX_MS - 1)), (Err(Refusal::StaleTap), Err(Refusal::ClockAhead)));
    assert_eq!(timely(UtcMillis(i64::MIN), NOW), Err(Refusal::StaleTap));
    assert_eq!(timely(UtcMillis(i64::MAX), NOW), Err(Refusal::ClockAhead));
}

#[test]
fn a_pass_works_from_its_first_instant_until_before_its_last() {
    let works = |state, at: i64| pass_works(state, Some(NOW), Some(NOW.plus_ms(10)), NOW.plus_ms(at));
    assert_eq!(works(PassState::Active, -1), Err(Refusal::NotYetValid));
    assert_eq!((works(PassState::Active, 0), works(PassState::Active, 9)), (Ok(()), Ok(())));
    assert_eq!(works(PassState::Active, 10), Err(Refusal::Expired));
    for (state, why) in [
        (PassState::Blocked, Refusal::Blocked),
        (PassState::Lost, Refusal::Lost),
        (PassState::Withdrawn, Refusal::Withdrawn),
    ] {
        assert_eq!(works(state, 5), Err(why));
        assert_eq!(pass_works(state, None, None, NOW), Err(why));
    }
}

#[test]
fn the_other_workstation_is_locked_or_ended_once() {
    for state in SessionState::ALL {
        let locks = elsewhere(&Rules { elsewhere: Elsewhere::Lock, ..Rules::default() }, *state);
        let ends = elsewhere(&Rules { elsewhere: Elsewhere::End, ..Rules::default() }, *state);
        let end = Some(Effect::End(EndWhy::Elsewhere));
        let expected = match state {
            SessionState::Open => (Some(Effect::Lock(LockWhy::Elsewhere)), end),
            SessionState::Locked => (None, end),
            SessionState::Waiting => (end, end),
            SessionState::Ended => (None, None),
        };
        assert_eq!((locks, ends), expected, "{state}");
    }
}

#[test]
fn one_timer_goes_from_warning_to_lock_to_end_and_never_back() {
    let rules = Rules::default();
    let after = |state, ms: i64| {
        idle(&rules, &Bound { person: ME, state, opened: NOW, confirmed: NOW, used: NOW }, NOW.plus_ms(ms))
    };
    let rank = |idle: Idle| match idle {
        Idle::No => 0,
        Idle::Warn(_) => 1,
        Idle::Lock => 2,
        Idle::End(_) => 3,
    };
    for state in SessionState::ALL {
        let mut last = 0;
        for ms in (0..=4_000_000).step_by(10_000) {
            let now = rank(after(*state, ms));
            assert!(now >= last, "{state} {ms}");
            last = now;
        }
        assert_eq!(after(*state, -1_000_000), Idle::No, "a clock that was set back is no idleness");
    }
    assert_eq!(after(SessionState::Open, rules.idle_warn_ms - 1), Idle::No);
    assert_eq!(after(SessionState::Open, rules.idle_warn_ms), Idle::Warn(NOW.plus_ms(rules.idle_lock_ms)));
    assert_eq!(after(SessionState::Open, rules.idle_lock_ms), Idle::Lock);
    assert_eq!(after(SessionState::Locked, rules.idle_end_ms - 1), Idle::No);
    assert_eq!(after(SessionState::Locked, rules.idle_end_ms), Idle::End(EndWhy::Idle));
    assert_eq!(after(SessionState::Waiting, rules.factor_wait_ms), Idle::End(EndWhy::FactorMissing));
    assert_eq!(after(SessionState::Ended, i64::MAX / 2), Idle::No);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    assert_eq!(Rules::default().problem(), None);
    let bad = [
        Rules { debounce_ms: -1, ..Rules::default() },
        Rules { idle_lock_ms: 1, ..Rules::default() },
        Rules { idle_warn_ms: 0, ..Rules::default() },
        Rules { idle_end_ms: i64::MAX, ..Rules::default() },
        Rules { factor_ms: 13 * 3_600_000, ..Rules::default() },
        Rules { factor_wait_ms: 0, ..Rules::default() },
    ];
    for rules in bad {
        assert!(rules.problem().is_some(), "{rules:?}");
    }
}
