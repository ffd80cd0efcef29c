use chrono::{NaiveDate, NaiveTime, Timelike};
use proptest::prelude::*;

use super::super::Weekdays;
use super::*;

fn name() -> ScheduleId {
    ScheduleId::new("s").unwrap()
}

fn hm(text: &str) -> u16 {
    let (hours, minutes) = text.split_once(':').unwrap();
    hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
}

fn range(text: &str) -> MinuteRange {
    let (from, until) = text.split_once('-').unwrap();
    MinuteRange { from: hm(from), until: hm(until) }
}

fn weekly(days: u8, ranges: &[&str]) -> Vec<WeeklyRange> {
    ranges.iter().map(|text| WeeklyRange { days: Weekdays(days), range: range(text) }).collect()
}

fn at(text: &str) -> UtcMillis {
    UtcMillis::from_rfc3339(text).unwrap()
}

/// A calendar of one schedule, worked out around `built_at` or, far from it, answering by the rule.
fn calendar(
    zone: &str,
    weekly: Vec<WeeklyRange>,
    on_holiday: OnHoliday,
    holidays: &[&str],
    built_at: &str,
) -> Calendar {
    let holidays: Vec<LocalDate> = holidays.iter().map(|text| text.parse().unwrap()).collect();
    Calendar::new(zone, &[Schedule { id: name(), weekly, on_holiday }], &holidays, at(built_at)).unwrap()
}

/// Opens and closes between two instants, minute by minute, as RFC 3339.
fn changes(calendar: &Calendar, from: &str, until: &str) -> Vec<String> {
    let (from, until) = (at(from).0, at(until).0);
    let minutes = (from..until).step_by(60_000).map(UtcMillis);
    let mut before = calendar.is_open(0, UtcMillis(from - 60_000));
    let mut found = Vec::new();
    for now in minutes {
        let open = calendar.is_open(0, now);
        if open != before {
            found.push(format!("{} {}", if open { "opens" } else { "closes" }, &now.to_rfc3339()[..16]));
            before = open;
        }
    }
    found
}

/// Both ways of answering: the worked-out year around the day, and the rule itself from far away.
fn both(zone: &str, ranges: &[&str], around: &str, from: &str, until: &str) -> Vec<String> {
    let near = changes(&calendar(zone, weekly(0x7F, ranges), OnHoliday::Closed, &[], around), from, until);
    let far =
        changes(&calendar(zone, weekly(0x7F, ranges), OnHoliday::Closed, &[], "1990-01-01T00:00:00Z"), from, until);
    assert_eq!(near, far);
    near
}

#[test]
fn kyiv_spring_a_range_that_begins_in_the_skipped_hour_begins_at_its_end() {
    // 29 March 2026: 03:00 EET becomes 04:00 EEST at 01:00 UTC.
    let day = ("2026-03-01T00:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T20:00:00Z");
    assert_eq!(
        both("Europe/Kyiv", &["03:30-05:00"], day.0, day.1, day.2),
        ["opens 2026-03-29T01:00", "closes 2026-03-29T02:00"]
    );
    assert_eq!(
        both("Europe/Kyiv", &["02:00-03:30"], day.0, day.1, day.2),
        ["opens 2026-03-29T00:00", "closes 2026-03-29T01:00"]
    );
    assert!(both("Europe/Kyiv", &["03:10-03:50"], day.0, day.1, day.2).is_empty());
    // A range around the gap is one hour shorter.
    assert_eq!(
        both("Europe/Kyiv", &["02:00-06:00"], day.0, day.1, day.2),
        ["opens 2026-03-29T00:00", "closes 2026-03-29T03:00"]
    );
}

#[test]
fn kyiv_autumn_the_repeated_hour_does_twice_what_it_does_once() {
    // 25 October 2026: 04:00 EEST becomes 03:00 EET at 01:00 UTC.
    let day = ("2026-10-01T00:00:00Z", "2026-10-24T21:00:00Z", "2026-10-25T20:00:00Z");
    assert_eq!(
        both("Europe/Kyiv", &["02:00-03:30"], day.0, day.1, day.2),
        ["opens 2026-10-24T23:00", "closes 2026-10-25T00:30", "opens 2026-10-25T01:00", "closes 2026-10-25T01:30"]
    );
    assert_eq!(
        both("Europe/Kyiv", &["02:00-06:00"], day.0, day.1, day.2),
        ["opens 2026-10-24T23:00", "closes 2026-10-25T04:00"]
    );
}

