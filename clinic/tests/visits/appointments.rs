//! Which appointment a visit takes: the one that fits, or the one that a person chooses.

use clinic::appointments::next_for;
use clinic::visits::{Answer, VisitError};
use domain::Direction;
use domain::visit::{Rules, Unclear};
use domain::{Draft, Kind, PointId};

use crate::clinic_of::{Booked, Clinic, both, doctor};
use crate::scene::{MINUTE, SECOND, card, person};

const WHY: &str = "the patient asked to be seen by me";

fn booked(id: &'static str, patient: u8, staff: u8, zone: &'static str, in_minutes: i64) -> Booked {
    Booked { id, patient, staff: Some(staff), zone: Some(zone), in_minutes }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_appointment_that_fits_patient_specialist_room_and_time_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(booked("today", 10, 1, "room-1", 20)).await;
        clinic.book(booked("evening", 10, 1, "room-1", 300)).await;
        clinic.book(booked("tomorrow", 10, 1, "room-1", 24 * 60)).await;
        clinic.book(booked("other", 11, 1, "room-1", 20)).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.go_on(SECOND);
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.running(1).await.unwrap().appointment.as_deref(), Some("today"));
        assert_eq!(clinic.appointment("today").await, ("arrived".to_owned(), Some(1)));
        assert_eq!(clinic.told(0).await, ["appointment_changed arrived", "visit_started card"]);
        assert_eq!(clinic.asked(1).await, None);
        clinic.scene.go_on(MINUTE);
        clinic.visits.end(&doctor(1), &clinic.running(1).await.unwrap().id).await.unwrap();
        assert_eq!(clinic.appointment("today").await, ("fulfilled".to_owned(), Some(1)));
        for untouched in ["evening", "tomorrow", "other"] {
            assert_eq!(clinic.appointment(untouched).await, ("booked".to_owned(), None));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_lies_in_the_zone_of_the_appointment_is_its_room() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(booked("whole-clinic", 10, 1, "clinic", 20)).await;
        clinic.book(Booked { id: "anybody", patient: 11, staff: None, zone: None, in_minutes: 0 }).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.running(1).await.unwrap().appointment.as_deref(), Some("whole-clinic"));
        clinic.scene.tap(1, 11).await;
        assert_eq!(clinic.running(1).await.unwrap().appointment.as_deref(), Some("anybody"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_appointments_a_person_chooses_and_the_visit_starts_at_the_tap() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(booked("a", 10, 1, "room-1", 10)).await;
        clinic.book(booked("b", 10, 1, "room-1", 40)).await;
        clinic.book(booked("not-theirs", 11, 1, "room-1", 10)).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 12).await;
        clinic.scene.go_on(10 * SECOND);
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.told(2).await, ["choice_wanted several_appointments"]);
        assert_eq!(clinic.shown().await, ["12 with 1 at desk-1 from 0 runs"], "what runs goes on");
        let (question, why, offered) = clinic.asked(1).await.unwrap();
        assert_eq!((why.as_str(), offered), ("several_appointments", vec!["a".to_owned(), "b".to_owned()]));
        clinic.scene.go_on(MINUTE);
        let answer = |appointment: &str| Answer::Appointment(appointment.to_owned());
        let foreign = clinic.visits.answer(&doctor(1), &question, answer("not-theirs"), None).await;
        assert!(matches!(foreign, Err(VisitError::BadAppointment)));
        let theirs = clinic.visits.answer(&doctor(2), &question, answer("b"), None).await;
        assert!(matches!(theirs, Err(VisitError::NotYours)));
        let visit = clinic.visits.answer(&doctor(1), &question, answer("b"), None).await.unwrap().unwrap();
        assert_eq!((visit.id.as_str(), visit.appointment.as_deref()), (question.as_str(), Some("b")));
        let expected = ["12 with 1 at desk-1 from 0 until 10 next_patient", "10 with 1 at desk-1 from 10 runs"];
        assert_eq!(clinic.shown().await, expected);
        assert_eq!(clinic.appointment("a").await.0, "booked");
        let again = clinic.visits.answer(&doctor(1), &question, answer("a"), None).await;
        assert!(matches!(again, Err(VisitError::NotFound)), "answered once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_room_or_another_specialist_is_asked_about_and_needs_words() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(booked("room", 10, 1, "room-2", 10)).await;
        clinic.book(booked("staff", 11, 2, "room-1", 10)).await;
        clinic.scene.tap(1, 1).await;
        for (patient, why, appointment) in [(10, "wrong_room", "room"), (11, "wrong_specialist", "staff")] {
            clinic.scene.go_on(5 * SECOND);
            clinic.scene.tap(1, patient).await;
            let (question, asked, _) = clinic.asked(1).await.unwrap();
            assert_eq!(asked, why);
            for answer in [Answer::Appointment(appointment.to_owned()), Answer::Without] {
                let silent = clinic.visits.answer(&doctor(1), &question, answer, Some("short")).await;
                assert!(matches!(silent, Err(VisitError::ReasonWanted)), "{why}");
            }
            let answer = Answer::Appointment(appointment.to_owned());
            let visit = clinic.visits.answer(&doctor(1), &question, answer, Some(WHY)).await.unwrap().unwrap();
            assert_eq!(visit.appointment.as_deref(), Some(appointment));
            let log = clinic.log().await;
            let entry = log.iter().rfind(|line| line.contains("answered=")).unwrap();
            assert!(entry.contains(&format!("answered={why}")) && entry.ends_with("+words"), "{entry}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_appointment_the_visit_starts_and_it_is_asked_or_waits_where_that_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(booked("evening", 10, 1, "room-1", 300)).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        let (question, why, offered) = clinic.asked(1).await.unwrap();
        assert_eq!((why.as_str(), offered), ("no_appointment", vec!["evening".to_owned()]));
        let answer = Answer::Appointment("evening".to_owned());
        let visit = clinic.visits.answer(&doctor(1), &question, answer, None).await.unwrap().unwrap();
        assert_eq!(clinic.running(1).await, Some(visit));
        assert_eq!(clinic.appointment("evening").await.0, "arrived");
        assert_eq!(clinic.all().await.len(), 1);
    }
    let strict = Rules { on_none: Unclear::Wait, ..Rules::default() };
    for clinic in both(folder.path(), strict).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        assert!(clinic.shown().await.is_empty());
        let (question, ..) = clinic.asked(1).await.unwrap();
        assert_eq!(clinic.visits.answer(&doctor(1), &question, Answer::Nothing, None).await.unwrap(), None);
        assert!(clinic.shown().await.is_empty() && clinic.asked(1).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_with_its_binding_and_with_a_later_visit_of_the_patient() {
    let folder = tempfile::tempdir().unwrap();
    let strict = Rules { on_none: Unclear::Wait, ..Rules::default() };
    for clinic in both(folder.path(), strict).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        let (question, ..) = clinic.asked(1).await.unwrap();
        let session = clinic.scene.at(1).await.unwrap();
        clinic.scene.desk.lock(&clinic.at_desk(&session).await, &session).await.unwrap();
        let locked = clinic.visits.answer(&doctor(1), &question, Answer::Without, None).await;
        assert!(matches!(locked, Err(VisitError::NotBound)));
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(1, 1).await;
        // Meanwhile the patient is seen by somebody else.
        clinic.book(booked("next", 10, 2, "room-2", 10)).await;
        clinic.scene.tap(2, 2).await;
        clinic.scene.tap(2, 10).await;
        let late = clinic.visits.answer(&doctor(1), &question, Answer::Without, None).await;
        assert!(matches!(late, Err(VisitError::Overtaken)), "{late:?}");
        clinic.scene.tap(1, 3).await;
        assert!(matches!(
            clinic.visits.answer(&doctor(1), &question, Answer::Without, None).await,
            Err(VisitError::NotFound)
        ));
    }
}

async fn came(clinic: &Clinic, patient: u8, direction: Direction) {
    let turnstile = PointId::new("turnstile").unwrap();
    let fact = Draft {
        point: Some(turnstile),
        direction: Some(direction),
        person: Some(person(patient)),
        card: Some(card(patient)),
        ..Draft::new(clinic.scene.now(), Kind::Passed)
    };
    clinic.scene.record(vec![fact]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specialist_sees_who_comes_next_and_who_of_them_is_in_the_building() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(booked("b", 11, 1, "room-1", 40)).await;
        clinic.book(booked("a", 10, 1, "room-1", 10)).await;
        clinic.book(booked("c", 12, 1, "room-1", 70)).await;
        clinic.book(booked("other", 13, 2, "room-1", 10)).await;
        came(&clinic, 11, Direction::In).await;
        came(&clinic, 12, Direction::In).await;
        clinic.scene.go_on(SECOND);
        came(&clinic, 12, Direction::Out).await;
        clinic.scene.tap(1, 1).await;
        let next = || async {
            let next = next_for(&clinic.scene.database, &doctor(1), person(1), clinic.scene.now(), 50).await.unwrap();
            let line = |next: &clinic::appointments::Next| {
                let zone = next.inside.as_ref().map_or("-", |(zone, _)| zone.as_str());
                format!("{} {zone}", next.appointment.id)
            };
            next.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(next().await, ["a -", "b clinic", "c -"]);
        clinic.scene.tap(1, 10).await;
        assert_eq!(next().await, ["b clinic", "c -"], "who is here does not come next");
    }
}
