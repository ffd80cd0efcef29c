//! How visits end when nobody taps: by hand, with the binding, by time; and those that never were.

use clinic::acting::Acting;
use clinic::desk::{Again, Rules as DeskRules};
use clinic::till::{CancelReason, NewCharge, NewPrice, NewService, NewTerms, Rules as TillRules, Till};
use clinic::visits::VisitError;
use domain::till::Owner;
use domain::visit::{Rules, VisitEnd};
use domain::{Amount, Currency};

use crate::clinic_of::{Booked, both, doctor, short};
use crate::scene::{HOUR, MINUTE, SECOND, manager, plain};

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_ended_by_its_specialist_or_a_manager_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        let visit = clinic.running(1).await.unwrap();
        clinic.scene.go_on(MINUTE);
        assert!(matches!(clinic.visits.end(&doctor(2), &visit.id).await, Err(VisitError::NotYours)));
        let ended = clinic.visits.end(&doctor(1), &visit.id).await.unwrap();
        assert_eq!(short(&ended), "10 with 1 at desk-1 from 0 until 60 by_hand");
        clinic.scene.go_on(MINUTE);
        let again = clinic.visits.end(&doctor(1), &visit.id).await.unwrap();
        assert_eq!(again, ended, "ended once");
        clinic.scene.tap(1, 11).await;
        let next = clinic.running(1).await.unwrap();
        clinic.visits.end(&manager(), &next.id).await.unwrap();
        assert!(matches!(clinic.visits.end(&manager(), "no such").await, Err(VisitError::NotFound)));
        let log = clinic.log().await;
        assert_eq!(log.iter().filter(|line| line.starts_with("visit_ended")).count(), 2, "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_card_is_wanted_at_the_end_a_visit_is_not_ended_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules { end_needs_card: true, ..Rules::default() }).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        let visit = clinic.running(1).await.unwrap();
        assert!(matches!(clinic.visits.end(&doctor(1), &visit.id).await, Err(VisitError::CardWanted)));
        let code = domain::visit::OutOfCardCode::Reader;
        let (case, ended) =
            clinic.irregular.end_visit(&doctor(1), &visit.id, code, "the reader at my desk is dead").await.unwrap();
        assert_eq!((ended.ended.unwrap().1, case.kind.as_str()), (VisitEnd::OutOfCard, "end"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specialist_who_comes_back_in_time_goes_on_with_the_same_visit() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        let rules = DeskRules { again: Again::End, ..plain() };
        let desk = clinic::desk::Desk::new(clinic.scene.database.clone(), clock_of(&clinic), rules);
        let go = |number: u8| {
            let (desk, now) = (desk.clone(), clinic.scene.now());
            async move { desk.tap_from_page(&crate::scene::point(1), crate::scene::card(number), now).await.unwrap() }
        };
        go(1).await;
        go(10).await;
        clinic.scene.go_on(MINUTE);
        go(1).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 waits"]);
        clinic.scene.go_on(4 * MINUTE);
        assert_eq!(clinic.visits.tick().await.unwrap(), clinic::visits::Ticked::default());
        go(1).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 runs"]);
        assert_eq!(clinic.running(1).await.unwrap().session, clinic.scene.at(1).await.unwrap().id);
        clinic.scene.go_on(MINUTE);
        go(1).await;
        clinic.scene.go_on(5 * MINUTE);
        assert_eq!(clinic.visits.tick().await.unwrap().left, 1);
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 until 360 session_ended"], "when they went");
        let log = clinic.log().await;
        assert!(log.last().unwrap().starts_with("visit_ended done by system about 10"), "{log:?}");
    }
}

fn clock_of(clinic: &crate::clinic_of::Clinic) -> domain::Clock {
    let scene = clinic.scene.clone();
    domain::Clock::new(move || scene.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_specialist_at_the_desk_or_the_end_of_work_ends_the_visit_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(MINUTE);
        clinic.scene.tap(1, 2).await;
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 until 60 session_ended"]);
        clinic.scene.go_on(SECOND);
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.shown().await[1], "10 with 2 at desk-1 from 61 runs", "another binding");
        clinic.scene.go_on(MINUTE);
        let session = clinic.scene.at(1).await.unwrap();
        clinic.scene.desk.end(&clinic.at_desk(&session).await, &session).await.unwrap();
        assert_eq!(clinic.shown().await[1], "10 with 2 at desk-1 from 61 until 121 session_ended");
        assert_eq!(clinic.asked(1).await, None, "nobody is there to answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_is_too_long_is_ended_by_the_rule_and_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        clinic.scene.go_on(4 * HOUR - 1);
        assert_eq!(clinic.visits.tick().await.unwrap().run_out, 0);
        clinic.scene.go_on(HOUR);
        let ticked = clinic.visits.tick().await.unwrap();
        assert_eq!((ticked.run_out, ticked.left), (1, 0));
        assert_eq!(clinic.asked(1).await, None, "what was asked about it goes with it");
        assert_eq!(clinic.shown().await, ["10 with 1 at desk-1 from 0 until 14400 run_out"]);
        assert_eq!(clinic.told(0).await.last().unwrap(), "visit_ended run_out");
        assert_eq!(clinic.visits.tick().await.unwrap(), clinic::visits::Ticked::default(), "once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_that_never_was_is_taken_back_with_a_reason_and_frees_its_appointment() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        clinic.book(Booked { id: "a", patient: 10, staff: Some(1), zone: Some("room-1"), in_minutes: 5 }).await;
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        assert_eq!(clinic.appointment("a").await, ("arrived".to_owned(), Some(0)));
        let visit = clinic.running(1).await.unwrap();
        assert!(matches!(clinic.visits.cancel(&doctor(1), &visit.id, "wrong").await, Err(VisitError::ReasonWanted)));
        let gone = clinic.visits.cancel(&doctor(1), &visit.id, "the card of somebody else").await.unwrap();
        assert!(gone.is_cancelled());
        assert_eq!(clinic.appointment("a").await, ("booked".to_owned(), None));
        assert_eq!(clinic.told(0).await.last().unwrap(), "visit_cancelled cancelled");
        assert!(clinic.log().await.last().unwrap().ends_with("+words"));
        // It never was: the same card starts a visit at once.
        clinic.scene.go_on(5 * SECOND);
        clinic.scene.tap(1, 10).await;
        let second = clinic.running(1).await.unwrap();
        assert_eq!(second.appointment.as_deref(), Some("a"));
        clinic.scene.go_on(MINUTE);
        clinic.visits.end(&doctor(1), &second.id).await.unwrap();
        assert_eq!(clinic.appointment("a").await, ("fulfilled".to_owned(), Some(5)));
        // Also after it ended; but once only.
        clinic.visits.cancel(&doctor(1), &second.id, "it was the wrong patient").await.unwrap();
        assert_eq!(clinic.appointment("a").await.0, "booked");
        let again = clinic.visits.cancel(&doctor(1), &second.id, "it was the wrong patient").await;
        assert!(matches!(again, Err(VisitError::NotFound)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit_is_not_taken_back_before_the_services_in_it() {
    let folder = tempfile::tempdir().unwrap();
    for clinic in both(folder.path(), Rules::default()).await {
        let currency = Currency::default();
        let till = Till::new(clinic.scene.database.clone(), clock_of(&clinic), chrono_tz::UTC, TillRules::of(currency));
        let (office, ten) = (Acting::console(), Amount::new(1000).unwrap());
        till.put_service(&office, NewService::new("CONS", "Consultation")).await.unwrap();
        till.set_prices(&office, None, vec![NewPrice::new("CONS", currency, ten)]).await.unwrap();
        let terms = NewTerms::postpaid(Owner::Everybody, currency, ten, till.today());
        till.put_terms(&office, terms).await.unwrap();
        clinic.scene.tap(1, 1).await;
        clinic.scene.tap(1, 10).await;
        let visit = clinic.running(1).await.unwrap();
        let new = NewCharge {
            key: "the-consultation".to_owned(),
            patient: visit.patient,
            visit: Some(visit.id.clone()),
            session: None,
            out_of_card: None,
            service: "CONS".to_owned(),
            quantity: 1,
            currency: None,
            shown: Some(ten),
        };
        let charge = till.register(&doctor(1), new).await.unwrap();
        let by = doctor(1);
        let take_back = || clinic.visits.cancel(&by, &visit.id, "the card of somebody else");
        assert!(matches!(take_back().await, Err(VisitError::HasServices)));
        assert!(!clinic.running(1).await.unwrap().is_cancelled());
        let (key, reason) = ("taken-back".to_owned(), CancelReason::Mistake);
        till.cancel(&by, key, &charge.id, reason, "the card of somebody else").await.unwrap();
        assert!(take_back().await.unwrap().is_cancelled());
    }
}
