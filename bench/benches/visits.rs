//! Visits: what a patient's tap costs beside the entry of the audit log and the change that it cannot do without, and what
//! questions about a day of a large clinic cost beside reading the same rows.
//!
//! - tap: the next patient's card at a desk (one visit ends, one starts), against a transaction that only writes an
//!   entry of the audit log;
//! - day: `VISITS` visits (100,000 unless the environment says otherwise) of one day, 500 desks, 20,000 patients; the
//!   graph, the rooms and a page of the list, against a bare scan of the same day.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench, not the product")]

use std::time::Instant;

use clinic::acting::Acting;
use clinic::audit::{self, Action, Draft};
use clinic::desk::{Desk, Factor, Rules};
use clinic::policy;
use clinic::staff::{self, Staff};
use clinic::visits::{Filter, Visits};
use clinic::whereabouts::{self, Part};
use domain::policy::{Layout, Point, PointKind};
use domain::zone::Zone;
use domain::{CardId, Clock, PersonId, PointId, Shipped, UtcMillis, ZoneId};
use store::{Database, transact};

const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DESKS: u64 = 500;
const PATIENTS: u64 = 20_000;
/// Taps of each kind.
const TAPS: u32 = 2000;
/// Rows of one statement.
const ROWS: usize = 500;

