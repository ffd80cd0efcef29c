//! Nothing lost, nothing doubled, nothing acknowledged before it is committed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use bus::Party;
use clinic::Database;
use domain::Epoch;
use store::transact;
use tokio_util::sync::CancellationToken;
use wire::bus::{Channel, Down, Up};
use world::{Bus, Gateway, World, gateway_id};

#[tokio::test]
async fn a_batch_is_acknowledged_once_it_is_committed() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 10);
    gateway.until_served().await;
    gateway.send_batch(0, 10).await;
    let ack = gateway.ack().await;
    assert_eq!((ack.epoch, ack.seq), (Epoch([3; 16]), 10));
    assert_eq!(world.events().await, gateway.journal);
}

#[tokio::test]
async fn a_gap_is_answered_with_what_is_there_and_stores_nothing() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 10);
    gateway.until_served().await;
    gateway.send_batch(0, 4).await;
    assert_eq!(gateway.ack().await.seq, 4);
    gateway.send_batch(6, 4).await;
    assert_eq!(gateway.ack().await.seq, 4);
    assert_eq!(world.events().await.len(), 4);
    gateway.send_batch(4, 6).await;
    assert_eq!(gateway.ack().await.seq, 10);
    assert_eq!(world.events().await, gateway.journal);
}

#[tokio::test]
async fn batches_behind_a_gap_do_not_each_cause_another_repetition() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 30);
    gateway.until_served().await;
    for after in [5, 10, 15, 20] {
        gateway.send_batch(after, 5).await;
    }
    gateway.send_batch(0, 5).await;
    assert_eq!(gateway.ack().await.seq, 0, "one answer to four batches behind the gap");
    assert_eq!(gateway.ack().await.seq, 5);
}

#[tokio::test]
async fn a_status_is_answered_with_the_ack_that_was_lost() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 3);
    gateway.until_served().await;
    gateway.send_batch(0, 3).await;
    assert_eq!(gateway.ack().await.seq, 3);
    // The gateway has not taken it to heart: its status still says 0.
    let again = gateway.until_served().await.expect("an ack with the answer to the status");
    assert_eq!(again.seq, 3);
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_database_refuses_and_everything_after() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 20);
    gateway.until_served().await;
    rename(&world.database, true).await;
    gateway.send_batch(0, 10).await;
    gateway.send_batch(10, 10).await;
    // The second batch is a gap as long as the first is not there.
    let ack = gateway.until_served().await;
    assert!(ack.as_ref().is_none_or(|ack| ack.seq == 0), "{ack:?}");
    rename(&world.database, false).await;
    gateway.send_batch(0, 20).await;
    assert_eq!(gateway.ack().await.seq, 20);
    assert_eq!(world.events().await, gateway.journal);
}

/// Takes the table of events away, or gives it back.
async fn rename(database: &Database, away: bool) {
    transact!(database, "test.rename", |conn| {
        let statement = if away { "ALTER TABLE event RENAME TO hidden" } else { "ALTER TABLE hidden RENAME TO event" };
        store::sqlx::query(statement).execute(&mut *conn).await?;
        Ok(())
    })
    .unwrap();
}

#[tokio::test]
async fn a_message_that_speaks_for_another_gateway_or_on_another_channel_is_ignored() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 3);
    gateway.until_served().await;
    let mut forged = gateway.journal.clone();
    let other = domain::GatewayId::new("gw-2").unwrap();
    forged.iter_mut().for_each(|entry| entry.gateway = other.clone());
    let batch = wire::bus::EventBatch { gateway: other, epoch: Epoch([3; 16]), entries: forged };
    gateway.send(Channel::Events, &Up::Events(batch)).await;
    gateway.send(Channel::Status, &gateway.batch(0, 3).unwrap()).await;
    gateway.until_served().await;
    assert_eq!(world.events().await, []);
}

#[tokio::test]
async fn a_journal_that_begins_anew_is_another_journal() {
    let world = World::new(Bus::hub()).await;
    let mut gateway = Gateway::new(&world.bus, 3);
    gateway.until_served().await;
    gateway.send_batch(0, 3).await;
    assert_eq!(gateway.ack().await.seq, 3);
    gateway.journal.iter_mut().for_each(|entry| entry.epoch = Epoch([4; 16]));
    gateway.send_batch(0, 3).await;
    let ack = gateway.ack().await;
    assert_eq!((ack.epoch, ack.seq), (Epoch([4; 16]), 3));
    assert_eq!(world.events().await.len(), 6);
}

