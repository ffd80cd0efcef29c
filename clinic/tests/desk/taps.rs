//! From taps to bindings.

use clinic::desk::{Again, Elsewhere, EndWhy, Refusal, Rules, SessionState, TapOutcome};
use clinic::people;
use clinic::staff::{self, Put, Staff};
use domain::policy::{PassKind, PassState};
use domain::{Kind, Reason, Shipped};

use crate::scene::{CLEANER, MINUTE, NOW, SECOND, both, card, manager, person, plain, point};

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_binds_and_another_specialists_tap_ends_that_first() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        let first = scene.at(1).await.unwrap();
        assert_eq!((first.state, first.person, first.opened), (SessionState::Open, person(1), NOW));
        assert_eq!((first.card, first.zone.as_str()), (Some(card(1)), "room-1"));
        scene.go_on(10 * SECOND);
        scene.tap(1, 2).await;
        let ended = scene.desk.session(&first.id).await.unwrap().unwrap();
        assert_eq!(ended.ended, Some((NOW.plus_ms(10 * SECOND), EndWhy::AnotherSpecialist)));
        assert_eq!(scene.shown(1).await, "open 2");
        let told = ["session_opened/desk-1/1", "session_ended/desk-1/1 another_specialist", "session_opened/desk-1/2"];
        assert_eq!(scene.told(0).await, told);
        let log =
            ["desk_opened done 01 open", "desk_ended done 02 ended another_specialist", "desk_opened done 02 open"];
        assert_eq!(scene.log().await, log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_reading_is_ignored_and_a_later_tap_shows_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        scene.go_on(3 * SECOND - 1);
        scene.tap(1, 1).await;
        assert_eq!(scene.told(1).await, Vec::<String>::new());
        scene.go_on(1);
        scene.tap(1, 1).await;
        assert_eq!(scene.told(1).await, ["session_confirmed/desk-1/1"]);
        let session = scene.at(1).await.unwrap();
        assert_eq!((session.opened, session.confirmed), (NOW, NOW.plus_ms(3 * SECOND)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_tap_locks_or_ends_where_that_is_wanted_and_a_second_reading_does_not_undo_it() {
    let folder = tempfile::tempdir().unwrap();
    for (again, shown, back) in [(Again::Lock, "locked 1", "open 1"), (Again::End, "free", "open 1")] {
        for scene in both(folder.path(), Rules { again, ..plain() }).await {
            scene.tap(1, 1).await;
            scene.go_on(MINUTE);
            scene.tap(1, 1).await;
            assert_eq!(scene.shown(1).await, shown);
            scene.go_on(SECOND);
            scene.tap(1, 1).await;
            assert_eq!(scene.shown(1).await, shown, "a second reading");
            scene.go_on(3 * SECOND);
            scene.tap(1, 1).await;
            assert_eq!(scene.shown(1).await, back);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_workstation_is_locked_or_ended_when_its_specialist_taps_here() {
    let folder = tempfile::tempdir().unwrap();
    for (elsewhere, shown) in [(Elsewhere::Lock, "locked 1"), (Elsewhere::End, "free")] {
        for scene in both(folder.path(), Rules { elsewhere, ..plain() }).await {
            scene.tap(1, 1).await;
            scene.go_on(MINUTE);
            scene.tap(2, 1).await;
            assert_eq!((scene.shown(1).await.as_str(), scene.shown(2).await.as_str()), (shown, "open 1"));
            let told = scene.told(1).await;
            assert!(told[0].ends_with(" elsewhere") && told[1] == "session_opened/desk-2/1", "{told:?}");
            scene.go_on(MINUTE);
            scene.tap(1, 1).await;
            assert_eq!((scene.shown(1).await.as_str(), scene.shown(2).await.as_str()), ("open 1", shown));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_must_not_be_bound_is_refused_with_the_reason_and_nothing_begins() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        let refused = |refusal: Refusal| TapOutcome::Refused(refusal.as_str());
        assert_eq!(scene.page_tap(1, 99).await, refused(Refusal::UnknownCard));
        assert_eq!(scene.page_tap(1, CLEANER).await, refused(Refusal::NotStaff));
        assert_eq!(scene.page_tap(1, 10).await, refused(Refusal::NoSpecialist));
        let ended = Staff { ended: Some(NOW), ..Staff::new(person(3), Shipped::Doctor) };
        assert_eq!(staff::put(&scene.database, &manager(), &ended, NOW).await.unwrap(), Put::Changed);
        assert_eq!(scene.page_tap(1, 3).await, refused(Refusal::StaffLeft));
        for (state, refusal) in [
            (PassState::Blocked, Refusal::Blocked),
            (PassState::Lost, Refusal::Lost),
            (PassState::Withdrawn, Refusal::Withdrawn),
        ] {
            people::set_state(&scene.database, card(2), state, NOW).await.unwrap();
            assert_eq!(scene.page_tap(1, 2).await, refused(refusal));
        }
        // The reader's policy is a second behind: it granted.
        scene.tap(1, 2).await;
        assert_eq!(scene.shown(1).await, "free");
        let last = scene.changes().await.pop().unwrap();
        assert_eq!((last.reason.as_deref(), last.staff), (Some("withdrawn"), Some(person(2))));
        assert!(scene.log().await.iter().all(|line| line.starts_with("desk_opened refused")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_reader_refused_or_saw_too_late_binds_nobody_and_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        let mut late = scene.fact(1, 1, Kind::LateTap, Reason::StaleRead);
        late.age_ms = Some(20_000);
        let mut old = scene.fact(1, 1, Kind::Granted, Reason::Allowed);
        old.at = NOW.plus_ms(-61 * SECOND);
        let mut ahead = scene.fact(1, 1, Kind::Granted, Reason::Allowed);
        ahead.at = NOW.plus_ms(2 * SECOND + 1);
        let facts = vec![
            scene.fact(1, 1, Kind::Refused, Reason::NoRule),
            scene.fact(1, 1, Kind::Refused, Reason::Lost),
            late,
            old,
            ahead,
            // What a tap is before it is decided, and what happens elsewhere, is not the desk's.
            scene.fact(1, 1, Kind::Tap, Reason::Allowed),
            scene.fact(1, 1, Kind::Alarm, Reason::Duress),
        ];
        scene.record(facts).await;
        let worked = scene.desk.work().await.unwrap();
        assert_eq!((worked.taps, worked.upto), (5, 7));
        let reasons: Vec<_> = scene.changes().await.into_iter().filter_map(|change| change.reason).collect();
        let expected = ["put", "put", "put", "refused_at_reader", "lost", "late_tap", "stale_tap", "clock_ahead"];
        assert_eq!(reasons, expected);
        assert_eq!(scene.changes().await[3].detail.as_deref(), Some("no_rule"));
        assert_eq!(scene.shown(1).await, "free");
        let mut just = scene.fact(1, 1, Kind::Granted, Reason::Allowed);
        just.at = NOW.plus_ms(-60 * SECOND);
        scene.record(vec![just]).await;
        scene.desk.work().await.unwrap();
        let session = scene.at(1).await.unwrap();
        assert_eq!((session.opened, session.used), (NOW.plus_ms(-60 * SECOND), NOW), "work began at the tap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_taps_of_one_card_at_once_are_one_binding() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        let facts = (0..10).map(|_| scene.fact(1, 1, Kind::Granted, Reason::Allowed)).collect();
        scene.record(facts).await;
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let desk = scene.desk.clone();
            running.spawn(async move { desk.work().await.unwrap().taps });
        }
        for _ in 0..10 {
            let (desk, now) = (scene.desk.clone(), scene.now());
            running.spawn(async move {
                desk.tap_from_page(&point(1), card(1), now).await.unwrap();
                0
            });
        }
        let taken: u64 = running.join_all().await.into_iter().sum();
        assert_eq!(taken, 10, "each is taken by one of the five");
        assert_eq!(scene.told(0).await, ["session_opened/desk-1/1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cards_of_one_person_at_two_desks_leave_one_that_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.pass(1, 30, PassKind::Staff).await;
        for round in 0..5 {
            scene.go_on(MINUTE);
            let (one, two) = (scene.desk.clone(), scene.desk.clone());
            let at = scene.now();
            let first = tokio::spawn(async move { one.tap_from_page(&point(1), card(1), at).await.unwrap() });
            let second = tokio::spawn(async move { two.tap_from_page(&point(2), card(30), at).await.unwrap() });
            let _ = (first.await.unwrap(), second.await.unwrap());
            let mut shown = [scene.shown(1).await, scene.shown(2).await];
            shown.sort();
            assert_eq!(shown, ["locked 1", "open 1"], "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specialist_is_a_patient_at_a_desk_where_another_one_works() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.pass(2, 40, PassKind::Patient).await;
        scene.tap(1, 40).await;
        assert_eq!(scene.shown(1).await, "open 2", "at a free desk they work");
        scene.tap(2, 1).await;
        scene.tap(2, 40).await;
        assert_eq!(scene.shown(2).await, "open 1", "the doctor keeps the desk");
        scene.tap(2, 2).await;
        assert_eq!(scene.shown(2).await, "open 2", "the employee's card takes it over");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_records_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.pass(50, 50, PassKind::Staff).await;
        store::transact!(scene.database, "test.merge", |conn| {
            sqlx::query("INSERT INTO person_merge (person, into_person, at_ms) VALUES ($1, $2, 0)")
                .bind(person(50).to_string())
                .bind(person(1).to_string())
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        scene.tap(1, 50).await;
        assert_eq!(scene.shown(1).await, "open 1");
        scene.go_on(2 * SECOND);
        assert_eq!(scene.desk.tick().await.unwrap().ended, 0, "the card is theirs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_from_before_the_binding_of_another_does_not_take_the_desk() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        let earlier = scene.now().plus_ms(-10 * SECOND);
        let outcome = scene.desk.tap_from_page(&point(1), card(2), earlier).await.unwrap();
        assert_eq!(outcome, TapOutcome::Refused("out_of_order"));
        assert_eq!(scene.shown(1).await, "open 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_taps_only_move_the_follower() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.record((0..50).map(|_| domain::Draft::new(NOW, Kind::Online)).collect()).await;
        let worked = scene.desk.work().await.unwrap();
        assert_eq!(worked.taps, 0);
        assert_eq!(scene.desk.work().await.unwrap().upto, 50);
    }
}
