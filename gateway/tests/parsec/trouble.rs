//! A server that is away, refuses, answers rubbish, has a wrong clock or lacks what newer ones have; and orders.

use std::sync::Arc;
use std::time::Duration;

use domain::door::Order;
use domain::{Direction, Reason};
use gateway::line::{Age, ReaderOrder};
use gateway::settings::ParsecCommands;

use crate::world::*;

#[tokio::test]
async fn a_refused_sign_in_is_told_in_the_servers_words() {
    let mut world = World::new(|_| {}).await;
    let words = "Превышено количество лицензий";
    world.sim.faults(|faults| faults.refuse_login = Some(words.to_owned()));
    world.start_only().await;
    world.until("it is told", |heard| heard.closed.iter().any(|why| why.contains(words))).await;
    world.looked(0).await;
    assert_eq!(world.sim.calls("OpenSession"), 1, "not tried again at once: the account could be locked");
}

#[tokio::test]
async fn a_server_that_answers_rubbish_is_away_until_it_answers() {
    let mut world = World::new(|_| {}).await;
    world.sim.faults(|faults| faults.rubbish = true);
    world.start_only().await;
    world
        .until("it is told", |heard| heard.closed.iter().any(|why| why.starts_with("OpenSession: not well-formed")))
        .await;
    world.sim.faults(|faults| faults.rubbish = false);
    world.until("it is back", |heard| heard.opened == 1).await;
    world.until("its readers are there", |heard| heard.online.len() == 3).await;
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_of_and_its_readers_go_offline() {
    let mut world = World::started().await;
    world.sim.enrol("Иванов", &code("10,1001"));
    world.looked(2).await;
    let server = world.server.take().unwrap();
    let (address, sim) = (server.address(), server.handle());
    server.stop().await;
    world.until("it is told", |heard| heard.closed.len() == 1).await;
    world
        .until("its readers are offline", |heard| heard.online.iter().filter(|(_, online)| !online).count() == 3)
        .await;
    // Meanwhile its controllers go on.
    sim.present(&number("10,1001"), HALL, Direction::In, through()).await;
    world.server = Some(sim.start_again(address, &world.shutdown).await.unwrap());
    world.until("what happened meanwhile comes", |heard| heard.passages.len() == 2).await;
    world.until("its readers are there", |heard| heard.online.iter().filter(|(_, online)| *online).count() == 6).await;
}

#[tokio::test]
async fn faults_in_between_lose_nothing() {
    let world = World::started().await;
    world.sim.enrol("Иванов", &code("10,1001"));
    for round in 1..=3 {
        world.sim.faults(|faults| faults.fail_next = round);
        world.time.put_forward(Duration::from_secs(1));
        world.sim.present(&number("10,1001"), HALL, Direction::In, through()).await;
        let wanted = round as usize * 2;
        world.until("it comes", |heard| heard.passages.len() >= wanted).await;
    }
    world.looked(4).await;
    assert_eq!(world.heard.lock().unwrap().passages.len(), 6);
}

#[tokio::test]
async fn an_older_service_without_dictionary_states_and_subscriptions_works_by_the_public_codes() {
    let mut world = World::new(|_| {}).await;
    world.peer.subscribe = true;
    world.push.set_address(Some("http://127.0.0.1:9".into()));
    world.sim.faults(|faults| {
        faults.without = vec!["GetTransactionTypes", "GetHardwareState", "EventsSubscribe", "GetVersion"];
    });
    world.sim.enrol("Иванов", &code("10,1001"));
    world.start().await;
    world.sim.present(&number("10,1001"), HALL, Direction::In, through()).await;
    world.until("its events come", |heard| heard.passages.len() == 2).await;
    assert_eq!(world.heard.lock().unwrap().closed, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_clock_is_said_once_and_ages_are_right_all_the_same() {
    let mut world = World::new(|_| {}).await;
    world.sim.faults(|faults| faults.clock_skew_ms = 2 * 3_600_000);
    world.sim.enrol("Иванов", &code("10,1001"));
    world.start().await;
    world.until("it is said", |heard| heard.alarms.iter().any(|(reason, _)| *reason == Reason::DeviceClock)).await;
    world.sim.present(&number("10,1001"), HALL, Direction::In, through()).await;
    world.until("its events come", |heard| heard.passages.len() == 2).await;
    {
        let heard = world.heard.lock().unwrap();
        let Age::Known(age) = heard.passages[0].age else { panic!("{:?}", heard.passages) };
        assert!(age < Duration::from_secs(20), "{age:?}");
        let skew = heard.status.as_ref().unwrap().skew_ms.unwrap();
        assert!((skew + 2 * 3_600_000).abs() < 5_000, "{skew}");
    }
    assert_eq!(world.alarms(Reason::DeviceClock).len(), 1);
}

#[tokio::test]
async fn doors_of_one_name_are_told_apart() {
    let mut world = World::new(|settings| settings.doors[1].name = settings.doors[0].name.clone()).await;
    world.start().await;
    world.sim.present(&number("10,4444"), YARD, Direction::In, through()).await;
    world.sim.present(&number("10,4445"), HALL, Direction::In, through()).await;
    world.until("both come", |heard| heard.passages.len() == 2).await;
    let mut readers: Vec<String> =
        world.heard.lock().unwrap().happened().into_iter().map(|(reader, _)| reader).collect();
    readers.sort();
    assert_eq!(readers, ["hall-in", "yard-in"]);
}

#[tokio::test]
async fn a_territory_that_does_not_exist_is_said_and_the_others_work() {
    let mut world = World::new(|_| {}).await;
    world.settings.readers[2].at = wire::parsec::Guid::of(99).to_string();
    world.start().await;
    world.until("it is said", |heard| heard.alarms.iter().any(|(reason, _)| *reason == Reason::DeviceFault)).await;
    world.sim.present(&number("10,4444"), HALL, Direction::In, through()).await;
    world.until("the others' events come", |heard| heard.passages.len() == 1).await;
    let online = world.heard.lock().unwrap().online.clone();
    assert!(!online.iter().any(|(reader, _)| reader == "yard-in"), "{online:?}");
}

#[tokio::test]
async fn a_door_whose_hardware_is_gone_is_offline() {
    let world = World::started().await;
    world.until("all are there", |heard| heard.online.len() == 3).await;
    world.sim.lose_hardware(YARD);
    world.until("one is gone", |heard| heard.online.last() == Some(&("yard-in".to_owned(), false))).await;
    world.sim.set_hardware(YARD, 7);
    world.until("it is back", |heard| heard.online.last() == Some(&("yard-in".to_owned(), true))).await;
}

#[tokio::test]
async fn orders_go_by_the_numbers_of_the_settings_and_others_are_refused_in_words() {
    let mut world = World::new(|_| {}).await;
    world.peer.dialect.commands = ParsecCommands { open: Some(1), ..ParsecCommands::default() };
    world.start().await;
    let control = |order| ReaderOrder::Control { order, actor: Arc::from("anna") };
    world.order("hall-in", control(Order::OpenOnce(Direction::In))).await;
    world.until_true("it is given", || world.sim.commands() == [(HALL, 1)]).await;
    world.order("hall-in", control(Order::Lock)).await;
    world.until("it is refused in words", |heard| !heard.alarms.is_empty()).await;
    let words = world.alarms(Reason::PassNotTaken).concat();
    assert!(words.contains("\"lock\"") && words.contains("not public"), "{words}");
    assert_eq!(world.sim.commands().len(), 1);
}

#[tokio::test]
async fn an_opening_that_waited_for_a_slow_server_is_void() {
    let mut world = World::new(|_| {}).await;
    world.peer.dialect.commands = ParsecCommands { open: Some(1), lock: Some(2), ..ParsecCommands::default() };
    world.start().await;
    world.looked(1).await;
    world.sim.faults(|faults| faults.delay = Duration::from_secs(3));
    let control = |order| ReaderOrder::Control { order, actor: Arc::from("anna") };
    for order in [Order::OpenOnce(Direction::In), Order::OpenOnce(Direction::Out), Order::Lock] {
        world.order("hall-in", control(order)).await;
    }
    world.until_true("the lock is given", || world.sim.commands().contains(&(HALL, 2))).await;
    assert_eq!(world.sim.commands(), [(HALL, 1), (HALL, 2)]);
    assert!(world.alarms(Reason::PassNotTaken).concat().contains("void"));
}

#[tokio::test]
async fn a_slow_server_does_not_delay_the_end() {
    let mut world = World::started().await;
    world.sim.faults(|faults| faults.delay = Duration::from_secs(30));
    world.looked(0).await;
    let before = tokio::time::Instant::now();
    world.stop().await;
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
}
