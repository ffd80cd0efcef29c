//! Policy, orders and the state of equipment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod world;

use std::time::Duration;

use bus::{Incoming, Message};
use clinic::commands::{self, Order, Progress};
use domain::policy::PassState;
use domain::{CardKey, PointId, PolicySource};
use tokio::time::timeout;
use wire::bus::{
    Action, Channel, ChunkRequest, Command, CommandGuard, CommandOutcome, CommandResult, DoorState, DoorStatus, Down,
    KeyRing, PolicyAssembly, PolicyChunk, PolicyOffer, Up, is_chunk,
};
use world::{Bus, Gateway, NOW, PATIENCE, World, gateway_id, key, layout};

async fn next_message(gateway: &mut Gateway) -> Message {
    loop {
        match timeout(PATIENCE, gateway.link.inbox.next()).await.expect("a message in time") {
            Some(Incoming::Message(message)) => return message,
            Some(_) => {}
            None => panic!("the link has ended"),
        }
    }
}

async fn next_offer(gateway: &mut Gateway) -> PolicyOffer {
    loop {
        if let Some(Down::Policy(offer)) = gateway.hear_within(PATIENCE).await {
            return offer;
        }
    }
}

/// Collects what is offered, asking again as a gateway does.
async fn fetch(gateway: &mut Gateway, offer: PolicyOffer) -> PolicySource {
    let mut assembly = PolicyAssembly::new(offer);
    let request = assembly.request(&gateway_id()).unwrap();
    gateway.send(Channel::Request, &Up::ChunkRequest(request)).await;
    loop {
        let message = next_message(gateway).await;
        if !is_chunk(&message.bytes) {
            continue;
        }
        if let Some(whole) = assembly.take(&PolicyChunk::decode(&message.bytes).unwrap()).unwrap() {
            return wire::snapshot::decode(&whole).unwrap();
        }
        if assembly.wants_request() {
            let request = assembly.request(&gateway_id()).unwrap();
            gateway.send(Channel::Request, &Up::ChunkRequest(request)).await;
        }
    }
}

async fn import(world: &World, rows: &str) {
    let head = "person,kind,category,card_format,card_number,valid_from,valid_until\n";
    let options = clinic::people::Options {
        card_key: CardKey::new([5; 32]),
        pin_key: None,
        seal_key: None,
        zone: "Europe/Kyiv".parse().unwrap(),
        dry_run: false,
    };
    let text = std::io::Cursor::new(format!("{head}{rows}").into_bytes());
    clinic::people::import_csv(&world.database, text, options, NOW).await.unwrap();
}

async fn policy_arrives_and_a_withdrawn_card_is_gone_from_it(world: World) {
    import(&world, "p1,staff,surgeon,uid_hex,04A1B2C3,,\np2,patient,paying,uid_hex,04A1B2C4,,\n").await;
    let mut gateway = Gateway::new(&world.bus, 0);
    gateway.until_served().await;
    let source = loop {
        gateway.send_status().await;
        let offer = next_offer(&mut gateway).await;
        let source = fetch(&mut gateway, offer).await;
        if source.credentials.len() == 2 {
            break source;
        }
    };
    assert_eq!(source.layout.points, layout().points);
    let card = source.credentials[0].card;

    let revoked = tokio::time::Instant::now();
    clinic::people::block(&world.database, card, NOW).await.unwrap();
    // Without being asked: no status is sent here.
    let newer = loop {
        let offer = next_offer(&mut gateway).await;
        if offer.version > source.layout.version {
            break offer;
        }
    };
    println!("revoked to offered: {:?}", revoked.elapsed());
    let source = fetch(&mut gateway, newer.clone()).await;
    println!("revoked to known at the gateway: {:?}", revoked.elapsed());
    assert_eq!(source.layout.version, newer.version);
    let state = source.credentials.iter().find(|credential| credential.card == card).map(|it| it.state);
    assert_eq!(state, Some(PassState::Blocked));
}

#[tokio::test]
async fn a_policy_arrives_and_a_change_is_offered_at_once_in_one_process() {
    policy_arrives_and_a_withdrawn_card_is_gone_from_it(World::new(Bus::hub()).await).await;
}

#[tokio::test]
async fn a_policy_arrives_and_a_change_is_offered_at_once_through_a_broker_and_from_postgresql() {
    policy_arrives_and_a_withdrawn_card_is_gone_from_it(World::on_postgres(Bus::broker()).await).await;
}

#[tokio::test]
async fn a_policy_of_many_chunks_arrives_whole() {
    use std::fmt::Write;
    let mut rows = String::new();
    for n in 0..60_000_u32 {
        writeln!(rows, "p{n},patient,paying,uid_hex,{:08X},2026-01-01,2027-01-01", 0x0400_0000 + n).unwrap();
    }
    for bus in [Bus::hub(), Bus::broker()] {
        let world = World::new(bus).await;
        import(&world, &rows).await;
        let mut gateway = Gateway::new(&world.bus, 0);
        gateway.until_served().await;
        let offer = loop {
            gateway.send_status().await;
            let offer = next_offer(&mut gateway).await;
            if offer.chunks() > 1 {
                break offer;
            }
        };
        assert!(offer.chunks() > 20, "{}", offer.chunks());
        assert_eq!(fetch(&mut gateway, offer).await.credentials.len(), 60_000);
    }
}

