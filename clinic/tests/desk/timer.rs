//! What happens without a tap.

use clinic::break_glass::{self, Queue};
use clinic::desk::{DeskError, EndWhy, Factor, Idle, Rules, SessionState};
use clinic::people;
use clinic::staff::{self, Staff};
use domain::policy::PassState;
use domain::{Field, Permission, Rights, Shipped};

use crate::scene::{HOUR, MINUTE, NOW, SECOND, both, card, manager, person, plain};

#[tokio::test(flavor = "multi_thread")]
async fn one_timer_warns_locks_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        scene.go_on(4 * MINUTE);
        let session = scene.at(1).await.unwrap();
        assert_eq!(session.idle(scene.desk.rules(), scene.now()), Idle::Warn(NOW.plus_ms(5 * MINUTE)));
        scene.desk.used(&session).await.unwrap();
        scene.go_on(5 * MINUTE - 1);
        assert_eq!(scene.desk.tick().await.unwrap().locked, 0, "it was used");
        scene.go_on(1);
        assert_eq!(scene.desk.tick().await.unwrap().locked, 1);
        assert_eq!(scene.shown(1).await, "locked 1");
        assert_eq!(scene.desk.tick().await.unwrap().locked, 0, "once");
        scene.desk.used(&scene.at(1).await.unwrap()).await.unwrap();
        scene.go_on(55 * MINUTE);
        assert_eq!(scene.desk.tick().await.unwrap().ended, 1, "a locked one is not used");
        assert_eq!(scene.told(1).await, ["session_locked/desk-1/1 idle", "session_ended/desk-1/1 idle"]);
        scene.tap(1, 1).await;
        assert_eq!(scene.shown(1).await, "open 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_specialists_own_tap_unlocks() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        scene.go_on(6 * MINUTE);
        scene.desk.tick().await.unwrap();
        scene.tap(1, 1).await;
        assert_eq!(scene.shown(1).await, "open 1");
        assert_eq!(scene.told(2).await, ["session_unlocked/desk-1/1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_show_the_second_factor_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules { factor: Factor::Pin, ..plain() }).await {
        scene.tap(1, 1).await;
        assert_eq!(scene.shown(1).await, "waiting 1");
        scene.go_on(2 * MINUTE);
        assert_eq!(scene.desk.tick().await.unwrap().ended, 1);
        let (_, why) = scene
            .desk
            .session(&scene.changes().await.pop().unwrap().session.unwrap())
            .await
            .unwrap()
            .unwrap()
            .ended
            .unwrap();
        assert_eq!(why, EndWhy::FactorMissing);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_stops_working_ends_what_it_opened() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        for (desk, state) in [(1, PassState::Lost), (2, PassState::Blocked), (3, PassState::Withdrawn)] {
            scene.tap(desk, desk).await;
            assert_eq!(scene.desk.tick().await.unwrap().ended, 0);
            people::set_state(&scene.database, card(desk), state, scene.now()).await.unwrap();
            scene.go_on(1);
            assert_eq!(scene.desk.tick().await.unwrap().ended, 1, "{state}");
            assert_eq!(scene.shown(desk).await, "free");
        }
        let last = scene.told(0).await.pop().unwrap();
        assert_eq!(last, "session_ended/desk-3/3 card_not_valid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_runs_out_ends_what_it_opened_within_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        let until = NOW.plus_ms(MINUTE);
        store::transact!(scene.database, "test.until", |conn| {
            sqlx::query("UPDATE credential SET valid_until = $1 WHERE card = $2")
                .bind(until.0)
                .bind(card(1).to_string())
                .execute(&mut *conn)
                .await?;
            Ok(())
        })
        .unwrap();
        scene.tap(1, 1).await;
        scene.go_on(MINUTE - SECOND);
        assert_eq!(scene.desk.tick().await.unwrap().ended, 0);
        scene.go_on(2 * SECOND);
        assert_eq!(scene.desk.tick().await.unwrap().ended, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_unbound_everywhere_in_the_same_step() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        scene.go_on(MINUTE);
        scene.tap(2, 1).await;
        let left = Staff { ended: Some(scene.now()), ..Staff::new(person(1), Shipped::Doctor) };
        staff::put(&scene.database, &manager(), &left, scene.now()).await.unwrap();
        assert_eq!((scene.shown(1).await.as_str(), scene.shown(2).await.as_str()), ("free", "free"));
        let told = scene.told(3).await;
        assert_eq!(told.iter().filter(|line| line.ends_with(" staff_left")).count(), 2, "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_lock_and_end_their_own_and_managers_anybodys() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        scene.tap(2, 2).await;
        let (mine, other) = (scene.at(1).await.unwrap(), scene.at(2).await.unwrap());
        let acting = scene.desk.acting(&mine, None).await.unwrap();
        assert!(acting.rights.allows(Permission::DeskUse) && !acting.rights.allows(Permission::DeskManage));
        assert!(matches!(scene.desk.end(&acting, &other).await, Err(DeskError::Denied(_))));
        scene.desk.lock(&acting, &mine).await.unwrap();
        assert!(matches!(scene.desk.acting(&mine, None).await, Err(DeskError::NotOpen)), "a locked desk does nothing");
        scene.desk.end(&acting, &mine).await.unwrap();
        assert!(matches!(scene.desk.end(&acting, &mine).await, Err(DeskError::NoSession)));
        scene.desk.end(&manager(), &other).await.unwrap();
        let told = scene.told(2).await;
        let expected =
            ["session_locked/desk-1/1 by_hand", "session_ended/desk-1/1 by_hand", "session_ended/desk-2/2 by_manager"];
        assert_eq!(told, expected);
        assert!(matches!(scene.desk.acting(&other, None).await, Err(DeskError::NoSession)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_neither_locks_nor_makes_an_end_before_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        scene.go_on(-2 * HOUR);
        assert_eq!(scene.desk.tick().await.unwrap(), clinic::desk::Ticked::default());
        let session = scene.at(1).await.unwrap();
        assert_eq!(session.state, SessionState::Open);
        scene.desk.end(&manager(), &session).await.unwrap();
        let ended = scene.desk.session(&session.id).await.unwrap().unwrap();
        assert_eq!(ended.ended.unwrap().0, ended.opened);
        let none = Rights::default();
        assert!(scene.desk.end(&clinic::acting::Acting { rights: none, ..manager() }, &session).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn glass_is_broken_at_a_workstation_by_who_works_there_and_seen_in_what_they_may() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), plain()).await {
        scene.tap(1, 1).await;
        let session = scene.at(1).await.unwrap();
        let acting = scene.desk.acting(&session, None).await.unwrap();
        assert!(!acting.rights.shows(Field::Document));
        let reason = "Unconscious patient in the corridor";
        let glass = break_glass::start(&scene.database, &acting, reason, 10, scene.now()).await.unwrap();
        let wider = scene.desk.acting(&session, None).await.unwrap();
        assert_eq!(wider.glass.as_deref(), Some(glass.id.as_str()));
        assert!(wider.rights.shows(Field::Document));
        scene.tap(2, 2).await;
        let other = scene.desk.acting(&scene.at(2).await.unwrap(), None).await.unwrap();
        assert_eq!(other.glass, None, "nobody else's");
        assert!(break_glass::end(&scene.database, &other, &glass.id, scene.now()).await.is_err());
        let waiting = break_glass::list(&scene.database, &manager(), Queue::Open, scene.now()).await.unwrap();
        assert!(waiting[0].account.starts_with("staff:"), "{:?}", waiting[0].account);
        break_glass::end(&scene.database, &wider, &glass.id, scene.now()).await.unwrap();
        assert_eq!(scene.desk.acting(&session, None).await.unwrap().glass, None);
        // Its time is over by itself too.
        break_glass::start(&scene.database, &acting, reason, 5, scene.now()).await.unwrap();
        scene.go_on(5 * MINUTE);
        assert_eq!(scene.desk.acting(&session, None).await.unwrap().glass, None);
    }
}
