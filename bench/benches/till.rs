//! The till: what registering a service costs, on both engines.
//!
//! - registered: `WRITERS` doctors at once, each registration durable with its charge, ledger, audit entry and change;
//!   beside it a bare group commit of as many rows, and the goal in registrations a second;
//! - one at a time at 100 a second: the time until the answer, against the goal of 50 ms;
//! - offers: what the doctor's page asks for, the check of terms, limits and prices in it, against the goal of 5 ms;
//! - statement of 10,000 lines, against the goal of a second.
//!
//! `REGISTRATIONS` says how many (20,000 unless the environment says otherwise).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench, not the product")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{Goal, heading, line, median, percentile};
use clinic::acting::Acting;
use clinic::till::statement::{StatementFilter, StatementOf};
use clinic::till::{NewCharge, NewPrice, NewScheme, NewService, NewTerms, Rules, Till};
use domain::till::{Mode, Owner, Rounding, Step};
use domain::{Amount, Clock, Currency, PersonId, UtcMillis};
use store::{Database, transact};

const NOW: UtcMillis = UtcMillis(1_795_161_600_000);
const PATIENTS: u64 = 2_000;
const WRITERS: u64 = 512;
/// Rows that one registration writes: charge, ledger twice, audit entry and node, change, and the balance.
const ROWS_EACH: usize = 7;
/// Lines of the statement.
const LINES: u64 = 10_000;
/// Registrations of one commit, as the registrar takes them.
const BATCH: usize = 256;

