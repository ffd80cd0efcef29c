use super::*;

const NOW: UtcMillis = UtcMillis(1_795_161_600_000);

fn person(number: u8) -> PersonId {
    PersonId([number; 16])
}

#[test]
fn the_defaults_make_sense() {
    assert_eq!(Rules::default().problem(), None);
    let bad = Rules { factor_ms: 13 * 3_600_000, ..Rules::default() };
    assert!(bad.problem().is_some_and(|problem| problem.contains("1 to 12 hours")));
    assert!(Rules { idle_lock_ms: 1, ..Rules::default() }.problem().is_some());
}

#[test]
fn the_first_tap_binds_and_asks_for_the_second_factor_if_it_does_not_count_any_more() {
    let rules = Rules::default();
    let tap = StaffTap { person: person(1), at: NOW, factor_until: None };
    let here = Here::default();
    assert_eq!(staff_tap(&rules, &here, &tap), Answer::Done(None, Effect::Open(SessionState::Waiting)));
    let confirmed = StaffTap { factor_until: Some(NOW.plus_ms(1)), ..tap };
    assert_eq!(staff_tap(&rules, &here, &confirmed), Answer::Done(None, Effect::Open(SessionState::Open)));
    let over = StaffTap { factor_until: Some(NOW), ..tap };
    assert_eq!(staff_tap(&rules, &here, &over), Answer::Done(None, Effect::Open(SessionState::Waiting)));
}