#[test]
fn santiago_changes_at_midnight_and_the_other_way_round() {
    // 6 September 2026: 00:00 becomes 01:00 (spring in the south), at 04:00 UTC.
    let day = ("2026-09-01T00:00:00Z", "2026-09-05T22:00:00Z", "2026-09-06T22:00:00Z");
    assert_eq!(
        both("America/Santiago", &["00:30-02:00"], day.0, day.1, day.2),
        ["opens 2026-09-06T04:00", "closes 2026-09-06T05:00"]
    );
    // 5 April 2026: 00:00 becomes 23:00 of the day before, at 03:00 UTC: the last hour of Saturday is repeated.
    let day = ("2026-04-01T00:00:00Z", "2026-04-04T20:00:00Z", "2026-04-05T20:00:00Z");
    assert_eq!(
        both("America/Santiago", &["22:30-23:30"], day.0, day.1, day.2),
        ["opens 2026-04-05T01:30", "closes 2026-04-05T02:30", "opens 2026-04-05T03:00", "closes 2026-04-05T03:30"]
    );
}

#[test]
fn a_range_over_midnight_belongs_to_the_day_on_which_it_begins() {
    // Friday 22:00 to Saturday 06:00; Friday 25 December 2026 is a holiday, Saturday 2 January 2027 too.
    let friday = 1 << 4;
    let calendar = calendar(
        "UTC",
        weekly(friday, &["22:00-06:00"]),
        OnHoliday::Closed,
        &["2026-12-25", "2027-01-02"],
        "2026-12-01T00:00:00Z",
    );
    assert_eq!(
        changes(&calendar, "2026-12-17T00:00:00Z", "2027-01-04T00:00:00Z"),
        ["opens 2026-12-18T22:00", "closes 2026-12-19T06:00", "opens 2027-01-01T22:00", "closes 2027-01-02T06:00"]
    );
}

#[test]
fn a_holiday_closes_or_replaces_or_changes_nothing() {
    let found = |on_holiday| {
        let calendar =
            calendar("UTC", weekly(0x7F, &["08:00-18:00"]), on_holiday, &["2026-12-25"], "2026-12-01T00:00:00Z");
        changes(&calendar, "2026-12-25T00:00:00Z", "2026-12-26T00:00:00Z")
    };
    assert!(found(OnHoliday::Closed).is_empty());
    assert_eq!(found(OnHoliday::AsUsual), ["opens 2026-12-25T08:00", "closes 2026-12-25T18:00"]);
    let instead = OnHoliday::Instead(vec![range("10:00-12:00")]);
    assert_eq!(found(instead), ["opens 2026-12-25T10:00", "closes 2026-12-25T12:00"]);
}

#[test]
fn all_day_is_open_at_every_second_of_the_year_and_a_second_is_the_smallest_step() {
    let always = WeeklyRange { days: Weekdays::ALL, range: MinuteRange::ALL_DAY };
    let calendar = calendar("Europe/Kyiv", vec![always], OnHoliday::AsUsual, &[], "2026-01-01T00:00:00Z");
    assert!(
        (0..400 * 24 * 4).all(|quarter| calendar.is_open(0, at("2025-12-30T00:00:00Z").plus_ms(quarter * 900_000)))
    );
    assert!(!calendar.is_open(1, at("2026-01-01T00:00:00Z")), "a schedule that does not exist is never open");
}

#[test]
fn instants_at_the_ends_of_time_answer_closed_and_do_not_panic() {
    for built_at in [UtcMillis(i64::MIN), UtcMillis(i64::MAX), UtcMillis(0)] {
        let schedule = Schedule { id: name(), weekly: weekly(0x7F, &["00:00-24:00"]), on_holiday: OnHoliday::Closed };
        let calendar = Calendar::new("UTC", &[schedule], &[], built_at).unwrap();
        assert!(!calendar.is_open(0, UtcMillis(i64::MIN)) && !calendar.is_open(0, UtcMillis(i64::MAX)));
        assert!(calendar.is_open(0, UtcMillis(0)));
    }
}

#[test]
fn errors_name_the_schedule_or_the_zone() {
    let new = |zone: &str, schedule: Schedule| Calendar::new(zone, &[schedule], &[], UtcMillis(0)).unwrap_err();
    let plain = || Schedule { id: name(), weekly: Vec::new(), on_holiday: OnHoliday::Closed };
    assert_eq!(new("Europe/Kiew", plain()), ScheduleError::TimeZone("Europe/Kiew".to_owned()));
    for (from, until) in [(1440, 1440), (0, 0), (0, 1441)] {
        let weekly = vec![WeeklyRange { days: Weekdays::ALL, range: MinuteRange { from, until } }];
        assert_eq!(new("UTC", Schedule { weekly, ..plain() }), ScheduleError::Range(name()));
    }
    let many = vec![MinuteRange::ALL_DAY; RANGES_MAX + 1];
    assert_eq!(
        new("UTC", Schedule { on_holiday: OnHoliday::Instead(many), ..plain() }),
        ScheduleError::TooManyRanges(name())
    );
    let twice = Calendar::new("UTC", &[plain(), plain()], &[], UtcMillis(0)).unwrap_err();
    assert_eq!(twice, ScheduleError::Twice(name()));
}