fn registrations() -> u64 {
    std::env::var("REGISTRATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

fn person(n: u64) -> PersonId {
    PersonId(u128::from(n + 1).to_be_bytes())
}

fn amount(minor: i64) -> Amount {
    Amount::new(minor).unwrap()
}

fn visit(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// Patients with a visit each, that ended today.
async fn people(database: &Database) {
    let all: Vec<u64> = (0..=PATIENTS).collect();
    for some in all.chunks(500) {
        let some = some.to_vec();
        transact!(database, "bench.people", |conn| {
            let mut insert = store::sqlx::QueryBuilder::<Db>::new("INSERT INTO person (id, created_ms) ");
            insert.push_values(&some, |mut row, n| {
                row.push_bind(person(*n).to_string()).push_bind(0_i64);
            });
            insert.build().execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }
    let doctor = person(PATIENTS).to_string();
    transact!(database, "bench.session", |conn| {
        store::sqlx::query(
            "INSERT INTO desk_session (id, workstation, zone, person, state, factor, opened_ms, confirmed_ms, used_ms,
                 ended_ms, ended_why) VALUES ('s', 'desk-1', 'room-1', $1, 'ended', 'none', 0, 0, 0, 1, 'left')",
        )
        .bind(&doctor)
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    for some in all.chunks(500) {
        let (some, doctor) = (some.to_vec(), person(PATIENTS).to_string());
        transact!(database, "bench.visits", |conn| {
            let mut insert = store::sqlx::QueryBuilder::<Db>::new(
                "INSERT INTO visit (id, no, patient, staff, workstation, zone, session, began_by, started_ms, ended_ms,
                     ended_why) ",
            );
            insert.push_values(&some, |mut row, n| {
                row.push_bind(visit(*n))
                    .push_bind(n.cast_signed() + 1)
                    .push_bind(person(*n).to_string())
                    .push_bind(doctor.clone())
                    .push_bind("desk-1")
                    .push_bind("room-1")
                    .push_bind("s")
                    .push_bind("card")
                    .push_bind(NOW.0 - 60_000)
                    .push_bind(NOW.0 - 1)
                    .push_bind("by_hand");
            });
            insert.build().execute(&mut *conn).await?;
            Ok(())
        })
        .unwrap();
    }
}

async fn set_up(till: &Till) {
    let (office, currency) = (Acting::console(), Currency::default());
    let mut prices = Vec::new();
    for n in 0..50_i64 {
        let code = format!("S-{n:02}");
        till.put_service(&office, NewService::new(&code, "A service")).await.unwrap();
        prices.push(NewPrice::new(&code, currency, amount(1_000 + n)));
    }
    till.set_prices(&office, None, prices).await.unwrap();
    let step = |from, rate| Step { from: amount(from), rate };
    let scheme = NewScheme {
        id: "loyal".to_owned(),
        name: "Loyal".to_owned(),
        currency,
        steps: vec![step(0, 100), step(10_000, 300), step(50_000, 500)],
        rounding: Rounding::HalfUp,
        unit: 1,
    };
    till.put_scheme(&office, scheme).await.unwrap();
    let terms = NewTerms {
        mode: Mode::Postpaid,
        limit: Some(amount(100_000_000_000)),
        scheme: Some("loyal".to_owned()),
        ..NewTerms::new(Owner::Everybody, currency, till.today())
    };
    till.put_terms(&office, terms).await.unwrap();
}

fn charge(n: u64, patient: u64) -> NewCharge {
    NewCharge {
        key: format!("bench-{n:010}"),
        patient: person(patient),
        visit: Some(visit(patient)),
        session: None,
        out_of_card: None,
        service: format!("S-{:02}", n % 50),
        quantity: 1,
        currency: None,
        shown: None,
    }
}

/// Registrations a second with many writers.
async fn registered(till: &Till, from: u64, count: u64, patients: u64) -> f64 {
    let begun = Instant::now();
    let acting = Arc::new(Acting::console());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (till, acting) = (till.clone(), acting.clone());
            tokio::spawn(async move {
                let mut n = writer;
                while n < count {
                    till.register(&acting, charge(from + n, (n * 7919) % patients)).await.unwrap();
                    n += WRITERS;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

/// As many rows a second, in commits of as many, into one table with one index.
async fn floor(database: &Database, count: u64) -> f64 {
    transact!(database, "bench.floor", |conn| {
        store::sqlx::query(
            "CREATE TABLE bench_row (no BIGINT PRIMARY KEY, a TEXT, b TEXT, c BIGINT, d BIGINT, e TEXT)",
        )
        .execute(&mut *conn)
        .await?;
        Ok(())
    })
    .unwrap();
    let rows: Vec<i64> = (0..(count as usize * ROWS_EACH) as i64).collect();
    let begun = Instant::now();
    for some in rows.chunks(BATCH * ROWS_EACH) {
        let some = some.to_vec();
        transact!(database, "bench.floor", |conn| {
            for part in some.chunks(500) {
                let mut insert = store::sqlx::QueryBuilder::<Db>::new("INSERT INTO bench_row (no, a, b, c, d, e) ");
                insert.push_values(part, |mut row, no| {
                    row.push_bind(*no)
                        .push_bind("00000000-0000-4000-8000-000000000000")
                        .push_bind("rendered")
                        .push_bind(no * 3)
                        .push_bind(NOW.0)
                        .push_bind("a detail of some length, as the audit log has it");
                });
                insert.build().execute(&mut *conn).await?;
            }
            Ok(())
        })
        .unwrap();
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

/// Seconds until the answer, of registrations that come evenly, 100 a second.
async fn paced(till: &Till, from: u64, count: u64) -> Vec<f64> {
    let acting = Arc::new(Acting::console());
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut waiting = Vec::new();
    for n in 0..count {
        ticks.tick().await;
        let (till, acting) = (till.clone(), acting.clone());
        waiting.push(tokio::spawn(async move {
            let begun = Instant::now();
            till.register(&acting, charge(from + n, n % PATIENTS)).await.unwrap();
            begun.elapsed().as_secs_f64()
        }));
    }
    let mut took = Vec::new();
    for one in waiting {
        took.push(one.await.unwrap());
    }
    took
}

async fn measure(database: Database, name: &str, goal: f64) {
    people(&database).await;
    let till = Till::new(database.clone(), Clock::new(|| NOW), chrono_tz::UTC, Rules::of(Currency::default()));
    set_up(&till).await;
    let count = registrations();
    registered(&till, 1_000_000_000, WRITERS, PATIENTS).await;
    let a_second = registered(&till, 0, count, PATIENTS).await;
    println!("{}", line(format!("{name}: registered, {WRITERS} at once"), a_second, goal, "/s", Goal::AtLeast(1.0)));
    let bare = floor(&database, count).await;
    println!("{}", line(format!("{name}: of a bare group commit"), a_second, bare, "/s", Goal::Shown));
    let mut took = paced(&till, 2_000_000_000, 1_000).await;
    let slow = percentile(&mut took, 0.99) * 1e3;
    println!("{}", line(format!("{name}: at 100/s, 99 of 100 within"), slow, 50.0, "ms", Goal::AtMost(1.0)));
    println!("{}", line(format!("{name}: at 100/s, the middle"), median(&mut took) * 1e3, 50.0, "ms", Goal::Shown));
    let office = Acting::console();
    let mut took = Vec::new();
    for n in 0..200 {
        let begun = Instant::now();
        till.offers(&office, person(n), "", 50).await.unwrap();
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "{}",
        line(format!("{name}: terms, limits and 50 prices"), median(&mut took), 5.0, "ms", Goal::AtMost(1.0))
    );
    registered(&till, 3_000_000_000, LINES, 1).await;
    let (of, today) = (StatementOf::Patient(person(0)), till.today());
    let filter = StatementFilter { of, from: today, until: today, currency: None };
    let begun = Instant::now();
    let statement = till.statement(&office, &filter).await.unwrap();
    let took = begun.elapsed().as_secs_f64();
    let lines = statement.lines.len();
    println!("{}", line(format!("{name}: statement of {lines} lines"), took, 1.0, "s", Goal::AtMost(1.0)));
    database.close().await;
}

#[tokio::main]
async fn main() {
    println!("{}", heading("till: services registered, each durable"));
    let folder = tempfile::tempdir().unwrap();
    let [sqlite, postgres] = store::testing::both_durable(folder.path()).await;
    measure(sqlite, "SQLite", 2_000.0).await;
    measure(postgres, "PostgreSQL", 5_000.0).await;
}
