//! What happens at the server's doors becomes reports: each once, also after crashes and lost sessions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use controller_sim::{Outcome, Walk};
use domain::{Direction, Reason};
use gateway::line::{Age, Happened};
use gateway::peer::push;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wire::parsec::{Charset, Code};

use crate::world::*;

async fn present(world: &World, card: &str, direction: Direction) -> Outcome {
    world.sim.present(&number(card), HALL, direction, through()).await
}

#[tokio::test]
async fn what_the_server_decides_is_reported_once_and_in_order_in_every_encoding() {
    for charset in [Charset::Utf8, Charset::Windows1251, Charset::Utf16] {
        let mut world = World::new(|settings| settings.charset = charset).await;
        world.sim.enrol("Иванов", &code("10,1001"));
        world.start().await;
        assert_eq!(present(&world, "10,1001", Direction::In).await, Outcome::Passed);
        assert_eq!(present(&world, "10,4444", Direction::Out).await, Outcome::Refused);
        world.sim.force(HALL);
        world.until("four reports come", |heard| heard.passages.len() >= 4).await;
        world.looked(4).await;
        let heard = world.heard.lock().unwrap();
        let happened = heard.happened();
        let expected = [
            ("hall-in", Happened::Granted),
            ("hall-in", Happened::Passed),
            ("hall-out", Happened::Refused),
            ("hall-in", Happened::Forced),
        ];
        let expected: Vec<_> = expected.map(|(reader, what)| (reader.to_owned(), what)).into();
        assert_eq!(happened, expected, "{charset:?}");
        assert_eq!(heard.passages[2].reason, Some(Reason::UnknownCard));
        assert_eq!(heard.passages[0].number, Some(Ok(number("10,1001"))));
        assert!(heard.passages.iter().all(|passage| passage.ask.is_none()));
        assert_eq!(world.sim.open_reports(), 0, "reports are given back");
    }
}

#[tokio::test]
async fn nothing_of_before_the_first_contact_is_taken_in() {
    let mut world = World::new(|_| {}).await;
    world.sim.enrol("Иванов", &code("10,1001"));
    present(&world, "10,1001", Direction::In).await;
    world.time.put_forward(Duration::from_secs(1));
    world.start().await;
    present(&world, "10,1001", Direction::Out).await;
    world.until("the later one comes", |heard| heard.passages.len() >= 2).await;
    let happened = world.heard.lock().unwrap().happened();
    assert!(happened.iter().all(|(reader, _)| reader == "hall-out"), "{happened:?}");
}

#[tokio::test]
async fn a_restart_a_crash_and_a_lost_session_repeat_nothing_and_lose_nothing() {
    let mut world = World::started().await;
    world.sim.enrol("Иванов", &code("10,1001"));
    let mut expected = 0;
    for round in 0..6 {
        present(&world, "10,1001", Direction::In).await;
        expected += 2;
        match round {
            0 => world.stop().await,
            1 | 3 => world.crash().await,
            2 => world.sim.lose_sessions(),
            _ => {}
        }
        present(&world, "10,1001", Direction::Out).await;
        expected += 2;
        if world.running.is_none() {
            world.start().await;
        }
        world.until("all reports come", |heard| heard.passages.len() >= expected).await;
    }
    world.looked(6).await;
    assert_eq!(world.heard.lock().unwrap().passages.len(), expected);
    assert_eq!(world.heard.lock().unwrap().closed, Vec::<String>::new(), "a lost session is nobody's affair");
}

#[tokio::test]
async fn events_of_a_controller_that_was_cut_off_come_late_with_their_age() {
    let world = World::started().await;
    world.sim.enrol("Иванов", &code("10,1001"));
    world.sim.cut_off(HALL, true);
    present(&world, "10,1001", Direction::In).await;
    world.time.put_forward(Duration::from_secs(3600));
    world.sim.present(&number("10,1001"), YARD, Direction::In, through()).await;
    world.until("the other door's reports come", |heard| heard.passages.len() >= 2).await;
    world.sim.cut_off(HALL, false);
    // They are older than every usual look goes back; the first look of a session goes back further.
    world.sim.lose_sessions();
    world.until("the late ones come", |heard| heard.passages.len() >= 4).await;
    let heard = world.heard.lock().unwrap();
    let late = &heard.passages[2];
    assert_eq!((late.reader.as_str(), late.what), ("hall-in", Happened::Granted));
    let Age::Known(age) = late.age else { panic!("{late:?}") };
    assert!((3600..3700).contains(&age.as_secs()), "{age:?}");
}

#[tokio::test]
async fn a_server_that_reports_every_event_twice_is_taken_once() {
    let world = World::started().await;
    world.sim.faults(|faults| faults.double_events = true);
    world.sim.enrol("Иванов", &code("10,1001"));
    present(&world, "10,1001", Direction::In).await;
    world.until("reports come", |heard| heard.passages.len() >= 2).await;
    world.looked(6).await;
    assert_eq!(world.heard.lock().unwrap().passages.len(), 2);
}

