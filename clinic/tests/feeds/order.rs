//! Repetition, order and whole lists: a model of what must be known after any history.

use std::collections::BTreeMap;

use clinic::feeds::{Mode, PatientRecord, Records};

use crate::*;

#[tokio::test]
async fn an_older_record_changes_nothing_wherever_it_comes_from() {
    for scene in scenes(|_| {}).await {
        let at = |ms, until| PatientRecord {
            changed: Some(NOW.plus_ms(ms)),
            until: Some(NOW.plus_ms(until)),
            cards: Some(vec![card("04000001")]),
            ..patient("P-1")
        };
        scene.changes("mis", Records::Patients(vec![at(5, 50)])).await;
        let report = scene.changes("mis", Records::Patients(vec![at(4, 40)])).await;
        assert_eq!(counts(&report), (0, 0, 0, 1, 0, 0));
        assert_eq!(scene.pass("04000001").await.valid_until, Some(NOW.plus_ms(50)));
        let report = scene.changes("mis", Records::Patients(vec![at(7, 70), at(6, 60)])).await;
        assert_eq!(counts(&report), (0, 1, 0, 1, 0, 0), "within a list too");
        assert_eq!(scene.pass("04000001").await.valid_until, Some(NOW.plus_ms(70)));
    }
}

#[tokio::test]
async fn a_whole_list_ends_what_it_does_not_mention_but_never_too_much_without_a_word() {
    for scene in scenes(|settings| (settings.end_max_percent, settings.end_free) = (10, 2)).await {
        let list = |from: u32, to: u32| {
            let with_card = |no: u32| PatientRecord {
                cards: Some(vec![card(&format!("0400{no:04}"))]),
                ..patient(&format!("P-{no}"))
            };
            Records::Patients((from..to).map(with_card).collect())
        };
        let report = scene.told("mis", list(0, 40), Mode::Whole).await;
        assert_eq!(counts(&report), (40, 0, 0, 0, 0, 0));
        let report = scene.told("mis", list(0, 37), Mode::Whole).await;
        assert_eq!(counts(&report), (0, 0, 37, 0, 3, 0), "three of forty may end");
        assert!(scene.pass("04000038").await.valid_until.is_some_and(|until| until <= NOW));
        let report = scene.told("mis", list(10, 40), Mode::Whole).await;
        let held = report.held.expect("it waits");
        assert_eq!((held.would_end, held.of, report.changed), (10, 37, 0), "nothing is done");
        assert!(scene.pass("04000000").await.valid_until.is_none());
        assert!(scene.pass("04000038").await.valid_until.is_some(), "not even what would begin again");
        let again = scene.told("mis", list(10, 40), Mode::Whole).await;
        assert_eq!(again.held.map(|held| held.id), Some(held.id), "one question, however often it is told");
        let console = Acting::console();
        scene.feeds.decide_hold(&console, held.id, true).await.unwrap();
        let report = scene.told("mis", list(11, 40), Mode::Whole).await;
        assert!(report.held.is_some(), "the word was about another list");
        let report = scene.told("mis", list(10, 40), Mode::Whole).await;
        let held = report.held.expect("the word went with the other list");
        scene.feeds.decide_hold(&console, held.id, true).await.unwrap();
        let report = scene.told("mis", list(10, 40), Mode::Whole).await;
        assert_eq!(counts(&report), (0, 3, 27, 0, 10, 0));
        assert!(scene.pass("04000000").await.valid_until.is_some_and(|until| until <= NOW));
        assert!(scene.pass("04000038").await.valid_until.is_none(), "told again");
        assert!(scene.feeds.decide_hold(&console, held.id, true).await.is_err(), "a word counts once");
    }
}

/// A small generator of our own, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// What must be known of one record.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Model {
    version: i64,
    until: i64,
}

#[tokio::test]
async fn any_history_of_repetitions_and_late_comers_ends_like_its_newest_records() {
    for scene in scenes(|settings| settings.end_free = 1000).await {
        for seed in 1..6_u64 {
            let by = format!("mis-{seed}");
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed << 32);
            let mut model: BTreeMap<u64, Model> = BTreeMap::new();
            for _ in 0..25 {
                let told: Vec<(u64, Model)> = (0..dice.roll(6))
                    .map(|_| (dice.roll(8), Model { version: dice.roll(20) as i64, until: 1 + dice.roll(4) as i64 }))
                    .collect();
                let record = |(no, model): &(u64, Model)| PatientRecord {
                    changed: Some(NOW.plus_ms(model.version)),
                    until: Some(NOW.plus_ms(model.until * HOUR)),
                    cards: Some(vec![card(&format!("05{seed:02}{no:04}"))]),
                    ..patient(&format!("P-{no}"))
                };
                scene.changes(&by, Records::Patients(told.iter().map(record).collect())).await;
                for (no, new) in told {
                    let known = model.entry(no).or_insert(new);
                    if new.version >= known.version {
                        *known = new;
                    }
                }
            }
            for (no, known) in &model {
                let pass = scene.pass(&format!("05{seed:02}{no:04}")).await;
                assert_eq!(pass.valid_until, Some(NOW.plus_ms(known.until * HOUR)), "seed {seed}, record {no}");
            }
            let stays = scene.policy_version().await;
            let again = model.iter().map(|(no, known)| PatientRecord {
                changed: Some(NOW.plus_ms(known.version)),
                until: Some(NOW.plus_ms(known.until * HOUR)),
                cards: Some(vec![card(&format!("05{seed:02}{no:04}"))]),
                ..patient(&format!("P-{no}"))
            });
            let report = scene.told(&by, Records::Patients(again.collect()), Mode::Whole).await;
            assert_eq!((report.unchanged, report.changed, report.ended), (model.len() as u64, 0, 0), "seed {seed}");
            assert_eq!(scene.policy_version().await, stays);
        }
    }
}
