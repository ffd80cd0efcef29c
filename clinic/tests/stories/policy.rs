//! The layout and the passes become a policy whose version rises with every change.

use clinic::people::{self, Options, import_csv};
use clinic::policy::{self, LayoutError};
use domain::card::{CardFormat, CardKey, parse};
use domain::policy::{Effect, Mode, PassKind, Policy, Rule, Verify};
use domain::schedule::{LocalDate, MinuteRange, OnHoliday, Schedule, Weekdays, WeeklyRange};
use domain::zone::AntiPassback;
use domain::{CategoryId, Direction, ScheduleId};
use store::testing::both;

use crate::{NOW, layout, zone};

#[tokio::test]
async fn a_layout_comes_back_as_it_was_put_and_counts_only_when_it_differs() {
    let folder = tempfile::tempdir().unwrap();
    let mut full = layout();
    full.zones[3].anti_passback = AntiPassback::Hard;
    full.points[1].mode = Mode::Soft;
    full.points[1].verify = Verify::CardPin;
    full.points[1].reuse_ms = Some(5000);
    full.allow_all_if_no_rules = false;
    full.holidays = vec![LocalDate::new(2027, 1, 1).unwrap(), LocalDate::new(2026, 12, 25).unwrap()];
    let hours = MinuteRange { from: 480, until: 1080 };
    full.schedules = vec![
        Schedule {
            id: ScheduleId::new("week").unwrap(),
            weekly: vec![WeeklyRange { days: Weekdays::WORKING, range: hours }],
            on_holiday: OnHoliday::Instead(vec![MinuteRange { from: 600, until: 700 }, hours]),
        },
        Schedule { id: ScheduleId::new("always").unwrap(), weekly: vec![], on_holiday: OnHoliday::AsUsual },
    ];
    full.rules = vec![Rule {
        categories: vec![CategoryId::new("surgeon").unwrap()],
        kinds: vec![PassKind::Staff, PassKind::PatientTemporary],
        zone: Some(zone("ward")),
        direction: Some(Direction::In),
        schedule: Some(ScheduleId::new("week").unwrap()),
        valid_from: Some(NOW),
        valid_until: Some(NOW.plus_ms(1)),
        ..Rule::new("surgeons, to the ward", Effect::Allow)
    }];
    for database in both(folder.path()).await {
        assert_eq!(policy::read_layout(&database).await.unwrap(), None);
        assert_eq!(policy::source(&database, NOW).await.unwrap(), None);
        assert_eq!(policy::put_layout(&database, full.clone(), NOW).await.unwrap(), (1, true));
        let stored = policy::read_layout(&database).await.unwrap().unwrap();
        let mut expected = full.clone();
        expected.holidays.sort();
        (expected.version, expected.built_at) = (1, NOW);
        assert_eq!(stored, expected, "{database:?}");
        assert_eq!(policy::put_layout(&database, full.clone(), NOW.plus_ms(9)).await.unwrap(), (1, false));
        let mut other = full.clone();
        other.points.pop();
        assert_eq!(policy::put_layout(&database, other, NOW).await.unwrap(), (2, true));
        assert_eq!(policy::read_layout(&database).await.unwrap().unwrap().points.len(), 2);
    }
}

#[tokio::test]
async fn a_layout_that_contradicts_itself_is_refused_and_the_earlier_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    for database in both(folder.path()).await {
        policy::put_layout(&database, layout(), NOW).await.unwrap();
        let mut broken = layout();
        broken.points[0].to = zone("attic");
        let error = policy::put_layout(&database, broken, NOW).await.unwrap_err();
        assert!(matches!(error, LayoutError::Policy(_)) && error.to_string().contains("attic"), "{error}");
        assert_eq!(policy::version(&database).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn passes_become_a_policy_that_decides_and_a_block_raises_the_version() {
    let folder = tempfile::tempdir().unwrap();
    let text = "person,kind,category,card_format,card_number,valid_from,valid_until\n\
                D-001,staff,surgeon,uid_hex,04A1B2C3,,\n\
                D-002,staff,cleaner,uid_hex,04A1B2C4,,\n";
    let key = || CardKey::new([3; 32]);
    for database in both(folder.path()).await {
        policy::put_layout(&database, layout(), NOW).await.unwrap();
        let options = Options { card_key: key(), pin_key: None, seal_key: None, zone: chrono_tz::UTC, dry_run: false };
        let report = import_csv(&database, text.as_bytes(), options, NOW).await.unwrap();
        assert_eq!(report.new_categories, [CategoryId::new("cleaner").unwrap()]);
        let source = policy::source(&database, NOW).await.unwrap().unwrap();
        assert_eq!((source.layout.version, source.credentials.len()), (2, 2));
        assert_eq!(source.layout.categories.len(), 2, "the declared one and the one that only a pass mentions");
        let compiled = Policy::compile(source, 7).unwrap();
        let card = key().id(&parse(CardFormat::UidHex, "04A1B2C3").unwrap());
        assert!(compiled.pass(card).is_some());
        people::block(&database, card, NOW).await.unwrap();
        let source = policy::source(&database, NOW).await.unwrap().unwrap();
        assert_eq!(source.layout.version, 3);
        let blocked = source.credentials.iter().find(|it| it.card == card).unwrap();
        assert_eq!(blocked.state, domain::policy::PassState::Blocked);
    }
}