#[tokio::test]
async fn many_events_at_once_all_come() {
    let mut world = World::new(|_| {}).await;
    world.start().await;
    world.stop().await;
    let at = world.time.clock().now();
    for number in 0..1700_i64 {
        let card = Code::parse(&format!("{number:08X}"));
        world.sim.happen_at(HALL, 590_144, at.plus_ms(number), None, card);
    }
    world.time.put_forward(Duration::from_secs(10));
    world.start().await;
    world.until("all come", |heard| heard.passages.len() >= 1700).await;
    world.looked(4).await;
    assert_eq!(world.heard.lock().unwrap().passages.len(), 1700);
}

#[tokio::test]
async fn an_event_of_the_future_is_of_unknown_age_and_hides_nothing() {
    let world = World::started().await;
    let future = world.time.clock().now().plus_ms(30 * 24 * 3_600_000);
    world.sim.happen_at(HALL, 590_144, future, None, Some(code("10,1001")));
    world.until("it comes", |heard| heard.passages.len() == 1).await;
    assert_eq!(world.heard.lock().unwrap().passages[0].age, Age::Unknown);
    present(&world, "10,4444", Direction::In).await;
    world.until("what happens now comes", |heard| heard.passages.len() == 2).await;
}

#[tokio::test]
async fn a_push_makes_it_look_at_once() {
    let mut world = World::new(|_| {}).await;
    world.peer.subscribe = true;
    world.peer.poll = Duration::from_secs(300);
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    world.push.set_address(Some(format!("http://{}", listener.local_addr().unwrap())));
    let (events, _heard) = mpsc::channel(8);
    let teller = gateway::line::Teller::new(domain::LineId::new("push").unwrap(), events);
    let serving = push::serve(listener, teller, Arc::clone(&world.push), world.shutdown.clone());
    tokio::spawn(serving);
    world.start().await;
    world.until_true("it has looked", || world.sim.calls("CloseEventHistorySession") == 1).await;
    assert_eq!(world.sim.subscribers().len(), 1);
    for direction in [Direction::In, Direction::Out] {
        world.sim.enrol("Иванов", &code("10,1001"));
        present(&world, "10,1001", direction).await;
    }
    // The next look of its own would come in five minutes.
    world.until("they come", |heard| heard.passages.len() >= 4).await;
    world.stop().await;
    assert_eq!((world.sim.subscribers().len(), world.sim.sessions()), (0, 0), "signed off");
}

#[tokio::test]
async fn the_servers_question_is_asked_and_answered_and_its_end_reported() {
    let mut world = World::new(|settings| settings.doors[0].verify = true).await;
    world.peer.verify = true;
    world.sim.enrol("Иванов", &code("10,1001"));
    world.start().await;
    *world.allow.lock().unwrap() = Some(true);
    assert_eq!(present(&world, "10,1001", Direction::In).await, Outcome::Passed);
    world.until("the passage is reported", |heard| heard.passages.len() >= 2).await;
    *world.allow.lock().unwrap() = Some(false);
    assert_eq!(present(&world, "10,1001", Direction::Out).await, Outcome::Refused);
    world.until("the refusal is reported", |heard| heard.passages.len() >= 3).await;
    let heard = world.heard.lock().unwrap();
    assert_eq!(heard.asked, [("hall-in".to_owned(), 1), ("hall-out".to_owned(), 2)]);
    let ends: Vec<_> = heard.passages.iter().map(|passage| (passage.what, passage.ask)).collect();
    let expected = [(Happened::Granted, Some(1)), (Happened::Passed, Some(1)), (Happened::Refused, Some(2))];
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_by_the_servers_own_rule() {
    let mut world = World::new(|settings| {
        settings.doors[0].verify = true;
        settings.guard_wait = Duration::from_millis(400);
    })
    .await;
    world.peer.verify = true;
    world.sim.enrol("Иванов", &code("10,1001"));
    world.start().await;
    assert_eq!(present(&world, "10,1001", Direction::In).await, Outcome::Refused);
    world.until("the refusal is reported", |heard| !heard.passages.is_empty()).await;
    let heard = world.heard.lock().unwrap();
    assert_eq!((heard.asked.len(), heard.passages[0].what, heard.passages[0].ask), (1, Happened::Refused, None));
}

#[tokio::test]
async fn somebody_who_does_not_go_is_no_passage() {
    let world = World::started().await;
    world.sim.enrol("Иванов", &code("10,1001"));
    let outcome = world.sim.present(&number("10,1001"), HALL, Direction::In, Walk::Away).await;
    assert_eq!(outcome, Outcome::NotTaken);
    world.until("the grant is reported", |heard| !heard.passages.is_empty()).await;
    world.looked(4).await;
    assert_eq!(world.heard.lock().unwrap().happened(), [("hall-in".to_owned(), Happened::Granted)]);
}

#[tokio::test]
async fn events_of_a_direction_without_a_reader_are_said_once_and_left_out() {
    let world = World::started().await;
    for _ in 0..2 {
        world.time.put_forward(Duration::from_secs(1));
        world.sim.present(&number("10,4444"), YARD, Direction::Out, through()).await;
    }
    world.until("it is said", |heard| !heard.alarms.is_empty()).await;
    world.looked(4).await;
    assert_eq!(world.alarms(Reason::NoPoint).len(), 1);
    assert!(world.heard.lock().unwrap().passages.is_empty());
}