/// Losses, repetitions, wrong order, broken connections, restarts and crashes of the bridge, all at random from a
/// seed; in the end everything is there once and in order.
async fn survive(mut world: World, seed: u64) {
    const ENTRIES: u64 = 400;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut gateway = Gateway::new(&world.bus, ENTRIES);
    let mut rounds = 0;
    while gateway.acked < ENTRIES {
        rounds += 1;
        assert!(rounds < 2000, "seed {seed}: stuck at {}", gateway.acked);
        for _ in 0..random.usize(1..4) {
            let count = random.usize(1..40);
            match random.u32(0..10) {
                // Lost on the way.
                0 => gateway.sent = (gateway.sent + count as u64).min(ENTRIES),
                // Twice.
                1 => {
                    gateway.send_batch(gateway.sent, count).await;
                    gateway.send_batch(gateway.sent, count).await;
                }
                // The second before the first.
                2 => {
                    gateway.send_batch(gateway.sent + count as u64, count).await;
                    gateway.send_batch(gateway.sent, count).await;
                }
                // Something old.
                3 => {
                    gateway.send_batch(random.u64(0..=gateway.sent), count).await;
                }
                _ => {
                    if gateway.send_batch(gateway.sent, count).await {
                        gateway.sent = (gateway.sent + count as u64).min(ENTRIES);
                    }
                }
            }
        }
        match random.u32(0..20) {
            0 => {
                world.stop().await;
                world.start();
            }
            1 | 2 => {
                world.kill().await;
                world.start();
            }
            3 if rounds % 4 == 0 => world.bus.shake(),
            _ => {}
        }
        gateway.send_status().await;
        while let Some(down) = gateway.hear_within(Duration::from_millis(30)).await {
            if let Down::Ack(ack) = down {
                let committed = world.committed().await;
                assert!(ack.seq <= committed, "seed {seed}: {} acknowledged, {committed} committed", ack.seq);
                gateway.acked = ack.seq;
                if random.bool() {
                    gateway.sent = ack.seq;
                }
            }
        }
        if gateway.sent == ENTRIES {
            gateway.sent = gateway.acked;
        }
    }
    assert_eq!(world.events().await, gateway.journal, "seed {seed}");
    let known = clinic::devices::gateways(&world.database).await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].id, gateway_id());
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_in_one_process_whatever_happens() {
    for seed in 0..4 {
        survive(World::new(Bus::hub()).await, seed).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_through_a_broker_whatever_happens() {
    for seed in 0..3 {
        survive(World::new(Bus::broker()).await, seed).await;
    }
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_on_postgresql_whatever_happens() {
    for seed in 10..12 {
        survive(World::on_postgres(Bus::hub()).await, seed).await;
    }
    survive(World::on_postgres(Bus::broker()).await, 12).await;
}

#[tokio::test]
async fn two_bridges_on_one_database_take_everything_once() {
    for world in [World::new(Bus::hub()).await, World::on_postgres(Bus::broker()).await] {
        let shutdown = CancellationToken::new();
        let link = world.bus.join(Party::Bridge("b2".into()));
        let second =
            mis_bridge::run(world.settings.clone(), world.database.clone(), link, world.clock(), shutdown.clone());
        let second = tokio::spawn(second);
        let mut gateway = Gateway::new(&world.bus, 300);
        gateway.until_served().await;
        for after in (0..300).step_by(10) {
            gateway.send_batch(after, 10).await;
        }
        while gateway.acked < 300 {
            gateway.acked = gateway.ack().await.seq;
        }
        assert_eq!(world.events().await, gateway.journal);
        shutdown.cancel();
        second.await.unwrap();
    }
}

/// `cargo test --release -p mis-bridge --test delivery -- --ignored --nocapture`
#[tokio::test]
#[ignore = "a measurement: prints figures, asserts nothing about time"]
async fn measure_entries_a_second_and_the_way_there_and_back() {
    for (name, bus) in [("one process", Bus::hub()), ("mosquitto", Bus::broker())] {
        let world = World::new(bus).await;
        let mut gateway = Gateway::new(&world.bus, 40_200);
        gateway.until_served().await;
        let mut ways = Vec::new();
        for after in 0..200 {
            let began = tokio::time::Instant::now();
            gateway.send_batch(after, 1).await;
            assert_eq!(gateway.ack().await.seq, after + 1);
            ways.push(began.elapsed());
        }
        ways.sort();
        let began = tokio::time::Instant::now();
        let (mut sent, mut acked) = (200, 200);
        while acked < 40_200 {
            while sent < 40_200 && sent < acked + 2000 {
                gateway.send_batch(sent, 500).await;
                sent += 500;
            }
            acked = gateway.ack().await.seq;
        }
        let per_second = 40_000.0 / began.elapsed().as_secs_f64();
        println!("{name}: one entry to its ack p50 {:?} p99 {:?}; {per_second:.0} entries/s", ways[100], ways[198]);
    }
}
