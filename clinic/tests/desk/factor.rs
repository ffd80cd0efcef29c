//! The second factor: once a shift, slow to guess.

use clinic::desk::{DeskError, Factor, PIN_BLOCK_MS, PinAnswer, PinText, Rules, SessionState};
use domain::{Kind, PersonId, Reason};

use crate::scene::{HOUR, MINUTE, SECOND, Scene, both, manager, person};

fn pin(text: &str) -> PinText {
    PinText::new(text).unwrap()
}

async fn set(scene: &Scene, who: PersonId, text: &str) {
    scene.desk.set_pin(&manager(), who, pin(text)).await.unwrap();
}

async fn answer(scene: &Scene, desk: u8, text: &str) -> PinAnswer {
    let session = scene.at(desk).await.unwrap();
    scene.desk.confirm_pin(&session, pin(text)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_tap_of_a_shift_asks_for_the_pin_and_then_taps_are_enough_until_it_runs_out() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules::default()).await {
        set(&scene, person(1), "4071").await;
        scene.tap(1, 1).await;
        let waiting = scene.at(1).await.unwrap();
        assert_eq!((waiting.state, waiting.factor), (SessionState::Waiting, Factor::None));
        assert!(matches!(scene.desk.acting(&waiting, None).await, Err(DeskError::NotOpen)));
        assert!(matches!(answer(&scene, 1, "4071").await, PinAnswer::Right(_)));
        let open = scene.at(1).await.unwrap();
        assert_eq!((open.state, open.factor), (SessionState::Open, Factor::Pin));
        assert_eq!(open.factor_remaining_ms(scene.now()), 8 * HOUR);
        assert_eq!(scene.told(0).await, ["factor_wanted/desk-1/1", "session_opened/desk-1/1"]);
        // Another desk, the same shift.
        scene.go_on(HOUR);
        scene.tap(2, 1).await;
        let other = scene.at(2).await.unwrap();
        assert_eq!((other.state, other.factor), (SessionState::Open, Factor::Pin));
        // It runs out: the open session stays, the next tap asks.
        scene.go_on(7 * HOUR);
        scene.desk.used(&other).await.unwrap();
        scene.desk.tick().await.unwrap();
        assert_eq!(scene.shown(2).await, "open 1");
        scene.tap(2, 1).await;
        assert_eq!(scene.shown(2).await, "waiting 1");
        assert!(matches!(answer(&scene, 2, "4071").await, PinAnswer::Right(_)));
        assert_eq!(scene.shown(2).await, "open 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_pins_block_it_longer_each_time_and_are_written_down_without_the_digits() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules { factor_wait_ms: HOUR, ..Rules::default() }).await {
        set(&scene, person(1), "4071").await;
        scene.tap(1, 1).await;
        for left in (0..5).rev() {
            assert_eq!(answer(&scene, 1, "5555").await, PinAnswer::Wrong { left });
        }
        assert_eq!(
            answer(&scene, 1, "4071").await,
            PinAnswer::Blocked { wait_ms: PIN_BLOCK_MS },
            "not even the right one"
        );
        assert_eq!(scene.shown(1).await, "waiting 1");
        let log = scene.log().await;
        assert_eq!(log.iter().filter(|line| line.starts_with("desk_opened failed 01 pin_wrong")).count(), 5, "{log:?}");
        assert!(!format!("{log:?}").contains("5555"));
        scene.go_on(PIN_BLOCK_MS);
        for left in (0..5).rev() {
            assert_eq!(answer(&scene, 1, "5555").await, PinAnswer::Wrong { left });
        }
        assert_eq!(answer(&scene, 1, "4071").await, PinAnswer::Blocked { wait_ms: 2 * PIN_BLOCK_MS });
        let state = scene.desk.pin_state(&manager(), person(1)).await.unwrap();
        assert_eq!(state.blocked_until, Some(scene.now().plus_ms(2 * PIN_BLOCK_MS)));
        set(&scene, person(1), "2580").await;
        assert!(matches!(answer(&scene, 1, "2580").await, PinAnswer::Right(_)), "set anew, it is free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wrong_pins_at_once_get_no_more_tries_than_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules::default()).await {
        set(&scene, person(1), "4071").await;
        scene.tap(1, 1).await;
        let session = scene.at(1).await.unwrap();
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let (desk, session) = (scene.desk.clone(), session.clone());
            running.spawn(async move { desk.confirm_pin(&session, pin("9876")).await });
        }
        let answers = running.join_all().await;
        let wrong = answers.iter().filter(|answer| matches!(answer, Ok(PinAnswer::Wrong { .. }))).count();
        assert_eq!(wrong, 5, "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_tries_a_pin_on_many_cards_is_stopped_by_the_workstation() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules::default()).await {
        for doctor in 1..=3 {
            set(&scene, person(doctor), "4071").await;
        }
        let mut compared = 0;
        let mut last = PinAnswer::NotSet;
        for round in 0..8 {
            for doctor in 1..=3 {
                scene.go_on(SECOND);
                scene.tap(1, doctor).await;
                last = answer(&scene, 1, "1212").await;
                compared += u32::from(matches!(last, PinAnswer::Wrong { .. }));
            }
            if round == 3 {
                // A manager unblocks them all; the workstation still counts.
                for doctor in 1..=3 {
                    set(&scene, person(doctor), "4071").await;
                }
            }
        }
        assert_eq!(compared, 20);
        assert!(matches!(last, PinAnswer::DeskBlocked { wait_ms } if wait_ms <= 15 * MINUTE), "{last:?}");
        scene.tap(2, 1).await;
        assert!(matches!(answer(&scene, 2, "4071").await, PinAnswer::Right(_)), "another desk is free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_set_by_who_may_and_by_oneself_once_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules::default()).await {
        scene.tap(1, 1).await;
        assert_eq!(answer(&scene, 1, "4071").await, PinAnswer::NotSet);
        assert!(matches!(scene.desk.set_pin(&manager(), person(1), pin("1234")).await, Err(DeskError::WeakPin)));
        assert!(matches!(scene.desk.set_pin(&manager(), person(10), pin("4071")).await, Err(DeskError::NotStaff)));
        set(&scene, person(1), "4071").await;
        assert!(matches!(answer(&scene, 1, "4071").await, PinAnswer::Right(_)));
        let acting = scene.desk.acting(&scene.at(1).await.unwrap(), None).await.unwrap();
        scene.desk.set_pin(&acting, person(1), pin("90210")).await.unwrap();
        assert!(matches!(scene.desk.set_pin(&acting, person(2), pin("90210")).await, Err(DeskError::Denied(_))));
        scene.go_on(9 * HOUR);
        let late = scene.desk.set_pin(&acting, person(1), pin("4071")).await;
        assert!(matches!(late, Err(DeskError::Denied(_))), "the factor no longer counts");
        // Set by another: the next tap asks again.
        set(&scene, person(1), "4071").await;
        scene.tap(3, 1).await;
        assert_eq!(scene.shown(3).await, "waiting 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_workstation_takes_no_pin_without_the_card() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules::default()).await {
        set(&scene, person(1), "4071").await;
        scene.tap(1, 1).await;
        answer(&scene, 1, "4071").await;
        scene.go_on(6 * MINUTE);
        scene.desk.tick().await.unwrap();
        let locked = scene.at(1).await.unwrap();
        assert!(matches!(scene.desk.confirm_pin(&locked, pin("4071")).await, Err(DeskError::NotOpen)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_typed_at_the_reader_is_the_second_factor() {
    let folder = tempfile::tempdir().unwrap();
    for scene in both(folder.path(), Rules::default()).await {
        scene.tap(1, 1).await;
        scene.go_on(4 * SECOND);
        let typed = |reason| scene.fact(1, 1, Kind::PinEntered, reason);
        scene.record(vec![typed(Reason::PinWrong)]).await;
        scene.desk.work().await.unwrap();
        assert_eq!(scene.shown(1).await, "waiting 1");
        scene.record(vec![typed(Reason::Allowed)]).await;
        scene.desk.work().await.unwrap();
        let open = scene.at(1).await.unwrap();
        assert_eq!((open.state, open.factor, open.factor_at), (SessionState::Open, Factor::Pin, Some(scene.now())));
        let told = ["factor_wanted/desk-1/1", "tap_refused/desk-1/1 pin_wrong", "session_opened/desk-1/1"];
        assert_eq!(scene.told(0).await, told);
        // One under threat opens as well and shows nothing.
        scene.tap(2, 2).await;
        scene.record(vec![scene.fact(2, 2, Kind::PinEntered, Reason::Duress)]).await;
        scene.desk.work().await.unwrap();
        assert_eq!(scene.shown(2).await, "open 2");
        // Another's PIN at this desk is nothing.
        scene.tap(3, 3).await;
        scene.record(vec![scene.fact(3, 2, Kind::PinEntered, Reason::Allowed)]).await;
        scene.desk.work().await.unwrap();
        assert_eq!(scene.shown(3).await, "waiting 3");
    }
}