#[tokio::test]
async fn a_request_for_a_policy_that_was_replaced_is_answered_with_the_present_offer() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 0);
    gateway.until_served().await;
    let request = ChunkRequest { gateway: gateway_id(), version: 9999, first: 0, count: 1 };
    gateway.send(Channel::Request, &Up::ChunkRequest(request)).await;
    assert_ne!(next_offer(&mut gateway).await.version, 9999);
}

fn order(id: u8, life_ms: i64) -> Order {
    Order {
        id: [id; 16],
        gateway: gateway_id(),
        action: "open".into(),
        point: Some(PointId::new("t-1").unwrap()),
        person: None,
        actor: "guard-1".into(),
        reason: Some("a delivery".into()),
        issued_at: NOW,
        expires_at: NOW.plus_ms(life_ms),
    }
}

async fn next_command(gateway: &mut Gateway) -> Command {
    loop {
        let message = next_message(gateway).await;
        if message.topic.channel == Channel::Command {
            let keys = KeyRing::new(vec![key()]).unwrap();
            match Down::decode(&message.bytes, &keys, &gateway_id()).unwrap() {
                Down::Command(command) => return command,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_order_reaches_the_gateway_and_its_answer_is_recorded() {
    for world in [World::new(Bus::hub()).await, World::on_postgres(Bus::broker()).await] {
        let mut gateway = Gateway::new(&world.bus, 0);
        gateway.until_served().await;
        commands::give(&world.database, &order(1, 10_000)).await.unwrap();
        let command = next_command(&mut gateway).await;
        assert_eq!(command.action, Action::Open(PointId::new("t-1").unwrap()));
        assert_eq!((command.actor.as_str(), command.reason.as_deref()), ("guard-1", Some("a delivery")));
        CommandGuard::new(gateway_id(), NOW).admit(&command, false, NOW).unwrap();
        let outcome = CommandOutcome::Done;
        let result = CommandResult { gateway: gateway_id(), id: command.id, outcome };
        gateway.send(Channel::Request, &Up::CommandResult(result.clone())).await;
        // A repetition that the gateway refused says nothing about the first.
        let again = CommandResult { outcome: CommandOutcome::Refused("repeated".into()), ..result };
        gateway.send(Channel::Request, &Up::CommandResult(again)).await;
        gateway.until_served().await;
        let progress = commands::progress(&world.database, [1; 16], NOW).await.unwrap();
        assert_eq!(progress, Some(Progress::Done));
    }
}

#[tokio::test]
async fn an_order_that_waited_too_long_is_never_sent() {
    let mut world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 0);
    gateway.until_served().await;
    world.stop().await;
    commands::give(&world.database, &order(1, 0)).await.unwrap();
    commands::give(&world.database, &order(2, 10_000)).await.unwrap();
    world.start();
    assert_eq!(next_command(&mut gateway).await.id.0, [2; 16], "only the one that is still alive");
    assert_eq!(commands::progress(&world.database, [1; 16], NOW).await.unwrap(), Some(Progress::Expired));
    assert_eq!(commands::progress(&world.database, [3; 16], NOW).await.unwrap(), None);
}

#[tokio::test]
async fn an_order_that_means_nothing_is_refused_and_does_not_stop_the_others() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 0);
    gateway.until_served().await;
    commands::give(&world.database, &Order { action: "sing".into(), ..order(1, 10_000) }).await.unwrap();
    commands::give(&world.database, &order(2, 10_000)).await.unwrap();
    assert_eq!(next_command(&mut gateway).await.id.0, [2; 16]);
    let progress = commands::progress(&world.database, [1; 16], NOW).await.unwrap();
    assert!(matches!(progress, Some(Progress::Refused(_))), "{progress:?}");
}

#[tokio::test]
async fn the_state_of_equipment_is_kept_and_a_gateway_that_dies_is_away() {
    for bus in [Bus::hub(), Bus::broker()] {
        let world = World::new(bus).await;
        let mut gateway = Gateway::new(&world.bus, 0);
        gateway.until_served().await;
        let door = DoorStatus { point: PointId::new("t-1").unwrap(), state: DoorState::Held, since: NOW };
        let mut status = gateway.status();
        status.doors = vec![door];
        gateway.send(Channel::Status, &Up::Status(Box::new(status))).await;
        gateway.until_served().await;
        let doors = clinic::devices::doors(&world.database).await.unwrap();
        assert_eq!(doors[0].device.state, clinic::devices::DoorState::Held);
        assert!(clinic::devices::gateways(&world.database).await.unwrap()[0].online);
        drop(gateway);
        until_away(&world).await;
    }
}

#[tokio::test]
async fn a_gateway_that_falls_silent_is_away() {
    let mut world = World::new(Bus::hub()).await;
    world.stop().await;
    world.settings.silent_after = Duration::from_millis(100);
    world.start();
    let mut gateway = Gateway::new(&world.bus, 0);
    gateway.until_served().await;
    until_away(&world).await;
    gateway.until_served().await;
}

async fn until_away(world: &World) {
    let away = async {
        while clinic::devices::gateways(&world.database).await.unwrap()[0].online {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, away).await.expect("the gateway is shown as away in time");
}
