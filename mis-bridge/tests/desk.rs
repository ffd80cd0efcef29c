//! From a gateway's batch to a binding: a tap at a workstation is taken as soon as it is committed, once, and idleness and
//! blocked cards are seen to without one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use clinic::acting::Acting;
use clinic::desk::{Desk, Factor, Rules, SessionState};
use clinic::staff::{self, Staff};
use domain::policy::{PassState, Point, PointKind};
use domain::{CardId, Draft, Entry, Epoch, Kind, PersonId, PointId, Reason, Shipped, UtcMillis, ZoneId};
use wire::bus::{Channel, EventBatch, Up};
use world::{Bus, Gateway, NOW, PATIENCE, World, gateway_id, layout};

const DOCTOR: PersonId = PersonId([1; 16]);
const CARD: CardId = CardId([1; 16]);

fn desk_point() -> PointId {
    PointId::new("desk-1").unwrap()
}

/// A bridge with a workstation, a doctor and a card; and the desk by which the test asks.
async fn scene(bus: Bus, postgres: bool) -> (World, Desk) {
    let mut world = if postgres { World::on_postgres(bus).await } else { World::new(bus).await };
    world.stop().await;
    let mut with_desk = layout();
    let zone = |id: &str| ZoneId::new(id).unwrap();
    with_desk.points.push(Point::new(desk_point(), PointKind::Workstation, zone("hall"), zone("room-1")));
    with_desk.complete_zones();
    clinic::policy::put_layout(&world.database, with_desk, NOW).await.unwrap();
    store::transact!(world.database, "test.doctor", |conn| {
        store::sqlx::query("INSERT INTO person (id, created_ms) VALUES ($1, 0)")
            .bind(DOCTOR.to_string())
            .execute(&mut *conn)
            .await?;
        store::sqlx::query(
            "INSERT INTO credential (id, card, person, kind, category, state, one_time, since_ms)
             VALUES (1000, $1, $2, 'staff', 'any', 'active', 0, 0)",
        )
        .bind(CARD.to_string())
        .bind(DOCTOR.to_string())
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    staff::put(&world.database, &Acting::console(), &Staff::new(DOCTOR, Shipped::Doctor), NOW).await.unwrap();
    let rules = Rules { factor: Factor::None, ..Rules::default() };
    let desk = Desk::new(world.database.clone(), world.clock(), rules);
    world.settings.desk = Some(desk.clone());
    world.start();
    (world, desk)
}

fn tap(seq: u64, at: UtcMillis) -> Entry {
    let fact = Draft {
        reason: Some(Reason::Allowed),
        point: Some(desk_point()),
        card: Some(CARD),
        person: Some(DOCTOR),
        ..Draft::new(at, Kind::Granted)
    };
    Entry { gateway: gateway_id(), epoch: Epoch([3; 16]), seq, fact }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_is_taken_once_it_is_committed_and_a_blocked_card_ends_what_it_opened() {
    for postgres in [false, true] {
        let (mut world, desk) = scene(Bus::hub(), postgres).await;
        let mut gateway = Gateway::new(&world.bus, 0);
        gateway.until_served().await;
        let batch = Up::Events(EventBatch::beginning(&[tap(1, NOW)]).unwrap());
        // Sent twice: once is enough.
        for _ in 0..2 {
            gateway.send(Channel::Events, &batch).await;
        }
        until("the doctor is bound", async || desk.current(&desk_point()).await.unwrap().is_some()).await;
        let session = desk.current(&desk_point()).await.unwrap().unwrap();
        assert_eq!((session.state, session.person, session.opened), (SessionState::Open, DOCTOR, NOW));

        // Killed and started again: nothing is taken twice.
        world.kill().await;
        world.start();
        gateway.until_served().await;
        clinic::people::set_state(&world.database, CARD, PassState::Lost, NOW).await.unwrap();
        until("the session ends", async || desk.current(&desk_point()).await.unwrap().is_none()).await;
        let opened = clinic::changes::after(&world.database, 0, 100).await.unwrap();
        let kinds: Vec<_> = opened.iter().map(|change| change.kind.as_str()).collect();
        assert_eq!(kinds, ["staff_changed", "session_opened", "session_ended"]);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_stops_in_order_takes_the_taps_that_were_committed() {
    let (mut world, desk) = scene(Bus::hub(), false).await;
    let mut gateway = Gateway::new(&world.bus, 0);
    gateway.until_served().await;
    gateway.send(Channel::Events, &Up::Events(EventBatch::beginning(&[tap(1, NOW)]).unwrap())).await;
    until("it is committed", async || world.committed().await == 1).await;
    world.stop().await;
    assert!(desk.current(&desk_point()).await.unwrap().is_some());
}
