//! The server is told whose cards are good: persons under a neutral name, withdrawals first, nothing left open.

use domain::policy::{PassKind, PassState};
use domain::{PersonId, Reason};
use gateway::settings::Cache;
use wire::parsec::{Charset, Guid};

use crate::world::*;

const STAFF: PassKind = PassKind::Staff;
const ACTIVE: PassState = PassState::Active;

async fn told(world: &World, cards: usize) {
    world.until_true("the cards are told", || world.sim.cards().len() == cards).await;
    let counted = |heard: &Heard| {
        let status = heard.status.as_ref()?;
        Some(status.passes_told == cards as u64 && status.passes_wanted == cards as u64 && status.commands_waiting == 0)
    };
    world.until("it counts them", |heard| counted(heard) == Some(true)).await;
}

async fn with(cards: &[(&str, u8, PassKind, PassState)]) -> World {
    let mut world = World::new(|_| {}).await;
    world.settings.cache = Cache::Everybody;
    world.policy.send_replace(Some(policy(1, cards)));
    world.start().await;
    told(&world, cards.iter().filter(|(_, _, kind, state)| *state == ACTIVE && !kind.is_one_time_by_default()).count())
        .await;
    world
}

#[tokio::test]
async fn persons_and_cards_are_told_under_a_neutral_name() {
    let cards = [("10,1001", 1, STAFF, ACTIVE), ("10,1002", 1, STAFF, ACTIVE), ("10,1003", 2, STAFF, PassState::Lost)];
    let world = with(&cards).await;
    let persons = world.sim.persons();
    assert_eq!(persons.len(), 1);
    assert_eq!(persons[0].id, Guid::from(PersonId([1; 16])));
    assert_eq!((persons[0].last_name.as_str(), persons[0].first_name.as_str()), ("Tapward", "01010101"));
    let told = world.sim.cards();
    assert!(told.iter().all(|card| card.valid.is_none() && card.group == controller_sim::parsec::ACCESS_GROUP));
    assert!(
        told.iter().any(|card| card.code == code("10,1001")) && told.iter().any(|card| card.code == code("10,1002"))
    );
    assert_eq!(world.sim.open_edits(), 0, "no editing session is left open");
    let status = world.heard.lock().unwrap().status.clone().unwrap();
    assert_eq!((status.passes_wanted, status.passes_told), (2, 2));
}

#[tokio::test]
async fn a_withdrawn_card_is_withdrawn_there_before_anything_new_is_issued() {
    let world = with(&[("10,1001", 1, STAFF, ACTIVE), ("10,1002", 2, STAFF, ACTIVE)]).await;
    let new: Vec<(String, u8)> = (1..=60).map(|number| (format!("20,{number}"), 100)).collect();
    let mut cards: Vec<(&str, u8, PassKind, PassState)> =
        new.iter().map(|(card, person)| (card.as_str(), *person, STAFF, ACTIVE)).collect();
    cards.push(("10,1002", 2, STAFF, PassState::Blocked));
    world.policy.send_replace(Some(policy(2, &cards)));
    world
        .until_true("the cards are gone", || {
            let told = world.sim.cards();
            let gone = !told.iter().any(|card| card.code == code("10,1001") || card.code == code("10,1002"));
            assert!(gone || told.len() <= 2, "issued before everything was withdrawn");
            gone
        })
        .await;
    told(&world, 60).await;
    assert_eq!((world.sim.open_edits(), world.sim.calls("DeleteIdentifier")), (0, 2));
}

#[tokio::test]
async fn what_was_told_is_remembered_over_a_restart() {
    let mut world = with(&[("10,1001", 1, STAFF, ACTIVE), ("10,1002", 2, STAFF, ACTIVE)]).await;
    let added = world.sim.calls("AddPersonIdentifier");
    world.stop().await;
    world.policy.send_replace(Some(policy(2, &[("10,1002", 2, STAFF, ACTIVE)])));
    world.start().await;
    told(&world, 1).await;
    assert_eq!(world.sim.cards()[0].code, code("10,1002"));
    assert_eq!(world.sim.calls("AddPersonIdentifier"), added, "nothing is issued again");
}

#[tokio::test]
async fn a_crash_between_telling_and_noting_does_no_harm() {
    let mut world = World::new(|_| {}).await;
    world.settings.cache = Cache::Staff;
    let new: Vec<(String, u8)> = (1..=40_u8).map(|number| (format!("20,{number}"), number)).collect();
    let cards: Vec<_> = new.iter().map(|(card, person)| (card.as_str(), *person, STAFF, ACTIVE)).collect();
    world.policy.send_replace(Some(policy(1, &cards)));
    world.start().await;
    world.until_true("some are told", || world.sim.cards().len() >= 7).await;
    world.crash().await;
    // An editing session may hang at the server until it forgets the session.
    world.sim.lose_sessions();
    world.start().await;
    told(&world, 40).await;
    assert_eq!((world.sim.persons().len(), world.sim.open_edits()), (40, 0));
    assert_eq!(world.alarms(Reason::PassNotTaken), Vec::<String>::new());
}

