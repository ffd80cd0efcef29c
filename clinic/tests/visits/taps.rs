//! The patient's card at a workstation.

use clinic::desk::TapOutcome;
use domain::policy::PassKind;
use domain::visit::Rules;
use domain::{Draft, Kind, Reason};

use crate::clinic_of::{Booked, Clinic, both, doctor};
use crate::scene::{MINUTE, SECOND, card, person, point};

#[tokio::test(flavor = "multi_thread")]
async fn a_patients_card_starts_one_visit_and_a_second_tap_only_shows_the_chart_again() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.go_on(10 * SECOND);
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 10 runs"]);
        let visit = clinic.running(1).await.unwrap();
        assert_eq!((visit.no, visit.zone.as_str(), visit.appointment.as_deref()), (1, "room-1", None));
        assert_eq!((visit.id.len(), visit.id.as_bytes()[14]), (36, b'4'), "a UUID of version 4: {}", visit.id);
        for _ in 0..3 {
            clinic.scene.go_on(20 * SECOND);
            clinic.scene.tap(1, 10).await;
        }
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 10 runs"]);
        assert_eq!(clinic.running(1).await, Some(visit));
        let told = [
            "visit_started card",
            "choice_wanted no_appointment",
            "visit_confirmed",
            "visit_confirmed",
            "visit_confirmed",
        ];
        assert_eq!(clinic.told(0).await, told);
        let log = clinic.log().await;
        assert_eq!(log[0], "visit_started done by staff about 10: no=1; zone=room-1; by=card");
        assert_eq!(log[1], "chart_opened done by staff about 10: again; no=1");
        assert_eq!(log.len(), 4, "one entry for each tap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_patients_card_ends_the_visit_and_starts_the_next_at_the_time_of_the_tap() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.go_on(10 * SECOND);
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(600 * SECOND);
        // Taken in half a minute after it happened.
        let fact: Draft = clinic.scene.fact(1, 11, Kind::Granted, Reason::Allowed);
        clinic.scene.go_on(30 * SECOND);
        clinic.scene.record(vec![fact]).await;
        clinic.scene.desk.work().await.unwrap();
        let expected = ["10 with 1 at desk-1 from 10 until 610 next_patient", "11 with 1 at desk-1 from 610 runs"];
        assert_eq!(clinic.shown().await, expected);
        let told = ["visit_ended next_patient", "visit_started card", "choice_wanted no_appointment"];
        assert_eq!(clinic.told(2).await, told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_at_one_place_and_the_later_tap_wins() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(2, 2).await;
        clinic.scene.go_on(10 * SECOND);
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(60 * SECOND);
        let late = clinic.scene.fact(1, 10, Kind::Granted, Reason::Allowed);
        clinic.scene.go_on(20 * SECOND);
        clinic.scene.tap(2, 10).await;
        let expected = ["10 with 1 at desk-1 from 10 until 90 elsewhere", "10 with 2 at desk-2 from 90 runs"];
        assert_eq!(clinic.shown().await, expected);
        // A tap that happened before, delivered after.
        clinic.scene.record(vec![late]).await;
        clinic.scene.desk.work().await.unwrap();
        assert_eq!(clinic.shown().await, expected);
        assert_eq!(clinic.told(0).await.last().unwrap(), "tap_refused overtaken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_cannot_start_a_visit_is_refused_said_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 10).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.pass(30, 30, PassKind::Visitor).await;
        clinic.scene.tap(1, 30).await;
        clinic.scene.pass(31, 31, PassKind::PatientTemporary).await;
        let session = clinic.scene.at(1).await.unwrap();
        clinic.scene.desk.lock(&clinic.at_desk(&session).await, &session).await.unwrap();
        clinic.scene.tap(1, 10).await;
        let outcome = clinic.scene.page_tap(1, 99).await;
        assert_eq!(outcome, TapOutcome::Refused("unknown_card"));
        let refused = ["tap_refused no_specialist", "tap_refused not_a_patient", "tap_refused desk_locked"];
        assert_eq!(clinic.told(0).await, refused);
        assert!(clinic.shown().await.is_empty());
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 31).await;
        assert_eq!(clinic.shown().await, ["31 with 1 at desk-1 from 5 runs"], "a pass for one visit is a patient's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_seen_in_this_binding_is_asked_about_so_two_cards_on_a_reader_make_no_visits_by_turns() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        for _ in 0..5 {
            for patient in [10, 11] {
                clinic.scene.go_on(5 * SECOND);
                clinic.scene.tap(1, patient).await;
            }
        }
        assert_eq!(clinic.all().await.len(), 2);
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(1, 10).await;
        let (question, why, _) = clinic.asked(1).await.unwrap();
        assert_eq!(why, "seen_already");
        let visit = clinic.visits.answer(&doctor(1), &question, clinic::visits::Answer::Without, None).await.unwrap();
        assert_eq!(visit.unwrap().patient, person(10));
        assert_eq!(clinic.all().await.len(), 3);
        assert_eq!(clinic.asked(1).await, None);
        // The same for who comes in another shift starts at once.
        let session = clinic.scene.at(1).await.unwrap();
        clinic.scene.desk.end(&clinic.at_desk(&session).await, &session).await.unwrap();
        clinic.scene.go_on(10 * SECOND);
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.all().await.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_tap_ends_the_visit_only_where_that_is_wanted_and_not_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules { tap_out_ms: Some(MINUTE), ..Rules::default() }).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(59 * SECOND);
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 runs"]);
        clinic.scene.go_on(SECOND);
        assert!(matches!(clinic.scene.page_tap(1, 10).await, TapOutcome::Patient("ended", Some(_))));
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 until 60 tap_out"]);
        // And the card is still on the reader.
        clinic.scene.go_on(SECOND);
        assert!(matches!(clinic.scene.page_tap(1, 10).await, TapOutcome::Patient("asked", Some(_))));
        assert_eq!(clinic.all().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_card_of_a_merged_record_opens_the_one_that_is_left_and_both_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        store::transact!(clinic.scene.database, "test.merge", |conn| {
            sqlx::query("INSERT INTO person_merge (person, into_person, at_ms) VALUES ($1, $2, 0)")
                .bind(person(10).to_string())
                .bind(person(11).to_string())
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        clinic.book(Booked { id: "a", patient: 11, staff: Some(1), zone: None, in_minutes: 5 }).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.shown().await, ["11 with 1 at desk-1 from 0 runs"]);
        assert_eq!(clinic.running(1).await.unwrap().appointment.as_deref(), Some("a"));
        let log = clinic.log().await;
        let both = format!("about 11: no=1; zone=room-1; by=card; merged_from={}", person(10));
        assert!(log[0].ends_with(&both), "{log:?}");
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(1, 11).await;
        assert_eq!(clinic.told(0).await.last().unwrap(), "visit_confirmed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_in_the_middle_of_a_visit_makes_no_second_one() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(2, 2).await;
        clinic.scene.tap(1, 10).await;
        store::transact!(clinic.scene.database, "test.merge", |conn| {
            sqlx::query("INSERT INTO person_merge (person, into_person, at_ms) VALUES ($1, $2, 0)")
                .bind(person(10).to_string())
                .bind(person(11).to_string())
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(1, 11).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 runs"], "the same patient");
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(2, 11).await;
        let expected = ["10 with 1 at desk-1 from 0 until 10 elsewhere", "11 with 2 at desk-2 from 10 runs"];
        assert_eq!(clinic.shown().await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_makes_no_visit_that_ends_before_it_starts_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.go_on(30 * SECOND);
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(-20 * SECOND);
        clinic.scene.tap(1, 11).await;
        let expected = ["10 with 1 at desk-1 from 30 until 30 next_patient", "11 with 1 at desk-1 from 30 runs"];
        assert_eq!(clinic.shown().await, expected);
        let log = clinic.log().await;
        assert!(log[1].contains("clock_back_ms=20000") && log[2].contains("clock_back_ms=20000"), "{log:?}");
    }
}

async fn storm(clinic: &Clinic, taps: Vec<(u8, u8)>) {
    let mut tasks = tokio::task::JoinSet::new();
    for (desk, number) in taps {
        let (desks, at) = (clinic.scene.desk.clone(), clinic.scene.now());
        tasks.spawn(async move { desks.tap_from_page(&point(desk), card(number), at).await });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_taps_at_once_are_one_visit() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(Booked { id: "a", patient: 10, staff: Some(1), zone: Some("room-1"), in_minutes: 5 }).await;
        clinic.scene.tap(1, 1).await;
        storm(&clinic, vec![(1, 10); 10]).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 runs"]);
        let told = clinic.told(0).await;
        let count = |what: &str| told.iter().filter(|line| *line == what).count();
        assert_eq!(count("visit_started card"), 1);
        assert_eq!(count("appointment_changed arrived"), 1);
        assert_eq!(count("visit_confirmed"), 9);
        assert_eq!(clinic.log().await.len(), 10, "each tap has its entry");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_patient_at_four_desks_and_many_at_one_at_once_leave_one_open_visit_each() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        for desk in 1..=3 {
            clinic.scene.tap(desk, desk).await;
        }
        let taps = (0..64_u8).map(|task| (1 + task % 3, 10 + task % 4)).collect();
        storm(&clinic, taps).await;
        let all = clinic.all().await;
        let open: Vec<_> = all.iter().filter(|visit| visit.ended.is_none()).collect();
        assert!(!open.is_empty() && open.len() <= 3, "{open:?}");
        for desk in 1..=3 {
            assert!(open.iter().filter(|visit| visit.workstation == point(desk)).count() <= 1);
        }
        for patient in 10..=13 {
            assert!(open.iter().filter(|visit| visit.patient == person(patient)).count() <= 1);
            for desk in 1..=3 {
                let starts = all.iter().filter(|it| it.patient == person(patient) && it.workstation == point(desk));
                assert!(starts.count() <= 1, "one start for a patient and a binding");
            }
        }
        let numbers: std::collections::BTreeSet<u64> = all.iter().map(|visit| visit.no).collect();
        assert_eq!(numbers.len(), all.len());
    }
}
