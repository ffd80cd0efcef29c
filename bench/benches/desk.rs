//! Taps at workstations: how long from the arrival of a tap to its change in the feed, and how much of a processor
//! 500 workstations take that have a tap every 2 s.
//!
//! - the day: specialists tap in once, then patients one after another: each tap starts a visit and ends the one before;
//! - floor: a transaction of the same engine that writes as many rows of the same size, with nothing to decide;
//! - then taps as fast as they are taken, one after the other.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench, not the product")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bench::{Goal, heading, line, percentile};
use clinic::acting::Acting;
use clinic::desk::{Desk, Factor, Rules};
use clinic::ingest::ingest;
use clinic::staff::{self, Staff};
use clinic::{changes, policy};
use domain::policy::{Layout, Point, PointKind};
use domain::zone::Zone;
use domain::{
    CardId, Clock, Draft, Entry, Epoch, GatewayId, Kind, PersonId, PointId, Reason, Shipped, UtcMillis, ZoneId,
};
use store::{Database, transact};

const DESKS: u32 = 500;
/// A tap at each desk every two seconds.
const RATE: u32 = DESKS / 2;
/// How long the day lasts.
const SECONDS: u32 = 20;
/// Rows that a visit with the end of the one before writes: two of the audit log with their nodes, two changes, two of
/// visits, and the counters.
const ROWS: u32 = 12;

fn now() -> UtcMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UtcMillis(i64::try_from(since.as_millis()).unwrap())
}

fn cpu() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec.cast_unsigned(), u32::try_from(spent.tv_nsec).unwrap())
}

/// The first `DESKS` are specialists.
fn person(n: u32) -> PersonId {
    PersonId(u128::from(n + 1).to_be_bytes())
}

fn point(n: u32) -> PointId {
    PointId::new(&format!("desk-{n}")).unwrap()
}

async fn clinic(database: &Database, patients: u32) {
    let clinic = ZoneId::new("clinic").unwrap();
    let mut layout = Layout { zones: vec![Zone::new(clinic.clone())], ..Layout::empty() };
    for n in 0..DESKS {
        let room = ZoneId::new(&format!("room-{n}")).unwrap();
        layout.zones.push(Zone { inside: Some(clinic.clone()), ..Zone::new(room.clone()) });
        layout.points.push(Point::new(point(n), PointKind::Workstation, clinic.clone(), room));
    }
    policy::put_layout(database, layout, now()).await.unwrap();
    let all: Vec<u32> = (0..DESKS + patients).collect();
    for some in all.chunks(500) {
        let some = some.to_vec();
        transact!(database, "bench.people", |conn| {
            let mut people = store::sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
            people.push_values(&some, |mut row, n| {
                row.push_bind(person(*n).to_string()).push_bind(0_i64);
            });
            people.build().execute(&mut *conn).await?;
            let mut passes = store::sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO credential (id, card, person, kind, category, state, one_time, since_ms) ",
            );
            passes.push_values(&some, |mut row, n| {
                let kind = if *n < DESKS { "staff" } else { "patient" };
                row.push_bind(i64::from(*n) + 1)
                    .push_bind(CardId(person(*n).0).to_string())
                    .push_bind(person(*n).to_string())
                    .push_bind(kind)
                    .push_bind("any")
                    .push_bind("active")
                    .push_bind(0_i64)
                    .push_bind(0_i64);
            });
            passes.build().execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }
    for n in 0..DESKS {
        staff::put(database, &Acting::console(), &Staff::new(person(n), Shipped::Doctor), now()).await.unwrap();
    }
}

/// One tap as a gateway records it.
fn entry(seq: u64, desk: u32, who: u32) -> Entry {
    let fact = Draft {
        reason: Some(Reason::Allowed),
        point: Some(point(desk)),
        card: Some(CardId(person(who).0)),
        ..Draft::new(now(), Kind::Granted)
    };
    Entry { gateway: GatewayId::new("gw").unwrap(), epoch: Epoch([1; 16]), seq, fact }
}

/// Microseconds of a transaction that writes as many rows.
async fn floor(database: &Database) -> f64 {
    transact!(database, "bench.table", |conn| {
        store::sqlx::query("CREATE TABLE bench_row (id BIGINT PRIMARY KEY, one TEXT, two TEXT, three TEXT, four TEXT)")
            .execute(&mut *conn)
            .await?;
        Ok(())
    })
    .unwrap();
    let mut took = Vec::new();
    for n in 0..1000_i64 {
        let begin = Instant::now();
        transact!(database, "bench.floor", |conn| {
            for row in 0..i64::from(ROWS) {
                store::sqlx::query("INSERT INTO bench_row (id, one, two, three, four) VALUES ($1, $2, $3, $4, $5)")
                    .bind(n * i64::from(ROWS) + row)
                    .bind("00000000000000000000000000000001")
                    .bind("00000000000000000000000000000002")
                    .bind("session_opened")
                    .bind("desk-100")
                    .execute(&mut *conn)
                    .await?;
            }
            Ok(())
        })
        .unwrap();
        took.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    percentile(&mut took, 0.5)
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", folder.path().join("desk.db").display())).await.unwrap();
    let patients = RATE * SECONDS * 2;
    clinic(&database, patients).await;
    let rules = Rules { factor: Factor::None, ..Rules::default() };
    let desk = Desk::new(database.clone(), Clock::new(now), rules);
    println!("{}", heading("taps at workstations (SQLite)"));
    let floor = floor(&database).await;

    let mut seq = 0;
    for n in 0..DESKS {
        seq += 1;
        ingest(&database, vec![entry(seq, n, n)], now()).await.unwrap();
    }
    assert_eq!(desk.work().await.unwrap().taps, u64::from(DESKS));

    // The day: each tap at its time.
    let (mut took, mut patient) = (Vec::new(), DESKS);
    let (begin, spent) = (Instant::now(), cpu());
    for n in 0..RATE * SECONDS {
        let due = begin + Duration::from_secs(1) * n / RATE;
        tokio::time::sleep_until(due.into()).await;
        seq += 1;
        ingest(&database, vec![entry(seq, n % DESKS, patient)], now()).await.unwrap();
        patient += 1;
        let arrived = Instant::now();
        assert_eq!(desk.work().await.unwrap().taps, 1);
        took.push(arrived.elapsed().as_secs_f64() * 1e6);
        if n % (RATE / 10) == 0 {
            desk.tick().await.unwrap();
        }
    }
    let (wall, spent) = (begin.elapsed().as_secs_f64(), (cpu() - spent).as_secs_f64());
    println!("{}", line("tap to change, median", percentile(&mut took, 0.5), floor, "us", Goal::AtMost(8.0)));
    println!("{}", line("tap to change, 99 of 100", percentile(&mut took, 0.99), floor, "us", Goal::Shown));
    println!(
        "{}",
        line(
            format!("processor for {RATE} taps/s, taking in included"),
            spent / wall * 100.0,
            100.0,
            "%",
            Goal::AtMost(1.0)
        )
    );

    // As fast as they are taken.
    let count = RATE * SECONDS / 2;
    for n in 0..count {
        seq += 1;
        ingest(&database, vec![entry(seq, n % DESKS, patient)], now()).await.unwrap();
        patient += 1;
    }
    let begin = Instant::now();
    assert_eq!(desk.work().await.unwrap().taps, u64::from(count));
    let speed = f64::from(count) / begin.elapsed().as_secs_f64();
    println!("{}", line("taps a second, one after the other", speed, f64::from(RATE), "/s", Goal::AtLeast(1.0)));
    println!("{} changes", changes::last_id(&database).await.unwrap());
}