#[test]
fn dates_read_write_and_know_their_weekday() {
    let date: LocalDate = "2026-11-25".parse().unwrap();
    assert_eq!((date.to_string(), date.weekday()), ("2026-11-25".to_owned(), 2));
    assert_eq!(LocalDate::new(1970, 1, 1), Some(LocalDate(0)));
    assert_eq!(LocalDate(0).weekday(), 3);
    assert_eq!(LocalDate::new(2026, 2, 29), None);
    assert!("25.11.2026".parse::<LocalDate>().is_err());
    assert_eq!(LocalDate(i32::MAX).to_string(), format!("day {}", i32::MAX));
}

/// What a wall clock shows, by chrono alone.
fn reference(zone: &str, schedule: &Schedule, holidays: &[LocalDate], now: UtcMillis) -> bool {
    let zone: Tz = zone.parse().unwrap();
    let local = now.to_chrono().unwrap().with_timezone(&zone).naive_local();
    let minute = |time: NaiveTime| time.hour() * 60 + time.minute();
    let ranges = |date: NaiveDate| -> Vec<MinuteRange> {
        let usual = |date: NaiveDate| {
            let bit = 1 << chrono::Datelike::weekday(&date).num_days_from_monday();
            schedule.weekly.iter().filter(|line| line.days.0 & bit != 0).map(|line| line.range).collect()
        };
        match &schedule.on_holiday {
            _ if !holidays.contains(&LocalDate::from_chrono(date)) => usual(date),
            OnHoliday::AsUsual => usual(date),
            OnHoliday::Closed => Vec::new(),
            OnHoliday::Instead(ranges) => ranges.clone(),
        }
    };
    let shown = minute(local.time());
    let today = ranges(local.date()).into_iter().any(|range| {
        let (from, until) = (u32::from(range.from), u32::from(range.until));
        if until > from { (from..until).contains(&shown) } else { shown >= from }
    });
    let yesterday = ranges(local.date().pred_opt().unwrap())
        .into_iter()
        .any(|range| range.until <= range.from && shown < u32::from(range.until));
    today || yesterday
}

fn any_range() -> impl Strategy<Value = MinuteRange> {
    (0..DAY_MINUTES, 1..=DAY_MINUTES).prop_map(|(from, until)| MinuteRange { from, until })
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let line = (0_u8..128, any_range()).prop_map(|(days, range)| WeeklyRange { days: Weekdays(days), range });
    let on_holiday = prop_oneof![
        Just(OnHoliday::Closed),
        Just(OnHoliday::AsUsual),
        proptest::collection::vec(any_range(), 0..3).prop_map(OnHoliday::Instead)
    ];
    (proptest::collection::vec(line, 0..5), on_holiday).prop_map(|(weekly, on_holiday)| Schedule {
        id: name(),
        weekly,
        on_holiday,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The worked-out year, the rule, and chrono's wall clock say the same at thousands of instants, most of them
    /// around clock changes.
    #[test]
    fn worked_out_equals_the_rule_equals_the_wall_clock(
        schedule in any_schedule(),
        zone in prop::sample::select(vec![
            "Europe/Kyiv", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC",
        ]),
        holiday_offsets in proptest::collection::vec(0_i32..400, 0..6),
        offsets in proptest::collection::vec(0_i64..400 * 86_400, 200),
    ) {
        let built_at = at("2026-01-10T09:30:00Z");
        let holidays: Vec<LocalDate> = holiday_offsets.iter().map(|days| LocalDate(20_460 + days)).collect();
        let near = Calendar::new(zone, std::slice::from_ref(&schedule), &holidays, built_at).unwrap();
        let far = Calendar::new(zone, std::slice::from_ref(&schedule), &holidays, UtcMillis(0)).unwrap();
        let changes: Vec<i64> = near.offset_periods().iter().map(|(from, _, _)| *from).collect();
        let around = changes.iter().flat_map(|change| (-150..150).map(move |minute| change + minute * 60));
        for second in offsets.iter().map(|offset| built_at.0 / 1000 + offset).chain(around) {
            for ms in [second * 1000, second * 1000 + 59_999, second * 1000 - 1] {
                let now = UtcMillis(ms);
                let expected = reference(zone, &schedule, &holidays, now);
                prop_assert_eq!(near.is_open(0, now), expected, "worked out, {}", now);
                prop_assert_eq!(far.is_open(0, now), expected, "by the rule, {}", now);
            }
        }
    }
}