#[tokio::test]
async fn a_card_of_somebody_else_there_is_left_alone_and_said() {
    let mut world = World::new(|settings| settings.charset = Charset::Windows1251).await;
    let other = world.sim.enrol("Иванов", &code("10,1001"));
    world.settings.cache = Cache::Everybody;
    world.policy.send_replace(Some(policy(1, &[("10,1001", 1, STAFF, ACTIVE), ("10,1002", 2, STAFF, ACTIVE)])));
    world.start().await;
    world.until("it is said", |heard| heard.alarms.iter().any(|(reason, _)| *reason == Reason::PassNotTaken)).await;
    world.until_true("the other card is told", || world.sim.cards().len() == 2).await;
    let cards = world.sim.cards();
    assert!(cards.iter().any(|card| card.code == code("10,1001") && card.person == other));
    let words = world.alarms(Reason::PassNotTaken).concat();
    assert!(words.contains("belongs to somebody else") && !words.contains("1001"), "{words}");
}

#[tokio::test]
async fn a_card_that_the_other_operator_gave_to_somebody_is_not_withdrawn() {
    let world = with(&[("10,1001", 1, STAFF, ACTIVE)]).await;
    let sim = &world.sim;
    sim.take_card(&code("10,1001"));
    let other = sim.enrol("Иванов", &code("10,1001"));
    world.policy.send_replace(Some(policy(2, &[])));
    world
        .until("it is settled", |heard| {
            heard.status.as_ref().is_some_and(|status| status.passes_wanted == 0 && status.commands_waiting == 0)
        })
        .await;
    assert_eq!(sim.cards().iter().map(|card| card.person).collect::<Vec<_>>(), [other]);
}

#[tokio::test]
async fn a_server_that_gives_ids_of_its_own_is_told_every_card_of_one_person_once() {
    let mut world = World::new(|_| {}).await;
    world.sim.faults(|faults| faults.own_person_ids = true);
    world.settings.cache = Cache::Everybody;
    world.policy.send_replace(Some(policy(1, &[("10,1001", 1, STAFF, ACTIVE), ("10,1002", 1, STAFF, ACTIVE)])));
    world.start().await;
    told(&world, 2).await;
    world.stop().await;
    let cards = [("10,1001", 1, STAFF, ACTIVE), ("10,1002", 1, STAFF, ACTIVE), ("10,1003", 1, STAFF, ACTIVE)];
    world.policy.send_replace(Some(policy(2, &cards)));
    world.start().await;
    told(&world, 3).await;
    let persons = world.sim.persons();
    assert_eq!(persons.len(), 1);
    assert!(world.sim.cards().iter().all(|card| card.person == persons[0].id));
}

#[tokio::test]
async fn without_a_working_pass_a_person_is_blocked_where_that_has_a_number() {
    let mut world = World::new(|_| {}).await;
    world.peer.dialect.block = Some(1);
    world.settings.cache = Cache::Everybody;
    let both = [("10,1001", 1, STAFF, ACTIVE), ("10,1002", 1, STAFF, ACTIVE)];
    world.policy.send_replace(Some(policy(1, &both)));
    world.start().await;
    told(&world, 2).await;
    world.policy.send_replace(Some(policy(2, &both[..1])));
    told(&world, 1).await;
    assert_eq!(world.sim.blocked(), []);
    world.policy.send_replace(Some(policy(3, &[])));
    told(&world, 0).await;
    world.until_true("the person is blocked", || world.sim.blocked() == [Guid::from(PersonId([1; 16]))]).await;
    world.policy.send_replace(Some(policy(4, &both[..1])));
    told(&world, 1).await;
    assert_eq!((world.sim.blocked(), world.sim.open_edits()), (Vec::new(), 0));
}

#[tokio::test]
async fn passes_of_visitors_are_requests_where_that_is_wanted() {
    let visitor = ("30,1", 9, PassKind::Visitor, ACTIVE);
    let mut world = World::new(|_| {}).await;
    world.settings.cache = Cache::Everybody;
    world.policy.send_replace(Some(policy(1, &[visitor])));
    world.start().await;
    world.looked(3).await;
    assert_eq!(world.sim.cards().len(), 0, "a one-time pass is no pass for a system that does not count");
    world.stop().await;
    world.peer.dialect.visitors = true;
    world.start().await;
    told(&world, 1).await;
    let requests = world.sim.visitor_requests();
    assert_eq!(
        requests.iter().map(|(request, active)| (request.person, *active)).collect::<Vec<_>>(),
        [(Guid::from(PersonId([9; 16])), true)]
    );
    world.policy.send_replace(Some(policy(2, &[])));
    told(&world, 0).await;
    assert_eq!(world.sim.visitor_requests().len(), 0);
}

#[tokio::test]
async fn a_new_database_is_said_and_told_everything_again() {
    let world = with(&[("10,1001", 1, STAFF, ACTIVE)]).await;
    world.sim.begin_anew();
    told(&world, 1).await;
    world.until("it is said", |heard| heard.alarms.iter().any(|(reason, _)| *reason == Reason::StreamReset)).await;
    world.sim.present(&number("10,1001"), HALL, domain::Direction::In, through()).await;
    world.until("events come", |heard| heard.passages.len() == 2).await;
}

#[tokio::test]
async fn cards_that_cannot_be_told_are_counted_aloud() {
    let mut world = World::new(|_| {}).await;
    world.settings.cache = Cache::Everybody;
    world.peer.dialect.cards = wire::parsec::CardForm::Uid;
    world.policy.send_replace(Some(policy(1, &[("10,1001", 1, STAFF, ACTIVE)])));
    world.start().await;
    world.until("it is said", |heard| !heard.alarms.is_empty()).await;
    let words = world.alarms(Reason::PassNotTaken).concat();
    assert!(words.contains("1 passes cannot be told") && words.contains("\"uid\""), "{words}");
}