fn visits() -> u64 {
    std::env::var("VISITS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

fn person(n: u64) -> PersonId {
    PersonId(u128::from(n).to_be_bytes())
}

/// Doctors are 1 to `DESKS`, patients follow.
fn patient(n: u64) -> PersonId {
    person(1_000_000 + n % PATIENTS)
}

fn point(n: u64) -> PointId {
    PointId::new(&format!("desk-{n}")).unwrap()
}

async fn people(database: &Database) {
    let all: Vec<(PersonId, &str)> =
        (1..=DESKS).map(|n| (person(n), "staff")).chain((0..PATIENTS).map(|n| (patient(n), "patient"))).collect();
    for (block, people) in all.chunks(ROWS).enumerate() {
        let people = people.to_vec();
        transact!(database, "bench.people", |conn| {
            let mut insert = store::sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
            insert.push_values(&people, |mut row, (id, _)| {
                row.push_bind(id.to_string()).push_bind(0_i64);
            });
            insert.build().execute(&mut *conn).await?;
            let mut insert = store::sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO credential (id, card, person, kind, category, state, one_time, since_ms) ",
            );
            insert.push_values(people.iter().enumerate(), |mut row, (n, (id, kind))| {
                row.push_bind((block * ROWS + n + 1) as i64)
                    .push_bind(id.to_string())
                    .push_bind(id.to_string())
                    .push_bind(*kind)
                    .push_bind("any")
                    .push_bind("active")
                    .push_bind(0_i64)
                    .push_bind(0_i64);
            });
            insert.build().execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }
}

/// A day before today, spread over desks, one after the other at each.
async fn day(database: &Database, session: &str) {
    let from = NOW.plus_ms(-3 * DAY_MS);
    let step = 10 * 60 * 60 * 1000 / (visits() / DESKS + 1).cast_signed();
    let all: Vec<u64> = (0..visits()).collect();
    for block in all.chunks(ROWS) {
        let (block, session) = (block.to_vec(), session.to_owned());
        transact!(database, "bench.day", |conn| {
            let mut insert = store::sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO visit (id, no, patient, staff, workstation, zone, session, began_by, started_ms, ended_ms,
                     ended_why) ",
            );
            insert.push_values(&block, |mut row, n| {
                let desk = n % DESKS + 1;
                let started = from.plus_ms((n / DESKS).cast_signed() * step);
                row.push_bind(format!("00000000-0000-4000-8000-{n:012x}"))
                    .push_bind(n.cast_signed() + 1_000_000_000)
                    .push_bind(patient(n.wrapping_mul(7919)).to_string())
                    .push_bind(person(desk).to_string())
                    .push_bind(point(desk).to_string())
                    .push_bind(format!("room-{desk}"))
                    .push_bind(session.clone())
                    .push_bind("card")
                    .push_bind(started.0)
                    .push_bind(started.plus_ms(step - 1).0)
                    .push_bind("next_patient");
            });
            insert.build().execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }
}

fn said(name: &str, took: f64, floor: f64) {
    println!("{name}: {:.2} ms, floor {:.2} ms, ratio {:.2}", took * 1e3, floor * 1e3, took / floor);
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite:{}", folder.path().join("visits.db").display())).await.unwrap();
    let clinic = ZoneId::new("clinic").unwrap();
    let mut layout = Layout { zones: vec![Zone::new(clinic.clone())], ..Layout::empty() };
    for n in 1..=DESKS {
        let room = ZoneId::new(&format!("room-{n}")).unwrap();
        layout.zones.push(Zone { inside: Some(clinic.clone()), ..Zone::new(room.clone()) });
        layout.points.push(Point::new(point(n), PointKind::Workstation, clinic.clone(), room));
    }
    policy::put_layout(&database, layout, NOW).await.unwrap();
    people(&database).await;
    let clock = Clock::new(|| NOW);
    let desk = Desk::new(database.clone(), clock.clone(), Rules { factor: Factor::None, ..Rules::default() });
    for n in 1..=DESKS {
        staff::put(&database, &Acting::console(), &Staff::new(person(n), Shipped::Doctor), NOW).await.unwrap();
        desk.tap_from_page(&point(n), CardId(person(n).0), NOW).await.unwrap();
    }
    let session = desk.current(&point(1)).await.unwrap().unwrap().id;
    day(&database, &session).await;

    let begin = Instant::now();
    for _ in 0..TAPS {
        let draft = Draft::new(NOW, clinic::acting::Actor::Staff(person(1)), Action::VisitStarted);
        audit::write(&database, draft).await.unwrap();
    }
    let floor = begin.elapsed().as_secs_f64() / f64::from(TAPS);
    let begin = Instant::now();
    for n in 0..u64::from(TAPS) {
        desk.tap_from_page(&point(n % DESKS + 1), CardId(patient(n).0), NOW).await.unwrap();
    }
    said("tap of the next patient", begin.elapsed().as_secs_f64() / f64::from(TAPS), floor);

    let (from, until) = (NOW.plus_ms(-3 * DAY_MS), NOW.plus_ms(-2 * DAY_MS));
    let begin = Instant::now();
    let rows: Vec<(String, String, i64, Option<i64>)> = store::read!(database, "bench.scan", |conn| {
        Ok(store::sqlx::query_as(
            "SELECT staff, patient, started_ms, ended_ms FROM visit WHERE started_ms >= $1 AND started_ms < $2",
        )
        .bind(from.0)
        .bind(until.0)
        .fetch_all(&mut *conn)
        .await?)
    })
    .unwrap();
    let floor = begin.elapsed().as_secs_f64();
    println!("a day of {} visits", rows.len());
    let console = Acting::console();
    let begin = Instant::now();
    let graph = whereabouts::graph(&database, &console, from, until, &Part::default(), 500, NOW).await.unwrap();
    said(&format!("graph, {} edges", graph.edges.len()), begin.elapsed().as_secs_f64(), floor);
    let begin = Instant::now();
    let rooms = whereabouts::rooms(&database, &console, None, from, until, NOW).await.unwrap();
    said(&format!("rooms, {} of them", rooms.rooms.len()), begin.elapsed().as_secs_f64(), floor);
    let begin = Instant::now();
    let at = whereabouts::occupied_at(&database, &console, from.plus_ms(DAY_MS / 4)).await.unwrap();
    said(&format!("rooms at an instant, {} occupied", at.len()), begin.elapsed().as_secs_f64(), floor);
    let list = Visits::new(database.clone(), clock, domain::visit::Rules::default());
    let begin = Instant::now();
    let filter = Filter { from: Some(from), until: Some(until), ..Filter::default() };
    let page = list.list(&console, &filter, None, 100).await.unwrap();
    said(&format!("a page of {} visits", page.visits.len()), begin.elapsed().as_secs_f64(), floor);
    let begin = Instant::now();
    list.tick().await.unwrap();
    said("what time ends", begin.elapsed().as_secs_f64(), floor);
}
